import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import net, { type AddressInfo } from 'node:net';
import { createInterface } from 'node:readline';
import { after, before, describe, it } from 'node:test';
import { ASK_OPTION } from '../../../src/core/protocol/ask.js';
import { encodeMessage, encodeStartup } from '../../../src/core/protocol/startup.js';
import { bundleProgram } from '../../support/bundled-program.js';

const STARTUP = encodeStartup(new Map([['user', 'u']]));
const ASK = encodeStartup(new Map([[ASK_OPTION, '1']]));
const AUTH = encodeMessage('R', Buffer.alloc(4));
const KEY = encodeMessage('K', Buffer.from('0000123489abcdef', 'hex'));
const LARGE = 24 * 1024 * 1024;

let program: string;
const ends: (() => void)[] = [];

before(async () => {
  program = await bundleProgram('test/support/forwarding-process.ts');
});
after(() => {
  for (const end of ends) end();
});

/** A socket that is read piece by piece, when the test wants it. */
class Peer {
  #held: Buffer = Buffer.alloc(0);

  constructor(readonly socket: net.Socket) {
    socket.on('error', () => {});
    ends.push(() => socket.destroy());
    socket.pause();
  }

  async read(length: number): Promise<Buffer> {
    const chunks = [this.#held];
    let got = this.#held.length;
    if (got < length) {
      await new Promise<void>((done) => {
        const stop = (): void => {
          this.socket.off('data', take);
          this.socket.off('end', stop);
          this.socket.off('close', stop);
          this.socket.pause();
          done();
        };
        const take = (chunk: Buffer): void => {
          chunks.push(chunk);
          got += chunk.length;
          if (got >= length) stop();
        };
        this.socket.on('data', take);
        this.socket.on('end', stop);
        this.socket.on('close', stop);
        this.socket.resume();
      });
    }
    const all = Buffer.concat(chunks);
    this.#held = all.subarray(length);
    return all.subarray(0, length);
  }
}

/** A forwarding process and whoever succeeds it, which say what they do on the same pipe. */
class Forwarder {
  readonly #lines: string[] = [];
  #heard: () => void = () => {};
  #at = 0;
  #pid = 0;
  port = 0;

  private constructor(
    readonly child: ChildProcess,
    readonly servers: net.Server,
  ) {
    createInterface(child.stdout!).on('line', (line) => {
      this.#lines.push(line);
      this.#heard();
    });
    ends.push(
      () => process.kill(this.#pid, 'SIGKILL'),
      () => servers.close(),
    );
  }

  static async start(): Promise<Forwarder> {
    const servers = net.createServer({ allowHalfOpen: true, pauseOnConnect: true });
    servers.listen(0, '127.0.0.1');
    await once(servers, 'listening');
    const { port } = servers.address() as AddressInfo;
    const child = spawn(process.execPath, [program, String(port)], { stdio: ['ignore', 'pipe', 'inherit'] });
    const forwarder = new Forwarder(child, servers);
    forwarder.port = Number((await forwarder.said(/^port (\d+)/))[1]);
    await forwarder.#ready();
    return forwarder;
  }

  /** The next line like this. */
  async said(pattern: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      for (; this.#at < this.#lines.length; this.#at += 1) {
        const found = pattern.exec(this.#lines[this.#at] ?? '');
        if (found === null) continue;
        this.#at += 1;
        return found;
      }
      await new Promise<void>((heard) => {
        this.#heard = heard;
      });
    }
  }

  async #ready(): Promise<void> {
    this.#pid = Number((await this.said(/^ready (\d+)/))[1]);
  }

  /** Resolves to what the predecessor and the successor say of it. */
  async handOver(): Promise<readonly [handed: string, took: string]> {
    process.kill(this.#pid, 'SIGUSR2');
    const [, handed = ''] = await this.said(/^handed (.*)/);
    const [, took = ''] = await this.said(/^took (.*)/);
    await this.#ready();
    return [handed, took];
  }

  connect(...packets: readonly Buffer[]): Peer {
    const socket = net.connect({ port: this.port, host: '127.0.0.1', allowHalfOpen: true });
    for (const packet of packets) socket.write(packet);
    return new Peer(socket);
  }

  async server(): Promise<Peer> {
    const [socket] = (await once(this.servers, 'connection')) as [net.Socket];
    return new Peer(socket);
  }

  /** A driver that is served, with its server. */
  async forwarded(): Promise<{ readonly app: Peer; readonly server: Peer }> {
    const next = this.server();
    const app = this.connect(STARTUP);
    const server = await next;
    await server.read(STARTUP.length);
    server.socket.write(Buffer.concat([AUTH, KEY]));
    await app.read(AUTH.length + KEY.length);
    await this.said(/^backend/);
    return { app, server };
  }
}

/** Bytes of which no two places look alike. */
function pattern(length: number): Buffer {
  const bytes = Buffer.alloc(length);
  for (let at = 0; at + 4 <= length; at += 4) bytes.writeUInt32BE(at, at);
  return bytes;
}

describe('a forwarded session that is handed over', () => {
  it('loses and doubles no octet in either direction while both are full, three times over', async () => {
    const forwarder = await Forwarder.start();
    const { app, server } = await forwarder.forwarded();
    const [up, down] = [pattern(LARGE), pattern(LARGE)];
    app.socket.write(up);
    server.socket.write(down);
    const got = { up: [] as Buffer[], down: [] as Buffer[] };
    for (const part of [1, 2, 3]) {
      got.up.push(await server.read((part * LARGE) / 6 - (got.up.length * LARGE) / 6));
      got.down.push(await app.read((part * LARGE) / 6 - (got.down.length * LARGE) / 6));
      const [handed, took] = await forwarder.handOver();
      assert.match(handed, /^3 left 0 /);
      assert.equal(took, '1 0 lost 0');
    }
    const [restUp, restDown] = await Promise.all([server.read(LARGE / 2), app.read(LARGE / 2)]);
    assert.ok(Buffer.concat([...got.up, restUp]).equals(up));
    assert.ok(Buffer.concat([...got.down, restDown]).equals(down));
    const [handed] = await forwarder.handOver();
    const { fromApplication, fromServer } = JSON.parse(handed.replace(/^.*? (?=\{)/, ''));
    assert.deepEqual([fromApplication, fromServer], [LARGE, LARGE + AUTH.length + KEY.length]);
  });

  it('ends as it would have: in order from either end, and hard with the other one', async () => {
    const forwarder = await Forwarder.start();
    const { app, server } = await forwarder.forwarded();
    await forwarder.handOver();
    app.socket.end('last words');
    assert.equal((await server.read(100)).toString(), 'last words');
    server.socket.resetAndDestroy();
    assert.equal((await app.read(1)).length, 0);
    await forwarder.said(/^closed 1/);
  });
});

describe('a connection that is no session yet when it is handed over', () => {
  it('is served by the successor with what it has said so far', async () => {
    const forwarder = await Forwarder.start();
    const app = forwarder.connect(STARTUP.subarray(0, 5));
    const aware = forwarder.connect(ASK);
    await forwarder.said(/^asked/);
    assert.equal((await forwarder.handOver())[1], '1 1 lost 0');
    const next = forwarder.server();
    app.socket.write(STARTUP.subarray(5));
    const server = await next;
    assert.ok((await server.read(STARTUP.length)).equals(STARTUP));
    aware.socket.end();
    await forwarder.said(/^closed/);
  });

  it('and whose server has not answered begins anew at a server, unnoticed by its driver', async () => {
    const forwarder = await Forwarder.start();
    const first = forwarder.server();
    const app = forwarder.connect(STARTUP);
    await (await first).read(STARTUP.length);
    const second = forwarder.server();
    assert.equal((await forwarder.handOver())[1], '0 1 lost 0');
    const server = await second;
    assert.ok((await server.read(STARTUP.length)).equals(STARTUP));
    server.socket.write(AUTH);
    assert.ok((await app.read(AUTH.length)).equals(AUTH));
  });
});
