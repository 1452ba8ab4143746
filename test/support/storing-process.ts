/**
 * A process of a unit for tests of the descriptor store. `store`: listens on a port, keeps that socket, and hands over a
 * document and a bundle of one file; a second argument is the document in hexadecimal. `take`: says what it has got. Says what happens,
 * a line each.
 */
import { closeSync, openSync } from 'node:fs';
import net, { type AddressInfo } from 'node:net';
import { systemClock } from '../../src/io/clock.js';
import { DescriptorStore, openStored } from '../../src/io/descriptor-store.js';
import { listenerName } from '../../src/io/handed-descriptors.js';
import { loadNative, type Native } from '../../src/io/native.js';
import { createNotifier } from '../../src/io/notify.js';
import { packBundle, unpackBundle } from '../../src/io/socket-bundle.js';
import { descriptorOf } from '../../src/io/socket-handle.js';
import { takeStoredDescriptors } from '../../src/io/stored-descriptors.js';
import { readWhole, UnixRights } from '../../src/io/unix-rights.js';

const say = (text: string): void => void process.stdout.write(`${text}\n`);
const rights = new UnixRights(loadNative() as Native);
const notifier = createNotifier(process.env, { clock: systemClock });
const stored = takeStoredDescriptors(process.env);
const store = new DescriptorStore(
  notifier,
  stored.map(({ name }) => name),
);
const [what, text = Buffer.from('what is true').toString('hex')] = process.argv.slice(2);

if (what === 'take') {
  const { state, listeners } = openStored(rights, stored);
  const document = state === undefined ? undefined : readWhole(state.document, 1000)?.toString();
  const files = state === undefined ? 0 : unpackBundle(rights, state.bundle, 10).length;
  say(`took ${listeners.map(({ name }) => name).join(' ')} ${document} ${files}`);
  store.keep(listeners);
  process.exit(0);
}

const server = net.createServer();
server.listen(0, '127.0.0.1', () => {
  const { port } = server.address() as AddressInfo;
  const name = listenerName(port, '127.0.0.1');
  say(`port ${port}`);
  store.keep([{ name, fd: descriptorOf(server) ?? -1 }]);
  const file = openSync('/dev/null', 'r');
  const document = rights.memoryFile('document', [Buffer.from(text, 'hex')]);
  const { fd: bundle } = packBundle(rights, [file]);
  const begunMs = performance.now();
  const reason = store.handOver(rights, { document, bundle });
  for (const fd of [file, document, bundle]) closeSync(fd);
  say(`handed over: ${reason === '' ? 'yes' : reason}, ${Math.round(performance.now() - begunMs)} ms`);
  if (what === 'clear') store.clear();
  process.exit(0);
});
