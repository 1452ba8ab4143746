import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { after, afterEach, before, describe, it } from 'node:test';
import pg from 'pg';
import { decodeErrorResponse, encodeStartup } from '../../src/core/protocol/startup.js';
import { eventually } from '../support/eventually.js';
import { type FirstPhaseClient, sendRaw } from '../support/first-phase-client.js';
import { startCommand } from '../support/running.js';
import { ScriptedSet } from '../support/scripted-set.js';
import { PRIMARY, STANDBY } from '../support/scripted-watchdog.js';

const EPS_MS = 500;
/** A full start-up packet must have come by then. */
const STARTUP_MS = 3000;

const SSL_REQUEST = Buffer.from([0, 0, 0, 8, 4, 210, 22, 47]);
const GSSENC_REQUEST = Buffer.from([0, 0, 0, 8, 4, 210, 22, 48]);
const CANCEL_REQUEST = Buffer.concat([Buffer.from([0, 0, 0, 16, 4, 210, 22, 46]), Buffer.alloc(8, 1)]);
const STOCK_STARTUP = encodeStartup([
  ['user', 'app'],
  ['database', 'app'],
]);

/** The fields of the one ErrorResponse that `bytes` must be. */
function errorIn(bytes: Buffer): ReadonlyMap<string, string> {
  assert.equal(bytes.toString('latin1', 0, 1), 'E');
  assert.equal(bytes.readUInt32BE(1), bytes.length - 1);
  return decodeErrorResponse(bytes.subarray(5));
}

describe('a stock driver on the port while gateway is off', () => {
  let set: ScriptedSet;
  before(async () => {
    set = await ScriptedSet.start([PRIMARY], { settings: { gateway: 'off' } });
  });
  after(() => set.end());

  it('gets one ErrorResponse 57P03 that names the way out, and nothing that it did not ask for', async () => {
    const { received } = await sendRaw(set.conmgr.port, [STOCK_STARTUP]);
    const error = errorIn(received);
    assert.equal(error.get('C'), '57P03');
    assert.match(error.get('M') ?? '', /^conmgr: /);
    assert.match(error.get('H') ?? '', /connect to the server directly/);
    await set.conmgr.logged(
      /LOG: +refused connection of a driver that does not know conmgr, from 127\.0\.0\.1:\d+/,
    );
  });

  it('is told N when it asks for encryption, in either way and both, and may then go on in plain text', async () => {
    for (const requests of [[SSL_REQUEST], [GSSENC_REQUEST], [GSSENC_REQUEST, SSL_REQUEST]]) {
      const socket = connect(set.conmgr.port, '127.0.0.1');
      const answers: Buffer[] = [];
      socket.on('data', (chunk: Buffer) => answers.push(chunk));
      const all = (): Buffer => Buffer.concat(answers);
      for (const [at, request] of requests.entries()) {
        socket.write(request);
        await eventually(() => all().length > at, { everyMs: 1, what: 'the request is answered' });
        assert.equal(all().toString('latin1'), 'N'.repeat(at + 1));
      }
      const ended = new Promise((resolve) => socket.once('close', resolve));
      socket.write(STOCK_STARTUP);
      await ended;
      assert.equal(errorIn(all().subarray(requests.length)).get('C'), '57P03');
    }
  });

  it('that begins with TLS at once is closed, for nothing could be said to it', async () => {
    const { received } = await sendRaw(set.conmgr.port, [Buffer.from('16030100f8010000f40303', 'hex')]);
    assert.equal(received.length, 0);
    await set.conmgr.logged(/LOG: +closed application connection .*: direct TLS is not served on this port/);
  });

  it("node-postgres reports it as the server's error", async () => {
    const options = { host: '127.0.0.1', port: set.conmgr.port, user: 'app', database: 'app' };
    await assert.rejects(new pg.Client(options).connect(), (error: Error & { code?: string }) => {
      return error.code === '57P03' && error.message.startsWith('conmgr: ');
    });
    await assert.rejects(
      new pg.Client({ ...options, ssl: true }).connect(),
      /server does not support SSL connections/,
    );
  });

  it('psql shows message, detail and hint', async () => {
    const psql = startCommand('psql', [
      '-X',
      '-h',
      '127.0.0.1',
      '-p',
      String(set.conmgr.port),
      '-U',
      'app',
      'app',
    ]);
    const output = await psql.done.catch((error: NodeJS.ErrnoException) => error);
    // Not every machine has libpq; the packets it sends are those of the tests above.
    if (output instanceof Error) assert.equal(output.code, 'ENOENT');
    else {
      assert.equal(output.code, 2);
      assert.match(output.stderr, /FATAL: +conmgr: .*\n.*DETAIL: .*\n.*HINT: /);
    }
  });

  it('that cancels a query gets no answer, as from a server', async () => {
    const { received } = await sendRaw(set.conmgr.port, [CANCEL_REQUEST]);
    assert.equal(received.length, 0);
  });
});

describe('something else on the port', () => {
  let set: ScriptedSet;
  before(async () => {
    set = await ScriptedSet.start([PRIMARY, STANDBY]);
  });
  after(() => set.end());

  async function realClientIsServed(): Promise<void> {
    const begunMs = performance.now();
    const app = set.conmgr.ask({ target: 'primary' });
    assert.deepEqual(await app.offered(), [0]);
    assert.ok(performance.now() - begunMs < 1000);
    app.leave();
  }

  for (const [what, bytes] of [
    ['HTTP', Buffer.from('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')],
    ['an SSH banner', Buffer.from('SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n')],
    ['zeros', Buffer.alloc(64)],
    ['a start-up packet of 10,001 bytes', Buffer.from('0000271100030000', 'hex')],
    ['a start-up packet of 4 GB', Buffer.from('ffffffff00030000', 'hex')],
    ['a protocol of version 2', Buffer.from('0000000800020000', 'hex')],
    ['a start-up packet without its end', Buffer.from('0000000d0003000075736572ff', 'hex')],
    ['SSLRequest twice', Buffer.concat([SSL_REQUEST, SSL_REQUEST])],
    ['data behind SSLRequest', Buffer.concat([SSL_REQUEST, STOCK_STARTUP])],
  ] as const) {
    it(`${what}: closed at once, logged, the real client is served`, async () => {
      const mark = set.conmgr.mark;
      const { received, lastedMs } = await sendRaw(set.conmgr.port, [bytes]);
      assert.ok(lastedMs < EPS_MS, `closed after ${lastedMs} ms`);
      assert.ok(['', 'N'].includes(received.toString('latin1')), received.toString('hex'));
      await set.conmgr.logged(
        /LOG: +(repeated.*)?closed application connection from 127\.0\.0\.1:\d+: /,
        mark,
      );
      await realClientIsServed();
    });
  }

  it('silence, a byte every 500 ms, a start-up packet that never ends, encryption asked for and nothing more: closed after 3 s', async () => {
    const slow = Array.from({ length: 20 }, (_, at) => STOCK_STARTUP.subarray(at, at + 1));
    const reports = await Promise.all([
      sendRaw(set.conmgr.port, []),
      sendRaw(set.conmgr.port, slow, { everyMs: 500 }),
      sendRaw(set.conmgr.port, [STOCK_STARTUP.subarray(0, 20)]),
      sendRaw(set.conmgr.port, [SSL_REQUEST]),
      realClientIsServed(),
    ]);
    for (const report of reports.slice(0, 4)) {
      assert.ok(report !== undefined);
      const { lastedMs } = report;
      assert.ok(lastedMs > STARTUP_MS - 50 && lastedMs < STARTUP_MS + EPS_MS, `closed after ${lastedMs} ms`);
    }
  });

  it('5,000 connections of random bytes: memory stays flat, few lines are logged, the real client is served', async () => {
    const { conmgr } = set;
    const burst = async (count: number): Promise<void> => {
      for (let sent = 0; sent < count; sent += 100) {
        await Promise.all(
          // A first byte that never begins a packet, so that all are closed at once.
          Array.from({ length: 100 }, () =>
            sendRaw(conmgr.port, [Buffer.concat([Buffer.from([0xff]), randomBytes(63)])]),
          ),
        );
      }
    };
    await burst(1000);
    const beforeKb = conmgr.residentKb;
    const mark = conmgr.mark;
    const begunMs = performance.now();
    await burst(4000);
    const seconds = (performance.now() - begunMs) / 1000;
    await realClientIsServed();
    const grownKb = conmgr.residentKb - beforeKb;
    assert.ok(grownKb < 30_000, `${grownKb} kB more`);
    const lines = conmgr.linesLike(/closed application connection/, mark).length;
    assert.ok(lines <= 2 + seconds, `${lines} lines in ${seconds} s`);
    assert.equal((await conmgr.status()).applications.length, 0);
  });
});

describe('when descriptors run out', () => {
  const sets: ScriptedSet[] = [];
  const sockets: Socket[] = [];
  afterEach(async () => {
    for (const socket of sockets.splice(0)) socket.destroy();
    await Promise.all(sets.splice(0).map((set) => set.end()));
  });

  async function startSet(openFiles: number): Promise<ScriptedSet> {
    const set = await ScriptedSet.start([PRIMARY, STANDBY], { openFiles });
    sets.push(set);
    return set;
  }

  it('surplus applications are refused with an error, sessions stay, links and control socket keep theirs', async () => {
    const set = await startSet(60);
    const { conmgr } = set;
    const apps: FirstPhaseClient[] = [];
    for (let at = 0; at < 80; at += 1) {
      const app = conmgr.ask({ target: 'primary' });
      await Promise.race([app.candidates(), app.closed()]).catch(() => {});
      apps.push(app);
    }
    const refused = apps.filter((app) => app.refused !== undefined);
    const served = apps.filter((app) => app.refused === undefined && app.isOpen);
    assert.ok(served.length >= 10, `${served.length} are served`);
    assert.equal(served.length + refused.length, apps.length, 'nobody is sent away without a word');
    for (const { refused: refusal } of refused) {
      assert.equal(refusal?.sqlState, '57P03');
      assert.match(refusal.message, /^conmgr: out of file descriptors/);
    }
    await conmgr.logged(/WARNING: +refused application connection: no file descriptor left/);
    // A link that is lost now finds a descriptor, and so does a probe of its postmaster.
    const before = set.watchdogs[0]!.links.length;
    set.watchdogs[0]!.link.close();
    await set.watchdogs[0]!.nextLink(before);
    const { descriptors } = await conmgr.status();
    assert.ok(descriptors.open < descriptors.limit, `${descriptors.open} of ${descriptors.limit}`);
    assert.equal(set.watchdogs[1]!.links.length, 1);
    for (const app of apps) app.vanish();
    await conmgr.until('all are gone', ({ applications }) => applications.length === 0);
    assert.deepEqual(await conmgr.ask({ target: 'primary' }).offered(), [0]);
  });

  it('half-open connections make room for a real client: it is served within a second', async () => {
    const { conmgr, ...set } = await startSet(120);
    for (let at = 0; at < 300; at += 1) {
      const socket = connect(conmgr.port, '127.0.0.1');
      socket.on('error', () => {});
      sockets.push(socket);
    }
    const begunMs = performance.now();
    await Promise.all(sockets.map((socket) => (socket.connecting ? once(socket) : undefined)));
    const app = conmgr.ask({ target: 'primary' });
    assert.deepEqual(await app.offered(), [0]);
    assert.ok(performance.now() - begunMs < 1000 + EPS_MS);
    assert.ok(app.isOpen);
    assert.deepEqual(
      set.watchdogs.map(({ links }) => links.length),
      [1, 1],
    );
  });
});

function once(socket: Socket): Promise<void> {
  return new Promise((resolve) => socket.once('connect', resolve).once('close', () => resolve()));
}
