import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import net from 'node:net';
import { after, afterEach, before, describe, it } from 'node:test';
import { eventually } from '../support/eventually.js';
import { addStandby, type Server, startPrimary } from '../support/postgres.js';
import { type AddressedSession, isThere, sessionFrom } from '../support/sql-client.js';
import { TestWatchdog } from '../support/watchdog.js';

const ADMIN_SHUTDOWN = '57P01';

let server: Server;
let watchdog: TestWatchdog;
/** Every test has an address of its own, so that none sees another's sessions. */
let nextAddress = 10;
const address = (): string => `127.0.0.${nextAddress++}`;

before(async () => {
  server = await startPrimary({ settings: { authentication_timeout: '5', max_prepared_transactions: '5' } });
  await server.sql('create role app login');
  await server.sql('create role ender login in role pg_monitor, pg_signal_backend');
});
after(async () => {
  await server?.end();
});

async function start(settings: Readonly<Record<string, string>> = {}, user = 'postgres'): Promise<void> {
  watchdog = await TestWatchdog.start(server, {
    settings: { restart_grace: '500ms', terminate_on: 'any', allowed_clients: '', ...settings },
    env: { PGUSER: user },
  });
  await eventually(async () => (await watchdog.status()).instance.state === 'up', { what: 'up' });
}

/** Loses a link that was in use. */
async function lose(from: string, options = {}): Promise<void> {
  const peer = await watchdog.connect({ localAddress: from, intervalMs: 50, timeoutMs: 300, ...options });
  await peer.prove();
  peer.fallSilent();
  await peer.closed;
}

async function isKept({ client }: AddressedSession): Promise<void> {
  assert.deepEqual((await client.query('select 1 as one')).rows, [{ one: 1 }]);
  await client.end();
}

describe('who may be ended', () => {
  afterEach(() => watchdog.stop());

  it('a superuser session is reported, and the others are ended all the same', async () => {
    await start({}, 'ender');
    const from = address();
    const sessions = [
      await sessionFrom(server, from, { user: 'app' }),
      await sessionFrom(server, from),
      await sessionFrom(server, from, { user: 'app' }),
    ] as const;
    await lose(from);
    assert.equal(await sessions[0].ended, ADMIN_SHUTDOWN);
    assert.equal(await sessions[2].ended, ADMIN_SHUTDOWN);
    await watchdog.line(/WARNING: {2}could not end 1 sessions of .*: permission denied/);
    await watchdog.line(new RegExp(`HINT: .*pg_terminate_backend\\(pid\\) for ${sessions[1].pid}`));
    await isKept(sessions[1]);
  });

  it('replication connections are ended with exclude_replication = off', async () => {
    await start({ exclude_replication: 'off' });
    const from = address();
    const walsender = await sessionFrom(server, from, { replication: 'database' } as object);
    await lose(from);
    assert.equal(await walsender.ended, ADMIN_SHUTDOWN);
  });

  it('a session that waits for synchronous replication is left until it no longer waits', async () => {
    const standby = await addStandby(server, { synchronous: true });
    try {
      await start({ exclude_replication: 'on' });
      await server.sql('create table waited (n int)');
      const from = address();
      const [waiting, idle] = [await sessionFrom(server, from), await sessionFrom(server, from)];
      standby.freeze();
      const commit = waiting.client.query('insert into waited values (1)').then(
        () => 'committed',
        (error: Error & { code?: string }) => error.code,
      );
      const waits = (): Promise<unknown[]> =>
        server.sql(`select from pg_stat_activity where pid = $1 and wait_event = 'SyncRep'`, [waiting.pid]);
      await eventually(async () => (await waits()).length === 1, { what: 'it waits' });
      await lose(from);
      assert.equal(await idle.ended, ADMIN_SHUTDOWN);
      await watchdog.line(
        new RegExp(`session of .* with PID ${waiting.pid} waits for synchronous replication`),
      );
      assert.equal((await waits()).length, 1, 'it was not touched');
      const count = async (): Promise<unknown> =>
        (await server.sql('select count(*)::int as n from waited'))[0]?.['n'];
      assert.equal(await count(), 0, 'its row is not visible');
      standby.thaw();
      assert.equal(await commit, 'committed');
      assert.equal(await waiting.ended, ADMIN_SHUTDOWN);
      assert.equal(await count(), 1);
    } finally {
      await server.configure({ synchronous_standby_names: '' });
      await standby.end();
    }
  });

  it('a session that was authenticating when the link was lost is ended when it can be seen', async () => {
    await start();
    const from = address();
    const visible = await sessionFrom(server, from, { user: 'app' });
    // Connected, and silent about who it is: before PostgreSQL 18 no such session is in pg_stat_activity.
    const socket = net.connect({ port: server.port, host: server.host, localAddress: from });
    await new Promise((resolve) => socket.once('connect', resolve));
    await lose(from);
    assert.equal(await visible.ended, ADMIN_SHUTDOWN);
    const closed = new Promise((resolve) => socket.once('close', resolve));
    socket.resume();
    socket.write(startupPacket('app'));
    await closed;
    await watchdog.line(/ended 1 sessions of .*\n?/);
  });

  it('sessions that begin after the loss are none of it', async () => {
    await start();
    const from = address();
    const before = await sessionFrom(server, from);
    await lose(from);
    assert.equal(await before.ended, ADMIN_SHUTDOWN);
    const later = await sessionFrom(server, from);
    await eventually(async () => (await watchdog.status()).losses[0]?.phase === 'resting', {
      what: 'a pass',
    });
    // Two more passes.
    const begun = performance.now();
    await eventually(() => performance.now() - begun > 2200, { what: 'two seconds', everyMs: 100 });
    await isKept(later);
  });

  it('prepared transactions are counted, because they survive', async () => {
    await start();
    const from = address();
    const session = await sessionFrom(server, from);
    await session.client.query('begin');
    await session.client.query('create table prepared_one (n int)');
    await session.client.query(`prepare transaction 'one'`);
    await lose(from);
    await watchdog.line(/LOG: {2}1 prepared transactions are in the instance/);
    await server.sql(`rollback prepared 'one'`);
  });
});

describe('what may cause it', () => {
  afterEach(() => watchdog.stop());

  it('a link without three heartbeats ends nothing', async () => {
    await start();
    const from = address();
    const session = await sessionFrom(server, from);
    const peer = await watchdog.open({ localAddress: from, intervalMs: 50, timeoutMs: 300 });
    peer.hello();
    await peer.next('welcome');
    peer.beat();
    peer.beat();
    await peer.closed;
    await watchdog.line(new RegExp(`no session of ${from} is ended .*: it had sent only 2 heartbeats`));
    await isKept(session);
  });

  it('a violation of the protocol costs only the connection', async () => {
    await start();
    const from = address();
    const session = await sessionFrom(server, from);
    const peer = await watchdog.connect({ localAddress: from });
    await peer.prove();
    peer.write(Buffer.from('GET / HTTP/1.1\r\n\r\n'));
    await peer.next('goodbye');
    await watchdog.line(new RegExp(`no session of ${from} is ended: .* violation of the protocol`));
    await isKept(session);
  });

  it('while another conmgr of the address is alive nothing is ended, and a WARNING counts what is left', async () => {
    await start();
    const from = address();
    const session = await sessionFrom(server, from);
    const other = await watchdog.connect({ localAddress: from });
    await other.prove();
    await lose(from);
    await watchdog.line(
      /WARNING: .* another conmgr is connected from this address: 1 sessions are left alone/,
    );
    await isKept(session);
    await other.end();
  });

  it('a copy of a conmgr elsewhere is refused, and then neither may cause an end', async () => {
    await start();
    const [from, elsewhere] = [address(), address()];
    const session = await sessionFrom(server, from);
    const original = await watchdog.connect({ localAddress: from, intervalMs: 50, timeoutMs: 300 });
    await original.prove();
    const copy = await watchdog.open({ localAddress: elsewhere, conmgrId: original.conmgrId });
    copy.hello();
    const refusal = await copy.next('reject');
    assert.match(refusal.text, new RegExp(`same identity is connected from ${from}`));
    original.fallSilent();
    await original.closed;
    await watchdog.line(/another conmgr with the same identity tried to connect from a different address/);
    await isKept(session);
  });

  it('a stop ends nothing with terminate_on = lost, a loss does', async () => {
    await start({ terminate_on: 'lost' });
    const from = address();
    const session = await sessionFrom(server, from);
    const peer = await watchdog.connect({ localAddress: from });
    await peer.prove();
    await peer.goodbye('stop');
    await watchdog.line(new RegExp(`no session of ${from} is ended: .* because conmgr stopped`));
    assert.ok(await isThere(server, session.pid));
    await lose(from);
    assert.equal(await session.ended, ADMIN_SHUTDOWN);
  });

  it('terminate_on = never, or a wrong value, only says what would be ended', async () => {
    for (const value of ['never', 'sometimes']) {
      await start({ terminate_on: value });
      const from = address();
      const session = await sessionFrom(server, from);
      await lose(from);
      await watchdog.line(/LOG: {2}conmgr test:peer at .* is lost: 1 sessions would be ended/);
      await isKept(session);
      if (value === 'never') await watchdog.stop();
    }
  });

  it('the loss of a conmgr that was not back after a restart of the watchdog is noticed', async () => {
    await start();
    const from = address();
    const session = await sessionFrom(server, from);
    const peer = await watchdog.connect({ localAddress: from, intervalMs: 50, timeoutMs: 700 });
    await peer.prove();
    const state = `${server.dataDir}/pg_stat_tmp/conmgr-watchdog.state`;
    await eventually(async () => readFile(state, 'utf8').then((text) => text.includes(from)), {
      what: 'the link is remembered',
    });
    watchdog.running.kill('SIGKILL');
    await watchdog.running.exit;
    assert.ok(await isThere(server, session.pid));
    watchdog = await watchdog.again();
    const startedAt = performance.now();
    await watchdog.line(/known before the restart of the watchdog, has 0\.7 s to come back/);
    assert.equal(await session.ended, ADMIN_SHUTDOWN);
    const ms = performance.now() - startedAt;
    assert.ok(ms > 500 && ms < 1700, `ended after ${Math.round(ms)} ms`);
  });
});

describe('orders', () => {
  before(() => start());
  after(() => watchdog.stop());

  it('at link-up it is said what a loss would end', async () => {
    const from = address();
    const session = await sessionFrom(server, from, { application_name: 'billing' });
    const peer = await watchdog.connect({ localAddress: from });
    await watchdog.line(new RegExp(`loss of ${from} would end 1 sessions, 1 of superusers`));
    await watchdog.line(/DETAIL: {2}1 x billing \(superuser postgres, database postgres\)/);
    await session.client.end();
    await peer.end();
  });

  it('a dry run tells, an order ends', async () => {
    const from = address();
    const session = await sessionFrom(server, from);
    const dry = await watchdog.ask({ command: 'terminate', address: from, dryRun: true });
    assert.ok('terminate' in dry && dry.terminate.would.sessions === 1 && dry.terminate.ended === 0);
    assert.ok(await isThere(server, session.pid));
    // The same address as an IPv6 listener would show it.
    const order = await watchdog.ask({ command: 'terminate', address: `::ffff:${from}`, dryRun: false });
    assert.ok('terminate' in order && order.terminate.ended === 1);
    assert.equal(await session.ended, ADMIN_SHUTDOWN);
    const wrong = await watchdog.ask({ command: 'terminate', address: 'db1', dryRun: true });
    assert.ok(!wrong.ok && wrong.error.message === '"db1" is not an IP address');
  });

  it('a paused terminator holds back what is due until it is resumed', async () => {
    const from = address();
    const session = await sessionFrom(server, from);
    assert.deepEqual(await watchdog.ask({ command: 'pause' }), { ok: true, paused: true });
    await lose(from);
    await watchdog.line(new RegExp(`at ${from} is lost, but the terminator is paused`));
    const { losses } = await watchdog.status();
    assert.equal(losses.find((loss) => loss.address === from)?.phase, 'held');
    assert.ok(await isThere(server, session.pid));
    assert.deepEqual(await watchdog.ask({ command: 'resume' }), { ok: true, paused: false });
    assert.equal(await session.ended, ADMIN_SHUTDOWN);
  });
});

/** StartupMessage of protocol 3.0. */
function startupPacket(user: string): Buffer {
  const body = Buffer.from(`user\0${user}\0database\0postgres\0\0`);
  const head = Buffer.alloc(8);
  head.writeInt32BE(8 + body.length, 0);
  head.writeInt32BE(196_608, 4);
  return Buffer.concat([head, body]);
}
