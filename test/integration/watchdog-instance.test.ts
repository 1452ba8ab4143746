import assert from 'node:assert/strict';
import { chmod, cp, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, beforeEach, describe, it } from 'node:test';
import type pg from 'pg';
import { hasAttribute, INSTANCE_STATES } from '../../src/core/protocol/attributes.js';
import { eventually } from '../support/eventually.js';
import type { HeartbeatPeer } from '../support/heartbeat-peer.js';
import { type Server, startPrimary } from '../support/postgres.js';
import { whyNotRun } from '../support/postgres-binaries.js';
import { signalIfAny } from '../support/processes.js';
import { TestWatchdog } from '../support/watchdog.js';

/** A crashed instance on a living host is told within 100 ms; the rest is for a loaded machine. */
const CRASH_MS = 100 + 400;

const PROBE = { probe_interval: '200ms', probe_timeout: '1s' };

for (const major of [13, 15, 17, 18]) {
  describe(`the end of an instance of PostgreSQL ${major}`, { skip: await whyNotRun(major) }, () => {
    let server: Server;
    let watchdog: TestWatchdog;
    let peer: HeartbeatPeer;

    before(async () => {
      server = await startPrimary({ major });
      watchdog = await TestWatchdog.start(server, { settings: { check_attr_interval: '10000' } });
      peer = await watchdog.connect();
    });
    after(async () => {
      await watchdog?.stop();
      await server?.end();
    });

    async function isUp(): Promise<void> {
      await eventually(
        () => peer.attributes.state === 'up' && hasAttribute(peer.attributes.bits, 'accepting'),
        {
          what: 'the instance is told as up',
        },
      );
    }

    /** Milliseconds until it is told as down. */
    async function toldDown(act: () => Promise<void>): Promise<number> {
      await isUp();
      const from = peer.arrivals.length;
      const begun = performance.now();
      const [told] = await Promise.all([peer.told(({ state }) => state === 'down', 'down', { from }), act()]);
      assert.ok(!hasAttribute(told.attributes.bits, 'accepting'));
      return told.at - begun;
    }

    for (const mode of ['fast', 'immediate'] as const) {
      it(`a ${mode} shutdown is told at once, and so is the next start`, async () => {
        const ms = await toldDown(() => server.stop(mode));
        assert.ok(ms < CRASH_MS, `told after ${Math.round(ms)} ms`);
        await server.start();
        const startedAt = performance.now();
        await isUp();
        assert.ok(performance.now() - startedAt < CRASH_MS);
      });
    }

    it('a killed postmaster is told at once although its file is left behind', async () => {
      const ms = await toldDown(() => server.kill9());
      assert.ok(ms < CRASH_MS, `told after ${Math.round(ms)} ms`);
      assert.match(peer.attributes.text, /postmaster \(PID \d+\) is gone/);
      await server.start();
      await isUp();
    });

    it('the crash of a backend is a recovery and no end of the instance', async () => {
      await isUp();
      const from = peer.arrivals.length;
      const kept = async (): Promise<readonly unknown[]> =>
        server.sql(
          `select pid from pg_stat_activity where application_name = 'conmgr-watchdog' order by pid`,
        );
      const before = await kept();
      const client = await server.connect();
      const [row] = (await client.query('select pg_backend_pid() as pid')).rows;
      signalIfAny(Number(row.pid), 'SIGKILL');
      await client.end().catch(() => {});
      await eventually(
        async () => {
          const now = await kept();
          return now.length === 2 && JSON.stringify(now) !== JSON.stringify(before);
        },
        { what: 'the watchdog has connected anew' },
      );
      await isUp();
      const states = peer.arrivals
        .slice(from)
        .flatMap(({ message }) => (message.name === 'attr' ? [INSTANCE_STATES[message.state]] : []));
      // A recovery that is over before the watchdog can ask need not be told.
      assert.ok(
        states.every((state) => state === 'recovering' || state === 'up'),
        states.join(),
      );
      assert.ok(hasAttribute(peer.attributes.bits, 'primary'));
      assert.equal(peer.attributes.timeline, 1);
    });

    it('a smart shutdown is told as not accepting, keeps its sessions, and ends when the last client leaves', async () => {
      await isUp();
      const from = peer.arrivals.length;
      const client = await server.connect();
      const stopped = server.stop('smart');
      const told = await peer.told(({ bits }) => !hasAttribute(bits, 'accepting'), 'not accepting', { from });
      assert.equal(told.attributes.state, 'up');
      assert.ok(hasAttribute(told.attributes.bits, 'primary'));
      assert.deepEqual((await client.query('select 1 as one')).rows, [{ one: 1 }]);
      await client.end();
      const leftAt = performance.now();
      await stopped;
      assert.ok(performance.now() - leftAt < 2000, 'the shutdown did not wait for the watchdog');
      await peer.told(({ state }) => state === 'down', 'down', { from });
      await server.start();
      await isUp();
    });
  });
}

describe('an instance that cannot be asked as usual', () => {
  let server: Server;
  let watchdog: TestWatchdog;
  let peer: HeartbeatPeer;

  async function fresh(options: Parameters<typeof startPrimary>[0], settings = {}, env = {}): Promise<void> {
    server = await startPrimary(options);
    watchdog = await TestWatchdog.start(server, { settings: { ...PROBE, ...settings }, env });
    peer = await watchdog.connect();
  }
  after(async () => {
    await watchdog?.stop();
    await server?.end();
  });
  beforeEach(async () => {
    await watchdog?.stop();
    await server?.end();
  });

  it('a stopped postmaster is told as not accepting after probe_timeout, and as accepting when it goes on', async () => {
    await fresh({});
    await peer.told(({ state }) => state === 'up', 'up');
    const client = await server.connect();
    const from = peer.arrivals.length;
    const begun = performance.now();
    signalIfAny(server.pid, 'SIGSTOP');
    const told = await peer.told(({ bits }) => !hasAttribute(bits, 'accepting'), 'not accepting', { from });
    const ms = told.at - begun;
    assert.ok(ms > 500 && ms < 1500, `told after ${Math.round(ms)} ms with probe_timeout = 1 s`);
    assert.equal(told.attributes.state, 'up');
    assert.deepEqual((await client.query('select 1 as one')).rows, [{ one: 1 }]);
    const later = peer.arrivals.length;
    signalIfAny(server.pid, 'SIGCONT');
    await peer.told(({ bits }) => hasAttribute(bits, 'accepting'), 'accepting', { from: later });
    await client.end();
  });

  it('a full instance is told as full and still accepting, also when the watchdog has to connect anew', async () => {
    await fresh({
      settings: { max_connections: '8', superuser_reserved_connections: '2', max_wal_senders: '0' },
    });
    await peer.told(({ state }) => state === 'up', 'up');
    await server.sql('create role app login');
    const from = peer.arrivals.length;
    const clients: pg.Client[] = [];
    const full = (): boolean => hasAttribute(peer.attributes.bits, 'full');
    while (!full()) {
      const client = await server.connect({ user: 'app' }).catch(() => undefined);
      if (client !== undefined) clients.push(client);
      else await eventually(full, { what: 'full' });
    }
    const told = await peer.told(({ bits }) => hasAttribute(bits, 'full'), 'full', { from });
    assert.equal(told.attributes.state, 'up');
    assert.ok(hasAttribute(told.attributes.bits, 'accepting'));
    assert.ok(hasAttribute(told.attributes.bits, 'primary'));
    const later = peer.arrivals.length;
    await Promise.all(clients.map((client) => client.end()));
    await peer.told(({ bits }) => !hasAttribute(bits, 'full'), 'not full', { from: later });
  });

  it('pg_hba.conf that refuses the watchdog makes attributes unknown, with an ERROR, and nothing down', async () => {
    await fresh({ hba: ['local all refused reject'] }, {}, { PGUSER: 'refused' });
    await watchdog.line(/ERROR: {2}could not connect to the instance: .*SQLSTATE 28000/);
    await watchdog.line(/LOG: {2}instance is unknown/);
    const { attributes } = await peer.told(({ text }) => text.includes('SQLSTATE 28000'), 'why');
    assert.equal(attributes.state, 'unknown');
    assert.ok(!hasAttribute(attributes.bits, 'accepting'));
  });

  it('a password comes from PGPASSFILE; without it, or with a wrong one, attributes are unknown', async () => {
    server = await startPrimary({ hba: ['local all guarded scram-sha-256'] });
    await server.sql(`create role guarded login superuser password 'a:b'`);
    const passfile = join(server.socketDir, 'passfile');
    for (const [content, sqlState] of [
      ['', '28P01'],
      ['*:*:*:guarded:wrong\n', '28P01'],
      ['localhost:*:postgres:guarded:a\\:b\n', undefined],
    ] as const) {
      await writeFile(passfile, content, { mode: 0o600 });
      watchdog = await TestWatchdog.start(server, { env: { PGUSER: 'guarded', PGPASSFILE: passfile } });
      peer = await watchdog.connect();
      if (sqlState === undefined) await peer.told(({ state }) => state === 'up', 'up');
      else
        await watchdog.line(
          new RegExp(`ERROR: {2}could not connect to the instance: .*SQLSTATE ${sqlState}`),
        );
      assert.doesNotMatch(watchdog.running.stderr, /DeprecationWarning/);
      await watchdog.stop();
    }
  });

  it('a role that lacks rights is named at the start, each right by itself, and the heartbeat goes on', async () => {
    server = await startPrimary({});
    await server.sql('create role poor login');
    watchdog = await TestWatchdog.start(server, { env: { PGUSER: 'poor' } });
    peer = await watchdog.connect();
    await watchdog.line(/ERROR: {2}role "poor" may not end sessions of other roles/);
    await watchdog.line(/ERROR: {2}role "poor" may not see the client addresses of other sessions/);
    await watchdog.line(/LOG: {2}role "poor" cannot end sessions of superusers/);
    await watchdog.line(/WARNING: {2}role "poor" has no reserved connections/);
    await peer.told(({ state, bits }) => state === 'up' && hasAttribute(bits, 'primary'), 'primary');
    const { findings } = await watchdog.status();
    assert.equal(findings.length, 4);
  });

  it('settings of the role do not end the sessions of the watchdog, and hide nothing unsaid', async () => {
    server = await startPrimary({});
    await server.sql(`create role odd superuser login`);
    await server.sql(`alter role odd set statement_timeout = '1ms'`);
    await server.sql(`alter role odd set idle_session_timeout = '10ms'`);
    await server.sql(`alter role odd set default_transaction_read_only = on`);
    await server.sql(`alter role odd set search_path = 'nowhere'`);
    await server.sql(`alter role odd set datestyle = 'German'`);
    watchdog = await TestWatchdog.start(server, { env: { PGUSER: 'odd' } });
    await watchdog.line(/WARNING: {2}default_transaction_read_only is set for role "odd"/);
    peer = await watchdog.connect();
    const { attributes } = await peer.told(({ state }) => state === 'up', 'up');
    assert.ok(hasAttribute(attributes.bits, 'primary'));
    const pids = async (): Promise<unknown> =>
      server.sql(`select pid from pg_stat_activity where application_name = 'conmgr-watchdog' order by pid`);
    await eventually(async () => ((await pids()) as unknown[]).length === 2, {
      what: 'two kept connections',
    });
    const before = await pids();
    // Several checks later they are still the same.
    const { packetsReceived } = (await watchdog.status()).links[0]!;
    await eventually(async () => (await watchdog.status()).links[0]!.packetsReceived > packetsReceived + 5, {
      what: 'half a second of heartbeats',
    });
    assert.deepEqual(await pids(), before);
  });

  it('a data directory that is replaced is watched on', async () => {
    await fresh({}, { check_attr_interval: '300' });
    await peer.told(({ state }) => state === 'up', 'up');
    await server.stop('fast');
    await peer.told(({ state }) => state === 'down', 'down');
    await rename(server.dataDir, `${server.dataDir}.old`);
    // As pg_basebackup and the like, without what the watchdog keeps in pg_stat_tmp.
    const filter = (path: string): boolean => !path.includes('conmgr-watchdog');
    await cp(`${server.dataDir}.old`, server.dataDir, { recursive: true, filter });
    await chmod(server.dataDir, 0o700);
    await writeFile(join(server.dataDir, 'standby.signal'), '');
    const from = peer.arrivals.length;
    await server.start();
    await peer.told(({ bits }) => hasAttribute(bits, 'standby'), 'standby', { from });
    // Files of the new directory are watched: no regular check is needed to notice this.
    const promoted = peer.told(({ bits }) => hasAttribute(bits, 'primary'), 'primary', { from });
    await server.promote();
    const done = performance.now();
    assert.ok((await promoted).at - done < 250);
  });
});
