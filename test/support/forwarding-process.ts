/**
 * A conmgr reduced to its port for tests of hand-over: forwards every stock driver to the server port named by its first
 * argument. At SIGUSR2 it starts its successor, which inherits bundle and document as descriptors 3 and 4, and ends. Says
 * what happens, a line each.
 */
import { spawn } from 'node:child_process';
import net, { type AddressInfo } from 'node:net';
import type { ListenerRule } from '../../src/conmgr/app-listeners.js';
import { AppPort } from '../../src/conmgr/app-port.js';
import { Gateway } from '../../src/conmgr/gateway.js';
import { adoptHandOver, packHandOver } from '../../src/conmgr/hand-over.js';
import type { HandedFacts } from '../../src/core/conmgr/handing.js';
import { decodeHandOver } from '../../src/core/handover/decode.js';
import { encodeHandOver } from '../../src/core/handover/encode.js';
import { systemClock } from '../../src/io/clock.js';
import { loadNative, type Native } from '../../src/io/native.js';
import { packBundle, unpackBundle } from '../../src/io/socket-bundle.js';
import { descriptorOf } from '../../src/io/socket-handle.js';
import { adoptListener } from '../../src/io/tcp-listener.js';
import { readWhole, UnixRights } from '../../src/io/unix-rights.js';

const [serverPort = '0', role] = process.argv.slice(2);
const rights = new UnixRights(loadNative() as Native);
const say = (text: string): void => void process.stdout.write(`${text}\n`);
const rule: ListenerRule = { port: 27_546, target: () => 'any', forwards: () => true };
const place = { instance: 0, port: Number(serverPort), bits: 0, host: '127.0.0.1', hostaddr: '' };
const known = new Map<number, HandedFacts>();

function note(id: number, changes: Partial<HandedFacts>): void {
  const fresh: HandedFacts = {
    id,
    mode: 'gateway',
    phase: 'answered',
    target: 'any',
    prefer: [],
    exclude: [],
    ping: false,
    name: '',
    instance: 0,
    address: '',
    port: 0,
    pid: 0,
    ageMs: 0,
  };
  known.set(id, { ...fresh, ...known.get(id), ...changes });
}

const gone = (id: number): void => {
  known.delete(id);
  say(`closed ${id}`);
};
const gateway = new Gateway({
  descriptorLimit: 1000,
  hasRoom: () => true,
  connectTimeoutMs: () => 5000,
  events: {
    forward: (id) => {
      note(id, {});
      gateway.route(id, place);
    },
    introduced: () => {},
    routeFailed: (id) => say(`failed ${id}`),
    bound: (id, _instance, address, port) => {
      note(id, { phase: 'bound', address, port });
      say(`bound ${id}`);
    },
    backend: (id, pid) => {
      note(id, { pid });
      say(`backend ${id} ${pid}`);
    },
    closed: gone,
  },
});
const port: AppPort = new AppPort({
  clock: systemClock,
  allowed: () => ({ connections: 1000, limit: 1000 }),
  silentAfterMs: () => 20_000,
  gateway,
  console: { software: '', facts: () => Promise.reject(new Error('no facts')) },
  events: {
    asked: (id) => {
      note(id, { mode: 'aware' });
      say(`asked ${id}`);
    },
    bound: (id, { port: local }) => {
      note(id, { phase: 'bound', port: local });
      say(`bound ${id} ${local}`);
    },
    backend: () => {},
    closed: gone,
    report: (message) => say(message),
  },
});
const accept = (socket: net.Socket): void => port.accept(socket, rule);

function handOver(listener: net.Server): never {
  const identity = { software: 'test', conmgrId: '0123456789abcdef0123456789abcdef' };
  const core = { view: 1, instances: [], sessions: [...known.values()] };
  const { document, fds, leftOut } = packHandOver(identity, core, port, gateway);
  const { fd, count } = packBundle(rights, [...fds, descriptorOf(listener) ?? -1]);
  const state = rights.memoryFile('state', encodeHandOver(document));
  say(`handed ${count} left ${leftOut.length} ${JSON.stringify(gateway.traffic(1) ?? null)}`);
  spawn(process.execPath, [process.argv[1] ?? '', serverPort, 'heir'], {
    stdio: ['ignore', 'inherit', 'inherit', fd, state],
  });
  process.exit(0);
}

async function takeOver(): Promise<net.Server> {
  const decoded = decodeHandOver(readWhole(4, 1 << 30) ?? Buffer.alloc(0));
  if (decoded.kind !== 'document') throw new Error(JSON.stringify(decoded));
  const { document, rejected } = decoded;
  const fds = unpackBundle(rights, 3, 10_000);
  const listener = adoptListener(fds.pop() ?? -1, 4096, accept);
  if (listener === undefined) throw new Error('the last one does not listen');
  for (const { app, server, inbound, outbound, ...session } of document.sessions) note(session.id, session);
  const lost = adoptHandOver(document, fds, port, () => rule);
  const { sessions, connections } = document;
  say(`took ${sessions.length} ${connections.length} lost ${lost.length + rejected.length}`);
  return listener;
}

async function listen(): Promise<net.Server> {
  const server = net.createServer({ highWaterMark: 16 * 1024 }, accept);
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', 4096, done));
  say(`port ${(server.address() as AddressInfo).port}`);
  return server;
}

void (role === 'heir' ? takeOver() : listen()).then((listener) => {
  process.on('SIGUSR2', () => handOver(listener));
  say(`ready ${process.pid}`);
});
