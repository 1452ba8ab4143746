import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { once } from 'node:events';
import net, { type AddressInfo, type Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { describe, it } from 'node:test';
import type { ListenerRule } from '../../../src/conmgr/app-listeners.js';
import { AppPort, SLICE } from '../../../src/conmgr/app-port.js';
import type { ConsoleWorld } from '../../../src/conmgr/console-connection.js';
import { Gateway } from '../../../src/conmgr/gateway.js';
import { CONMGR_MESSAGES } from '../../../src/core/messages/conmgr.js';
import type { MessageParams } from '../../../src/core/messages/message.js';
import { rateLimitKey } from '../../../src/core/messages/rate-limit.js';
import {
  type ConmgrMessage,
  decodeConmgrMessage,
  encodeConmgrMessage,
} from '../../../src/core/protocol/first-phase.js';
import { encodeCancelRequest } from '../../../src/core/protocol/startup.js';
import { backgroundClock, systemClock } from '../../../src/io/clock.js';
import { eventually } from '../../support/eventually.js';
import { FakeClock } from '../../support/fake-clock.js';
import { questionFor } from '../../support/question.js';
import { QUIET_OPTIONS, quietGateway } from '../../support/quiet-gateway.js';

const LISTENER: ListenerRule = { port: 2, target: () => 'any', forwards: () => false };
const NO_GATEWAY = quietGateway();

const NO_CONSOLE: ConsoleWorld = { software: 'conmgr', facts: () => Promise.reject(new Error('no facts')) };

/** The end of an application's connection that keeps what it is sent. */
class SinkSocket extends Duplex {
  readonly localPort = 2;
  #bytes = Buffer.alloc(0);

  constructor(
    readonly remoteAddress = '127.0.0.1',
    readonly remotePort = 1,
  ) {
    super();
  }

  get messages(): readonly ConmgrMessage[] {
    const found: ConmgrMessage[] = [];
    for (let at = 0; at < this.#bytes.length; ) {
      const end = at + 1 + this.#bytes.readUInt32BE(at + 1);
      const message = decodeConmgrMessage(this.#bytes.subarray(at + 5, end));
      assert.ok(typeof message === 'object');
      found.push(message);
      at = end;
    }
    return found;
  }

  /** What the kernel was asked for; undefined: nothing. */
  keptAlive: { readonly on: boolean; readonly delayMs: number } | undefined;

  setNoDelay(): this {
    return this;
  }

  setKeepAlive(on: boolean, delayMs: number): this {
    this.keptAlive = { on, delayMs };
    return this;
  }

  override _read(): void {}

  /** The application closes its end as soon as conmgr has closed its own. */
  override _final(callback: () => void): void {
    this.push(null);
    callback();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: () => void): void {
    this.#bytes = Buffer.concat([this.#bytes, chunk]);
    callback();
  }
}

const changed = (instance: number, bits: number): ConmgrMessage => ({
  kind: 'changed',
  view: bits,
  instance,
  bits,
});
const down: ConmgrMessage = {
  kind: 'down',
  view: 1,
  instance: 0,
  action: 'drop',
  reason: 'instance down',
  text: '',
};

describe('messages to many applications', () => {
  /** Sends all of `tellings` to all of so many applications before a further slice can go out; what the first and the last get. */
  async function sent(tellings: readonly ConmgrMessage[], applications: number): Promise<string[][]> {
    const port = new AppPort({
      clock: systemClock,
      allowed: () => ({ connections: applications, limit: applications }),
      silentAfterMs: () => 20_000,
      gateway: NO_GATEWAY,
      console: NO_CONSOLE,
      events: { asked: () => {}, bound: () => {}, backend: () => {}, closed: () => {}, report: () => {} },
    });
    const sockets = Array.from({ length: applications }, () => new SinkSocket());
    for (const socket of sockets) port.accept(socket as unknown as Socket, LISTENER);
    const ids = sockets.map((_none, at) => at + 1);
    for (const message of tellings) port.tell(ids, [message], false);
    await port.drain(10_000);
    return [sockets[0], sockets.at(-1)].map((socket) =>
      (socket?.messages ?? []).map((message) =>
        message.kind === 'changed' ? `${message.instance}:${message.bits}` : message.kind,
      ),
    );
  }

  it('a CHANGED that is out of date before it went out is not sent: an instance that flaps fills no memory', async () => {
    const flapping = Array.from({ length: 1000 }, (_none, at) => changed(0, at));
    const [first, last] = await sent(flapping, SLICE + 1);
    assert.deepEqual(first, ['0:0', '0:999']);
    assert.deepEqual(last, ['0:999']);
  });

  it('what is told of other instances, and every DOWN, is sent in its order', async () => {
    const [first, last] = await sent(
      [changed(0, 1), changed(1, 2), down, changed(0, 3), changed(1, 4), down],
      SLICE + 1,
    );
    assert.deepEqual(first, ['0:1', 'down', '0:3', '1:4', 'down']);
    assert.deepEqual(last, ['down', '0:3', '1:4', 'down']);
  });

  it('PING that has not gone out is not doubled', async () => {
    const [first, last] = await sent([down, { kind: 'ping' }, { kind: 'ping' }], SLICE + 1);
    assert.deepEqual(first, ['down', 'ping']);
    assert.deepEqual(last, ['down', 'ping']);
    assert.equal(encodeConmgrMessage({ kind: 'ping' }).length, 6);
  });
});

describe('a stranger', () => {
  it('is named by address and port in a way that the limit on messages tells apart, over IPv6 as well', async () => {
    for (const address of ['127.0.0.1', '::1', 'fe80::1%eth0']) {
      const keys = new Set<string>();
      for (const remotePort of [40_001, 40_002]) {
        const params = await new Promise<MessageParams>((resolve) => {
          const port = new AppPort({
            clock: backgroundClock,
            allowed: () => ({ connections: 10, limit: 10 }),
            silentAfterMs: () => 20_000,
            gateway: NO_GATEWAY,
            console: NO_CONSOLE,
            events: {
              asked: () => {},
              bound: () => {},
              backend: () => {},
              closed: () => {},
              report: (_message, given) => resolve(given),
            },
          });
          const socket = new SinkSocket(address, remotePort);
          port.accept(socket as unknown as Socket, LISTENER);
          socket.push('GET / HTTP/1.1\r\n');
        });
        keys.add(rateLimitKey(CONMGR_MESSAGES.badClient, params));
      }
      assert.equal(keys.size, 1, address);
    }
  });
});

describe('a connection that has not said anything', () => {
  it('is given up after 3 s, but not before what lies unread of it has been read', async () => {
    const clock = new FakeClock();
    const asked: number[] = [];
    const port = new AppPort({
      clock,
      allowed: () => ({ connections: 10, limit: 10 }),
      silentAfterMs: () => 20_000,
      gateway: NO_GATEWAY,
      console: NO_CONSOLE,
      events: {
        asked: (session) => void asked.push(session),
        bound: () => {},
        backend: () => {},
        closed: () => {},
        report: () => {},
      },
    });
    const [late, silent] = [new SinkSocket('127.0.0.1', 1), new SinkSocket('127.0.0.1', 2)];
    for (const socket of [late, silent]) port.accept(socket as unknown as Socket, LISTENER);
    // The process has not come round to anything for that long; one of them has asked meanwhile.
    clock.advance(4000);
    late.push(questionFor('any'));
    await eventually(() => silent.destroyed, { everyMs: 1, what: 'the silent one is given up' });
    assert.deepEqual(asked, [1]);
    assert.equal(late.destroyed, false);
    late.destroy();
  });
});

describe('an application on another host', () => {
  function accepted(address: string, silentAfterMs: number): SinkSocket {
    const port = new AppPort({
      clock: backgroundClock,
      allowed: () => ({ connections: 10, limit: 10 }),
      silentAfterMs: () => silentAfterMs,
      gateway: NO_GATEWAY,
      console: NO_CONSOLE,
      events: { asked: () => {}, bound: () => {}, backend: () => {}, closed: () => {}, report: () => {} },
    });
    const socket = new SinkSocket(address);
    port.accept(socket as unknown as Socket, LISTENER);
    socket.destroy();
    return socket;
  }

  it('is asked by TCP for a sign of life, and counts as gone after heartbeat_timeout in all', () => {
    for (const address of ['192.0.2.7', '::ffff:192.0.2.7', '2001:db8::7']) {
      // Ten questions, a second apart, follow the delay.
      assert.deepEqual(accepted(address, 20_000).keptAlive, { on: true, delayMs: 10_000 }, address);
    }
  });

  it('is never asked before a second of silence', () => {
    for (const silentAfterMs of [50, 3000, 11_000]) {
      assert.deepEqual(accepted('192.0.2.7', silentAfterMs).keptAlive, { on: true, delayMs: 1000 });
    }
  });

  it('is told from one on this host, which needs no questions', () => {
    for (const address of ['127.0.0.1', '127.9.9.9', '::1', '::ffff:127.0.0.1']) {
      assert.equal(accepted(address, 20_000).keptAlive, undefined, address);
    }
  });
});

describe('a CancelRequest', () => {
  it('is handed on once: not again with what follows it, and not by a successor', async () => {
    const answered: (() => void)[] = [];
    const requests: number[] = [];
    class SlowGateway extends Gateway {
      override cancel({ pid }: { readonly pid: number }): Promise<void> {
        requests.push(pid);
        return new Promise((done) => answered.push(done));
      }
    }
    const gateway = new SlowGateway(QUIET_OPTIONS);
    const port = new AppPort({
      clock: systemClock,
      allowed: () => ({ connections: 10, limit: 10 }),
      silentAfterMs: () => 20_000,
      gateway,
      console: NO_CONSOLE,
      events: { asked: () => {}, bound: () => {}, backend: () => {}, closed: () => {}, report: () => {} },
    });
    const server = net.createServer((socket) => port.accept(socket, LISTENER)).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const application = net.connect((server.address() as AddressInfo).port, '127.0.0.1');
    const over = once(application.resume(), 'close');
    const packet = encodeCancelRequest(7, Buffer.alloc(4));
    application.write(packet.subarray(0, 10));
    await eventually(() => port.connection(1) !== undefined, { everyMs: 1, what: 'it is accepted' });
    assert.deepEqual([...port.handOver().keys()], [1]);
    port.thaw();
    application.write(Buffer.concat([packet.subarray(10), Buffer.from('more')]));
    await eventually(() => requests.length > 0, { everyMs: 1, what: 'it is handed on' });
    application.write('still more');
    assert.deepEqual([...port.handOver().keys()], []);
    port.thaw();
    answered[0]?.();
    await over;
    assert.deepEqual(requests, [7]);
    server.close();
  });
});
