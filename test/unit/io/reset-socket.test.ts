import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import net from 'node:net';
import { after, before, describe, it } from 'node:test';
import { resetNow } from '../../../src/io/reset-socket.js';
import { eventually } from '../../support/eventually.js';

const descriptors = (): number => readdirSync('/proc/self/fd').length;

describe('a connection that is reset at once', () => {
  const server = net.createServer({ allowHalfOpen: true, pauseOnConnect: true });
  let port = 0;
  before(async () => {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    ({ port } = server.address() as net.AddressInfo);
  });
  after(() => server.close());

  async function pair(): Promise<{ own: net.Socket; peer: net.Socket }> {
    const accepted = once(server, 'connection');
    const own = net.connect({ port, host: '127.0.0.1' });
    own.on('error', () => {});
    const [peer] = (await accepted) as [net.Socket];
    peer.on('error', () => {});
    if (own.connecting) await once(own, 'connect');
    return { own, peer };
  }

  it('is told to the peer as a reset', async () => {
    const { own, peer } = await pair();
    const told = once(peer, 'error');
    peer.resume();
    const closed = once(own, 'close');
    resetNow(own);
    assert.equal(((await told)[0] as NodeJS.ErrnoException).code, 'ECONNRESET');
    await closed;
  });

  it('does not wait for a peer that takes nothing of what is queued', async () => {
    const { own, peer } = await pair();
    own.write(Buffer.alloc(16 * 1024 * 1024));
    await eventually(() => own.bytesWritten > 0 && own.writableLength > 0, { what: 'octets are queued' });
    const closed = once(own, 'close');
    resetNow(own);
    await closed;
    peer.destroy();
  });

  it('gives its descriptor back although the end of the peer was read in the same turn', async () => {
    const before = descriptors();
    for (let round = 0; round < 5; round += 1) {
      const { own, peer } = await pair();
      own.resume();
      // The turn in which the end was read and answered: the shutdown is under way when the reset comes.
      let closed = false;
      own.once('close', () => {
        closed = true;
      });
      own.once('end', () => {
        const whenEnded = (): void => {
          if (own.writableEnded) resetNow(own);
          else process.nextTick(whenEnded);
        };
        whenEnded();
      });
      peer.end();
      await eventually(() => closed, { what: 'the connection says that it is closed', timeoutMs: 2000 });
      peer.destroy();
    }
    await eventually(() => descriptors() <= before, { what: 'all descriptors are given back' });
  });

  it('is closed when it is not connected yet, and left alone when it is gone', async () => {
    const own = net.connect({ port, host: '127.0.0.1' });
    own.on('error', () => {});
    const closed = once(own, 'close');
    resetNow(own);
    await closed;
    resetNow(own);
    assert.ok(own.destroyed);
  });
});
