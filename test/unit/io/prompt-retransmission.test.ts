import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { after, it } from 'node:test';
import { loadNative } from '../../../src/io/native.js';
import { descriptorOf } from '../../../src/io/socket-handle.js';
import { FramedSocket } from '../../../src/io/tcp-frames.js';

/** linux/tcp.h */
const IPPROTO_TCP = 6;
const TCP_USER_TIMEOUT = 18;
const TCP_RTO_MAX_MS = 44;

const native = loadNative();
assert.ok(native);
const getsockopt = native.func('int getsockopt(int, int, int, void *, void *)');

/** Value of an option of TCP; undefined where the kernel does not know it. */
function option(socket: net.Socket, name: number): number | undefined {
  const [value, length] = [Buffer.alloc(4), Buffer.alloc(4)];
  length.writeInt32LE(value.length);
  return getsockopt(descriptorOf(socket), IPPROTO_TCP, name, value, length) === 0
    ? value.readInt32LE(0)
    : undefined;
}

const server = net.createServer();
const silent = { message: () => {}, violated: () => {}, closed: () => {} };
after(() => server.close());

it('both ends of a link send again within a second, and the kernel does not end it the sooner for that', async () => {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const accepting = once(server, 'connection') as Promise<[net.Socket]>;
  const made = net.connect((server.address() as net.AddressInfo).port, '127.0.0.1');
  const connected = once(made, 'connect');
  const link = new FramedSocket(made, silent);
  const [accepted] = await accepting;
  const plain = option(accepted, TCP_RTO_MAX_MS);
  await connected;
  const watchdogs = new FramedSocket(accepted, silent);
  for (const socket of [made, accepted]) {
    assert.equal(option(socket, TCP_RTO_MAX_MS), plain === undefined ? undefined : 1000);
    assert.equal(option(socket, TCP_USER_TIMEOUT), 924_600);
  }
  link.destroy();
  watchdogs.destroy();
});
