import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { eventually } from '../../support/eventually.js';
import { freePort } from '../../support/free-ports.js';
import { Relay, resetSocket } from '../../support/relay.js';

/** A client of the relay and the connection the server got for it; `text` is what has arrived at each. */
interface Ends {
  readonly client: Socket;
  readonly server: Socket;
  readonly text: { atClient: string; atServer: string };
  /** How each side saw the connection end: "end", or the code of the error. */
  readonly ending: { atClient?: string; atServer?: string };
}

describe('the relay', () => {
  let server: Server;
  let relay: Relay;
  let target: { host: string; port: number };
  const sockets: Socket[] = [];

  before(async () => {
    target = { host: '127.0.0.1', port: await freePort() };
    server = createServer({ allowHalfOpen: true }).listen(target.port, target.host);
    await once(server, 'listening');
  });
  after(() => {
    server.close();
  });
  beforeEach(async () => {
    relay = await Relay.start(target);
  });
  afterEach(() => {
    relay.close();
    for (const socket of sockets.splice(0)) socket.destroy();
  });

  function connectClient(): Socket {
    const client = connect({ host: relay.host, port: relay.port, allowHalfOpen: true });
    sockets.push(client);
    return client.on('error', () => {});
  }

  async function open(): Promise<Ends> {
    const accepted = once(server, 'connection') as Promise<[Socket]>;
    const client = connectClient();
    const [other] = await accepted;
    sockets.push(other);
    const text = { atClient: '', atServer: '' };
    const ending: Ends['ending'] = {};
    for (const [socket, side] of [
      [client, 'atClient'],
      [other, 'atServer'],
    ] as const) {
      socket.on('data', (bytes) => {
        text[side] += bytes.toString();
      });
      socket.on('end', () => {
        ending[side] = 'end';
      });
      socket.on('error', (error: NodeJS.ErrnoException) => {
        ending[side] = error.code ?? error.message;
      });
    }
    return { client, server: other, text, ending };
  }

  const becomes = (probe: () => unknown, value: unknown): Promise<unknown> =>
    eventually(() => probe() === value, { everyMs: 1, what: `${probe} is ${value}` });

  /** Proves that what was sent before does not arrive: something sent later on a second connection does. */
  async function roundTripBeside(): Promise<void> {
    const beside = await open();
    beside.client.write('x');
    await becomes(() => beside.text.atServer, 'x');
    beside.server.write('y');
    await becomes(() => beside.text.atClient, 'y');
  }

  it('passes bytes and half-closes both ways', async () => {
    const { client, server: other, text, ending } = await open();
    client.end('question');
    await becomes(() => ending.atServer, 'end');
    assert.equal(text.atServer, 'question');
    other.end('answer');
    await becomes(() => ending.atClient, 'end');
    assert.equal(text.atClient, 'answer');
    await becomes(() => relay.connections, 0);
  });

  it('passes nothing in the direction that is paused, ends neither, and everything after resume', async () => {
    const { client, server: other, text, ending } = await open();
    relay.pause('toServer');
    client.end('held');
    other.write('free');
    await becomes(() => text.atClient, 'free');
    assert.equal(text.atServer, '');
    relay.resume();
    await becomes(() => ending.atServer, 'end');
    assert.equal(text.atServer, 'held');
  });

  it('passes nothing in either direction while paused and takes new connections without the server', async () => {
    const { client, server: other, text } = await open();
    relay.pause();
    client.write('a');
    other.write('b');
    const late = connectClient();
    await once(late, 'connect');
    assert.deepEqual(text, { atClient: '', atServer: '' });
    const accepted = once(server, 'connection') as Promise<[Socket]>;
    relay.resume();
    sockets.push((await accepted)[0]);
    await becomes(() => text.atClient, 'b');
    await becomes(() => text.atServer, 'a');
  });

  it('makes a writer feel the silence: its buffers fill up', async () => {
    const { client } = await open();
    relay.pause('toServer');
    const block = Buffer.alloc(1 << 20);
    for (let i = 0; i < 64; i++) client.write(block);
    assert.ok(client.writableLength > 0);
    let drained = false;
    client.on('drain', () => {
      drained = true;
    });
    await roundTripOfKernel();
    assert.equal(drained, false);
    relay.resume();
    await becomes(() => drained, true);
  });

  /** Lets pending IO of this process happen. */
  async function roundTripOfKernel(): Promise<void> {
    const probe = connect(target);
    sockets.push(probe);
    await once(probe, 'connect');
  }

  it('passes bytes later by the delay, in order', async () => {
    const { client, text } = await open();
    relay.delay(60, 'toServer');
    const before = performance.now();
    client.write('a');
    await becomes(() => text.atServer, 'a');
    assert.ok(performance.now() - before >= 59);
    client.write('b');
    relay.delay(0);
    client.end('c');
    await becomes(() => text.atServer, 'abc');
  });

  it('passes a stream on in pieces', async () => {
    const { client, server: other, text } = await open();
    const sizes: number[] = [];
    other.on('data', (bytes) => sizes.push(bytes.length));
    relay.chop(2, 'toServer');
    client.write('abcde');
    await becomes(() => text.atServer, 'abcde');
    assert.ok(Math.max(...sizes) <= 4, `pieces of ${sizes}`);
  });

  it('resets connections on both sides', async () => {
    const { ending } = await open();
    relay.reset();
    await becomes(() => ending.atClient, 'ECONNRESET');
    await becomes(() => ending.atServer, 'ECONNRESET');
    assert.equal(relay.connections, 0);
  });

  it('passes on a reset by either side', async () => {
    const { client, ending } = await open();
    resetSocket(client);
    await becomes(() => ending.atServer, 'ECONNRESET');
  });

  it('refuses who connects, keeps who is connected, and accepts again', async () => {
    const { client, text } = await open();
    relay.refuse();
    const [error] = (await once(connectClient(), 'error')) as [NodeJS.ErrnoException];
    assert.equal(error.code, 'ECONNREFUSED');
    client.write('still');
    await becomes(() => text.atServer, 'still');
    await relay.accept();
    await roundTripBeside();
  });

  it('cuts a stream after so many bytes: by its end, by a reset, by silence', async () => {
    const ended = await open();
    relay.cutAfter(3, 'toServer', 'end');
    ended.client.write('abcdef');
    await becomes(() => ended.ending.atServer, 'end');
    assert.equal(ended.text.atServer, 'abc');

    const broken = await open();
    relay.cutAfter(3, 'toServer', 'reset');
    broken.client.write('abcdef');
    await becomes(() => broken.ending.atServer, 'ECONNRESET');
    await becomes(() => broken.ending.atClient, 'ECONNRESET');

    const silent = await open();
    relay.cutAfter(3, 'toServer', 'silence');
    silent.client.write('abcdef');
    await becomes(() => silent.text.atServer, 'abc');
    silent.client.write('ghi');
    await roundTripBeside();
    assert.equal(silent.text.atServer, 'abc');
    assert.equal(silent.ending.atServer, undefined);
  });

  it('resets the client of a server that refuses', async () => {
    const nobody = await Relay.start({ host: '127.0.0.1', port: await freePort() });
    const client = connect({ host: nobody.host, port: nobody.port });
    const [error] = (await once(client, 'error')) as [NodeJS.ErrnoException];
    assert.equal(error.code, 'ECONNRESET');
    nobody.close();
  });
});
