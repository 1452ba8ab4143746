import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import net, { type AddressInfo } from 'node:net';
import { after, describe, it } from 'node:test';
import { adoptSocket } from '../../../src/io/adopted-sockets.js';
import { loadNative, type Native } from '../../../src/io/native.js';
import { descriptorOf } from '../../../src/io/socket-handle.js';
import { UnixRights } from '../../../src/io/unix-rights.js';
import { Unsent } from '../../../src/io/unsent.js';

const rights = new UnixRights(loadNative() as Native);
const sockets: net.Socket[] = [];
after(() => {
  for (const socket of sockets) socket.destroy();
});

/** Both ends of a TCP connection, neither of which is read. */
async function connection(): Promise<{ readonly here: net.Socket; readonly there: net.Socket }> {
  const server = net.createServer({ allowHalfOpen: true, pauseOnConnect: true });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const there = net.connect({ port: (server.address() as AddressInfo).port, host: '127.0.0.1' });
  there.pause();
  const [here] = (await once(server, 'connection')) as [net.Socket];
  server.close();
  sockets.push(here, there);
  return { here, there };
}

/** Bytes of which no two places look alike. */
function pattern(length: number): Buffer {
  const bytes = Buffer.alloc(length);
  for (let at = 0; at + 4 <= length; at += 4) bytes.writeUInt32BE(at, at);
  return bytes;
}

async function readAll(socket: net.Socket): Promise<Buffer> {
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  await once(socket, 'end');
  return Buffer.concat(chunks);
}

describe('what was not sent', () => {
  it('is nothing as long as the kernel takes it all', async () => {
    const { here } = await connection();
    const unsent = new Unsent(here);
    assert.equal(unsent.write(Buffer.from('hello')), true);
    assert.deepEqual(unsent.take(), Buffer.alloc(0));
  });

  it('is what a successor must send, to the octet, so that the peer sees one stream', async () => {
    const { here, there } = await connection();
    const unsent = new Unsent(here);
    const first = pattern(8 * 1024 * 1024);
    const second = Buffer.from('second');
    assert.equal(unsent.write(first), false);
    unsent.write(second);
    const read: Buffer[] = [];
    there.on('data', (chunk: Buffer) => read.push(chunk));
    // The kernel takes more of the first while the peer reads.
    there.once('data', () => there.pause());
    there.resume();
    await once(there, 'data');
    const rest = unsent.take();
    assert.ok(rest !== undefined && rest.length > second.length && rest.length < first.length);
    const copy = rights.duplicate(descriptorOf(here) ?? -1);
    here.destroy();
    const heir = adoptSocket(copy);
    assert.ok(heir !== undefined);
    sockets.push(heir);
    heir.end(rest);
    there.resume();
    await once(there, 'end');
    assert.ok(Buffer.concat(read).equals(Buffer.concat([first, second])));
  });

  it('is forgotten once it has gone out', async () => {
    const { here, there } = await connection();
    const unsent = new Unsent(here);
    unsent.write(pattern(8 * 1024 * 1024));
    const all = readAll(there);
    there.resume();
    await once(here, 'drain');
    assert.deepEqual(unsent.take(), Buffer.alloc(0));
    unsent.write(Buffer.from('more'));
    assert.deepEqual(unsent.take(), Buffer.alloc(0));
    here.end();
    assert.equal((await all).length, 8 * 1024 * 1024 + 4);
  });

  it('is the same of a queue that never runs dry, of which what has gone out is forgotten', async () => {
    const { here, there } = await connection();
    const unsent = new Unsent(here);
    const chunk = 256 * 1024;
    const all = pattern(64 * chunk);
    let read = 0;
    there.on('data', (bytes: Buffer) => {
      read += bytes.length;
    });
    for (let at = 0; at < all.length; at += chunk) {
      unsent.write(all.subarray(at, at + chunk));
      there.resume();
      // Far behind, but never at the end.
      while (at - read > 24 * chunk) await once(there, 'data');
      there.pause();
      if (at > 32 * chunk) assert.ok(here.writableLength > 0);
    }
    const rest = unsent.take();
    assert.ok(rest !== undefined && rest.length > 0 && rest.length < 40 * chunk);
    assert.ok(rest.equals(all.subarray(all.length - rest.length)));
    assert.ok(unsent.remembered < rest.length + 4 * chunk, `${unsent.remembered} for ${rest.length}`);
  });
});

describe('an adopted socket', () => {
  it('has the addresses of the connection and is not read before it is resumed', async () => {
    const { here, there } = await connection();
    const copy = rights.duplicate(descriptorOf(here) ?? -1);
    const { remotePort, localPort } = here;
    here.destroy();
    const heir = adoptSocket(copy);
    assert.ok(heir !== undefined);
    sockets.push(heir);
    assert.deepEqual(
      [heir.remoteAddress, heir.remotePort, heir.localPort],
      ['127.0.0.1', remotePort, localPort],
    );
    there.end('hello');
    const heard = readAll(heir);
    heir.pause();
    await new Promise((done) => setImmediate(done));
    assert.equal(heir.bytesRead, 0);
    heir.resume();
    assert.equal((await heard).toString(), 'hello');
  });

  it('may read into one buffer, and sees again that its peer has ended', async () => {
    const { here, there } = await connection();
    there.end('bye');
    here.resume();
    await once(here, 'end');
    const copy = rights.duplicate(descriptorOf(here) ?? -1);
    here.destroy();
    const heir = adoptSocket(copy, { buffer: Buffer.alloc(10), callback: () => true });
    assert.ok(heir !== undefined);
    sockets.push(heir);
    heir.resume();
    await once(heir, 'end');
    there.resume();
    heir.end('late');
    await once(there, 'close');
  });

  it('that is none is closed', () => {
    const file = openSync('/dev/null', 'r');
    assert.equal(adoptSocket(file), undefined);
    assert.throws(() => closeSync(file), { code: 'EBADF' });
  });
});
