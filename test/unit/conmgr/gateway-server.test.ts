import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import { it } from 'node:test';
import { forward } from '../../../src/conmgr/gateway-server.js';

it('a full peer stops the other end once a high-water mark of bytes waits, and its "drain" always follows', async () => {
  const server = createServer({ pauseOnConnect: true });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const sender = connect((server.address() as AddressInfo).port, '127.0.0.1');
  const [receiver] = await once(server, 'connection');
  let drains = 0;
  const drained = new Promise<void>((resolve) => {
    const count = (): void => {
      drains += 1;
      resolve();
    };
    sender.on('drain', count);
    // Pieces far below the high-water mark of a socket, until the kernel's buffers are full.
    const piece = Buffer.alloc(1000);
    while (forward(sender, piece));
  });
  const { writableLength, writableHighWaterMark } = sender;
  assert.ok(writableLength >= writableHighWaterMark && writableLength < writableHighWaterMark + 1000);
  receiver.resume();
  await drained;
  assert.equal(sender.writableLength, 0);
  assert.equal(drains, 1);
  sender.destroy();
  receiver.destroy();
  server.close();
});
