import assert from 'node:assert/strict';
import { once } from 'node:events';
import { fstatSync, openSync } from 'node:fs';
import net from 'node:net';
import { describe, it } from 'node:test';
import { loadNative, type Native } from '../../../src/io/native.js';
import { descriptorOf } from '../../../src/io/socket-handle.js';
import { adoptListener, ListenError, type Listener, listen } from '../../../src/io/tcp-listener.js';
import { UnixRights } from '../../../src/io/unix-rights.js';
import { freePort } from '../../support/free-ports.js';

const ignore = (socket: net.Socket): void => {
  socket.destroy();
};

async function connects(host: string, port: number): Promise<boolean> {
  const socket = net.connect({ host, port });
  const connected = await Promise.race([
    once(socket, 'connect').then(() => true),
    once(socket, 'error').then(() => false),
  ]).catch(() => false);
  socket.destroy();
  return connected;
}

async function failure(promise: Promise<Listener>): Promise<ListenError> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof ListenError);
  return error;
}

describe('a listener', () => {
  it('localhost means the two loopback constants, one of which may be missing', async () => {
    const port = await freePort();
    const listener = await listen({ addresses: ['localhost'], port, onConnection: ignore });
    assert.ok(listener.addresses.includes('127.0.0.1'));
    assert.deepEqual(
      new Set([...listener.addresses, ...listener.missing.map(({ address }) => address)]),
      new Set(['127.0.0.1', '::1']),
    );
    for (const address of listener.addresses) assert.ok(await connects(address, port));
    await listener.close();
    assert.ok(!(await connects('127.0.0.1', port)));
  });

  it('an address this host does not have is missing, and the others are bound', async () => {
    const port = await freePort();
    const listener = await listen({ addresses: ['192.0.2.77', '127.0.0.1'], port, onConnection: ignore });
    assert.deepEqual(listener.addresses, ['127.0.0.1']);
    assert.deepEqual(
      listener.missing.map(({ address, code }) => [address, code]),
      [['192.0.2.77', 'EADDRNOTAVAIL']],
    );
    await listener.close();
  });

  it('no address at all is an error that says why', async () => {
    const port = await freePort();
    const error = await failure(listen({ addresses: ['192.0.2.77'], port, onConnection: ignore }));
    assert.match(
      error.message,
      new RegExp(`could not listen on port ${port}: 192\\.0\\.2\\.77: address not available`),
    );
    assert.ok(!error.inUse);
    assert.match(
      (await failure(listen({ addresses: [], port, onConnection: ignore }))).message,
      /no address given/,
    );
  });

  it('a port that is in use on one address is an error, and nothing stays open', async () => {
    const port = await freePort();
    const first = await listen({ addresses: ['127.0.0.2'], port, onConnection: ignore });
    const error = await failure(
      listen({ addresses: ['127.0.0.1', '127.0.0.2'], port, onConnection: ignore }),
    );
    assert.ok(error.inUse);
    assert.match(error.message, /127\.0\.0\.2: address already in use/);
    assert.ok(!(await connects('127.0.0.1', port)));
    await first.close();
  });

  it('an address that is named twice is bound once', async () => {
    const port = await freePort();
    const listener = await listen({
      addresses: ['127.0.0.1', 'localhost', '127.0.0.1'],
      port,
      onConnection: ignore,
    });
    assert.equal(listener.addresses.filter((address) => address === '127.0.0.1').length, 1);
    await listener.close();
  });

  it('* means all addresses of both families', async () => {
    const port = await freePort();
    const listener = await listen({ addresses: ['*'], port, onConnection: ignore });
    assert.ok(await connects('127.0.0.3', port));
    await listener.close();
  });

  it('connections that were accepted outlive the listener', async () => {
    const port = await freePort();
    let accepted: (socket: net.Socket) => void = () => {};
    const first = new Promise<net.Socket>((resolve) => {
      accepted = resolve;
    });
    const listener = await listen({ addresses: ['127.0.0.1'], port, onConnection: accepted });
    const client = net.connect(port, '127.0.0.1');
    const socket = await first;
    await listener.close();
    const data = once(client, 'data');
    socket.write('still there');
    assert.equal(String((await data)[0]), 'still there');
    client.destroy();
    socket.destroy();
  });
});

describe('a descriptor that is taken over', () => {
  const rights = new UnixRights(loadNative() as Native);

  it('is listened on at once', async () => {
    const port = await freePort();
    const before = await listen({ addresses: ['127.0.0.1'], port, onConnection: ignore });
    const copy = rights.duplicate(before.sockets[0]?.fd ?? -1);
    await before.close();
    const server = adoptListener(copy, 511, ignore);
    assert.ok(server?.listening);
    assert.ok(await connects('127.0.0.1', port));
    await new Promise((done) => server.close(done));
  });

  it('is closed when it is no socket, or none that listens', async () => {
    const port = await freePort();
    const listener = await listen({ addresses: ['127.0.0.1'], port, onConnection: ignore });
    const client = net.connect(port, '127.0.0.1');
    client.on('error', () => {});
    await once(client, 'connect');
    const others = [() => openSync('/dev/null', 'r'), () => rights.duplicate(descriptorOf(client) ?? -1)];
    for (const other of others) {
      const fd = other();
      assert.equal(adoptListener(fd, 511, ignore), undefined);
      assert.throws(() => fstatSync(fd), /EBADF/);
      // Node.js says so in the next turn, which must not be the end of the process.
      await new Promise(setImmediate);
    }
    client.destroy();
    await listener.close();
  });
});
