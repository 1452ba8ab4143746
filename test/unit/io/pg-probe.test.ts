import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { once } from 'node:events';
import net from 'node:net';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { probePostmaster } from '../../../src/io/pg-probe.js';
import { freePort } from '../../support/free-ports.js';
import { temporaryDirectory } from '../../support/tree.js';

/** GSSENCRequest as the PostgreSQL documentation has it ("Message Formats"). */
const REQUEST = Buffer.from('0000000804d21630', 'hex');

async function withServer<T>(
  answer: (socket: net.Socket, asked: Promise<Buffer>) => void,
  probe: (server: net.Server) => Promise<T>,
  where: net.ListenOptions = { host: '127.0.0.1', port: 0 },
): Promise<T> {
  const sockets: net.Socket[] = [];
  const server = net.createServer((socket) => {
    sockets.push(socket);
    socket.on('error', () => {});
    answer(
      socket,
      once(socket, 'data').then(([chunk]) => chunk as Buffer),
    );
  });
  server.listen(where);
  await once(server, 'listening');
  try {
    return await probe(server);
  } finally {
    for (const socket of sockets) socket.destroy();
    server.close();
  }
}

const targetOf = (server: net.Server) => ({
  host: '127.0.0.1',
  port: (server.address() as net.AddressInfo).port,
});

describe('a probe', () => {
  for (const byte of ['N', 'G', 'E']) {
    it(`asks for GSSAPI encryption and takes ${byte} for a sign of life`, async () => {
      let asked: Buffer | undefined;
      const result = await withServer(
        (socket, request) =>
          void request.then((bytes) => {
            asked = bytes;
            socket.write(byte);
          }),
        (server) => probePostmaster(targetOf(server), 5000),
      );
      assert.deepEqual(result, { answered: true, text: '' });
      assert.deepEqual(asked, REQUEST);
    });
  }

  it('works through a Unix socket', async () => {
    const path = join(temporaryDirectory(), '.s.PGSQL.5432');
    const result = await withServer(
      (socket, request) => void request.then(() => socket.write('N')),
      () => probePostmaster({ path }, 5000),
      { path },
    );
    assert.ok(result.answered);
  });

  it('a postmaster that accepts and says nothing has not answered when the time is over', async () => {
    const begun = performance.now();
    const result = await withServer(
      () => {},
      (server) => probePostmaster(targetOf(server), 100),
    );
    assert.deepEqual(result, { answered: false, text: 'no answer within 100 ms' });
    assert.ok(performance.now() - begun >= 99);
  });

  it('one that closes without a word has not answered', async () => {
    const result = await withServer(
      (socket, request) => void request.then(() => socket.end()),
      (server) => probePostmaster(targetOf(server), 5000),
    );
    assert.deepEqual(result, { answered: false, text: 'connection was closed without an answer' });
  });

  it('nobody there: the reason of the system, at once', async () => {
    const port = await freePort();
    assert.deepEqual(await probePostmaster({ host: '127.0.0.1', port }, 5000), {
      answered: false,
      text: 'connection refused',
    });
    const missing = await probePostmaster({ path: join(temporaryDirectory(), 'none') }, 5000);
    assert.deepEqual(missing, { answered: false, text: 'no such file or directory' });
  });

  it('can be cancelled, before and while it runs', async () => {
    const cancelled = { answered: false, text: 'probe was cancelled' };
    assert.deepEqual(
      await probePostmaster({ host: '127.0.0.1', port: 1 }, 5000, AbortSignal.abort()),
      cancelled,
    );
    const control = new AbortController();
    const result = await withServer(
      () => control.abort(),
      (server) => probePostmaster(targetOf(server), 5000, control.signal),
    );
    assert.deepEqual(result, cancelled);
  });
});
