import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { after, it } from 'node:test';
import type { HeartbeatMessage } from '../../../src/core/protocol/messages.js';
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
const opened: FramedSocket[] = [];
after(() => {
  for (const framed of opened) framed.destroy();
  server.close();
});

const retime = (timeoutMs: number): HeartbeatMessage => ({ name: 'retime', intervalMs: 1000, timeoutMs });

it('both ends of a link send again soon, but so that 15 attempts outlast heartbeat_timeout', async () => {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const accepting = once(server, 'connection') as Promise<[net.Socket]>;
  const made = net.connect((server.address() as net.AddressInfo).port, '127.0.0.1');
  let hear: () => void = () => {};
  const events = { message: () => hear(), violated: () => {}, closed: () => {} };
  const link = new FramedSocket(made, events);
  await once(made, 'connect');
  const [accepted] = await accepting;
  opened.push(link, new FramedSocket(accepted, events));
  const isKnown = option(made, TCP_RTO_MAX_MS) !== undefined;
  for (const [timeoutMs, boundMs] of [
    [3000, 1000],
    [20_000, 1667],
    [3_600_000, 120_000],
  ] as const) {
    const heard = new Promise<void>((resolve) => {
      hear = resolve;
    });
    link.send(retime(timeoutMs));
    await heard;
    for (const socket of [made, accepted]) {
      const found = option(socket, TCP_RTO_MAX_MS);
      // In ticks of the kernel, of which there are 100 a second at the least.
      if (isKnown) assert.ok(Math.abs(Number(found) - boundMs) <= 10, `${found}`);
      else assert.equal(found, undefined);
      assert.equal(option(socket, TCP_USER_TIMEOUT), 924_600);
    }
  }
});
