import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { once } from 'node:events';
import net from 'node:net';
import { after, before, describe, it } from 'node:test';
import { encodeHeartbeat } from '../../../src/core/protocol/codec.js';
import type { HeartbeatMessage } from '../../../src/core/protocol/messages.js';
import { connectFramed, FramedSocket, WRITE_QUEUE_LIMIT } from '../../../src/io/tcp-frames.js';

const BEAT: HeartbeatMessage = { name: 'beat', seq: 1, echoSeq: 0, echoDelayUs: 0, attrVersion: 0 };
const GOODBYE: HeartbeatMessage = { name: 'goodbye', reason: 0, retryAfterMs: 0, text: 'x'.repeat(400) };

/** What a framed socket told, in order; `closed` resolves with its text. */
class Ear {
  readonly told: string[] = [];
  readonly closed: Promise<string>;
  readonly events = {
    message: (message: HeartbeatMessage | undefined): void => this.#hear(`message ${message?.name}`),
    violated: (text: string): void => this.#hear(`violated: ${text}`),
    closed: (text: string): void => {
      this.#hear(`closed: ${text}`);
      this.#close(text);
    },
    connected: (): void => this.#hear('connected'),
  };
  #close: (text: string) => void = () => {};
  #waiting: (readonly [string, () => void])[] = [];

  constructor() {
    this.closed = new Promise((resolve) => {
      this.#close = resolve;
    });
  }

  /** Resolves when something was told that begins so. */
  heard(start: string): Promise<void> {
    if (this.told.some((text) => text.startsWith(start))) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push([start, resolve]));
  }

  #hear(text: string): void {
    this.told.push(text);
    for (const [start, resolve] of this.#waiting) if (text.startsWith(start)) resolve();
  }
}

let server: net.Server;
let port: number;
before(async () => {
  server = net.createServer({ allowHalfOpen: true });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  port = (server.address() as net.AddressInfo).port;
});
after(() => {
  server.close();
});

/** A framed socket and the raw other end of its connection. */
async function pair(): Promise<{ framed: FramedSocket; ear: Ear; raw: net.Socket }> {
  const ear = new Ear();
  const accepted = once(server, 'connection');
  const framed = connectFramed({ address: '127.0.0.1', port }, ear.events);
  const [raw] = (await accepted) as [net.Socket];
  raw.on('error', () => {});
  await ear.heard('connected');
  return { framed, ear, raw };
}

describe('a framed socket', () => {
  it('delivers messages wherever the stream is cut', async () => {
    const { framed, ear, raw } = await pair();
    const bytes = Buffer.concat([encodeHeartbeat(BEAT), encodeHeartbeat({ name: 'goodbyeAck' })]);
    for (const byte of bytes) {
      raw.write(Buffer.from([byte]));
      await new Promise((resolve) => setImmediate(resolve));
    }
    await ear.heard('message goodbyeAck');
    assert.deepEqual(ear.told, ['connected', 'message beat', 'message goodbyeAck']);
    framed.destroy();
    await ear.closed;
  });

  it('sends what it is given and knows both addresses, also after the end', async () => {
    const { framed, ear, raw } = await pair();
    framed.send(BEAT);
    framed.sendEncoded(encodeHeartbeat({ name: 'goodbyeAck' }));
    framed.end();
    const chunks: Buffer[] = [];
    for await (const chunk of raw) chunks.push(chunk as Buffer);
    raw.end();
    assert.deepEqual(
      Buffer.concat(chunks),
      Buffer.concat([encodeHeartbeat(BEAT), encodeHeartbeat({ name: 'goodbyeAck' })]),
    );
    await ear.closed;
    assert.deepEqual([framed.remoteAddress, framed.localAddress], ['127.0.0.1', '127.0.0.1']);
    framed.send(BEAT);
    framed.end();
    framed.destroy();
  });

  it('says how it ended, once: by the peer, by a reset, by itself', async () => {
    const ended = await pair();
    ended.raw.end();
    assert.equal(await ended.ear.closed, 'connection closed by peer');
    const reset = await pair();
    reset.raw.resetAndDestroy();
    assert.match(await reset.ear.closed, /connection reset by peer|connection closed by peer/);
    const own = await pair();
    own.framed.destroy();
    own.framed.destroy();
    assert.equal(await own.ear.closed, 'connection closed');
    assert.equal(own.ear.told.filter((text) => text.startsWith('closed')).length, 1);
  });

  it('a peer that breaks the protocol is told to the owner, then destroyed; nothing behind it is delivered', async () => {
    const { ear, raw } = await pair();
    raw.write(
      Buffer.concat([encodeHeartbeat(BEAT), Buffer.from('GET / HTTP/1.1\r\n\r\n'), encodeHeartbeat(BEAT)]),
    );
    await ear.closed;
    assert.equal(ear.told[1], 'message beat');
    assert.match(ear.told[2] ?? '', /^violated: frame length \d+/);
    assert.match(ear.told[3] ?? '', /^closed: frame length/);
    assert.equal(ear.told.length, 4);
  });

  it('an owner may still say goodbye to a peer that broke the protocol', async () => {
    const accepted = once(server, 'connection');
    const client = net.connect(port, '127.0.0.1');
    const [socket] = (await accepted) as [net.Socket];
    const ear = new Ear();
    const framed = new FramedSocket(socket, {
      ...ear.events,
      violated: () => {
        framed.send({ name: 'goodbyeAck' });
        framed.end();
      },
    });
    client.write(Buffer.alloc(64, 0xff));
    const chunks: Buffer[] = [];
    for await (const chunk of client) chunks.push(chunk as Buffer);
    assert.deepEqual(Buffer.concat(chunks), encodeHeartbeat({ name: 'goodbyeAck' }));
    await ear.closed;
  });

  it('frames are bounded at 512 octets until the limit is raised', async () => {
    const long: HeartbeatMessage = {
      name: 'welcome',
      version: 1,
      intervalMs: 1,
      timeoutMs: 1,
      restartGraceMs: 1,
      bootId: 'a'.repeat(32),
      systemIdentifier: 0n,
      maxFrame: 4096,
      software: 'x'.repeat(400),
    };
    const frame = encodeHeartbeat(long);
    const padded = Buffer.concat([frame, Buffer.from([0, 99, 0, 200]), Buffer.alloc(200)]);
    padded.writeUInt32BE(padded.length - 4, 0);
    const bounded = await pair();
    bounded.raw.write(padded);
    await bounded.ear.heard('violated');
    const raised = await pair();
    raised.framed.setLimit(4096);
    raised.raw.write(padded);
    await raised.ear.heard('message welcome');
    raised.framed.destroy();
    await Promise.all([bounded.ear.closed, raised.ear.closed]);
  });

  it('a peer that does not read is closed when 64 kB wait for it', async () => {
    const { framed, ear, raw } = await pair();
    raw.pause();
    const size = encodeHeartbeat(GOODBYE).length;
    // Far more than all buffers of the kernel.
    const most = (64 * 1024 * 1024) / size;
    let sent = 0;
    while (ear.told.length === 1 && sent < most) {
      for (let burst = 0; burst < WRITE_QUEUE_LIMIT / size / 4; burst += 1, sent += 1) framed.send(GOODBYE);
      await new Promise((resolve) => setImmediate(resolve));
    }
    assert.match(await ear.closed, /peer does not read/);
    raw.destroy();
  });

  it('an attempt to connect that fails is closed with the reason', async () => {
    const refused = new Ear();
    const free = net.createServer().listen(0, '127.0.0.1');
    await once(free, 'listening');
    const { port: unused } = free.address() as net.AddressInfo;
    free.close();
    await once(free, 'close');
    connectFramed({ address: '127.0.0.1', port: unused }, refused.events);
    assert.equal(await refused.closed, 'connection refused');
    assert.deepEqual(refused.told, ['closed: connection refused']);
  });

  it('an attempt that is given up before it is connected is closed without connecting', async () => {
    const ear = new Ear();
    const framed = connectFramed({ address: '127.0.0.1', port }, ear.events);
    framed.end();
    assert.equal(await ear.closed, 'connection closed');
    assert.deepEqual(ear.told, ['closed: connection closed']);
  });
});
