/**
 * The successor in tests of hand-over: takes the bundle that it inherits as descriptor 3. Of what is in it, listening
 * sockets answer each connection with `new`, connected ones echo what they read, in capitals. Says how many there were.
 */

import { adoptSocket } from '../../src/io/adopted-sockets.js';
import { loadNative, type Native } from '../../src/io/native.js';
import { unpackBundle } from '../../src/io/socket-bundle.js';
import { adoptListener } from '../../src/io/tcp-listener.js';
import { UnixRights } from '../../src/io/unix-rights.js';

const rights = new UnixRights(loadNative() as Native);
const fds = unpackBundle(rights, 3, 10_000);
const listening = fds.filter((fd) => rights.isListening(fd));

for (const fd of fds) {
  if (listening.includes(fd)) continue;
  const socket = adoptSocket(fd);
  socket?.on('data', (bytes: Buffer) => socket.write(bytes.toString('latin1').toUpperCase()));
  socket?.on('end', () => socket.end());
  socket?.resume();
}
// Until killed.
setInterval(() => {}, 1 << 30);
for (const fd of listening) adoptListener(fd, 4096, (socket) => socket.end('new'));
process.stdout.write(`${fds.length} ${listening.length}\n`);
