import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { eventually } from '../support/eventually.js';
import { addStandby, type Server, startPrimary } from '../support/postgres.js';
import { whyNotRun } from '../support/postgres-binaries.js';
import { TestWatchdog } from '../support/watchdog.js';

const COUNT = 'select count(*)::int as n from pgx_stat_watchdog';

for (const major of [13, 15, 17, 18]) {
  const missing = process.env['PG_BIN'] === undefined ? false : 'the extension is not installed into PG_BIN';
  describe(`extension watchdog on PostgreSQL ${major}`, { skip: missing || (await whyNotRun(major)) }, () => {
    let primary: Server;
    let standby: Server;
    let watchdogs: TestWatchdog[];

    before(async () => {
      primary = await startPrimary({ major });
      standby = await addStandby(primary);
      watchdogs = [await TestWatchdog.start(primary), await TestWatchdog.start(standby)];
      await primary.sql('create extension watchdog');
      await primary.sql('create role watcher; grant pg_monitor to watcher; create role stranger');
      await eventually(
        async () => (await standby.sql("select 1 from pg_roles where rolname = 'stranger'")).length === 1,
        { what: 'the standby has replayed' },
      );
    });
    after(async () => {
      await Promise.all(watchdogs?.map((watchdog) => watchdog.stop()) ?? []);
      await standby?.end();
      await primary?.end();
    });

    for (const role of ['primary', 'standby'] as const) {
      it(`the view shows the links of a ${role}`, async () => {
        const server = role === 'primary' ? primary : standby;
        const watchdog = role === 'primary' ? watchdogs[0] : watchdogs[1];
        const peer = await watchdog!.connect({ intervalMs: 200, timeoutMs: 1500 });
        const [row] = await eventually(
          async () => {
            const rows = await server.sql('select * from pgx_stat_watchdog');
            return rows.length === 1 ? rows : undefined;
          },
          { what: 'the link in the view' },
        );
        assert.equal(row!['conmgr_addr'], '127.0.0.1');
        assert.ok(Number(row!['conmgr_port']) > 0);
        assert.equal(row!['heartbeat_interval'], 1, 'seconds, rounded up');
        assert.equal(row!['heartbeat_timeout'], 2, 'seconds, rounded up');
        assert.equal(Number(row!['heartbeat_interval_ms']), 200);
        assert.equal(Number(row!['heartbeat_timeout_ms']), 1500);
        assert.ok(Number(row!['last_packet_age_ms']) < 5000);
        assert.ok(Number(row!['packets_received']) >= 1);
        assert.equal(row!['tls'], false);
        assert.equal(row!['authenticated'], false);
        assert.ok(Math.abs(Date.now() - new Date(String(row!['connected_since'])).getTime()) < 60_000);
        await peer.goodbye('released');
        await eventually(async () => (await server.sql(COUNT))[0]?.['n'] === 0, {
          what: 'no link in the view',
        });
      });
    }

    it('members of pg_monitor may read it, others may not', async () => {
      const client = await primary.connect();
      const denied = { code: '42501' };
      await client.query('set role watcher');
      assert.equal((await client.query(COUNT)).rows.length, 1);
      await client.query('set role stranger');
      await assert.rejects(client.query(COUNT), denied);
      await assert.rejects(client.query('select * from pgx_stat_watchdog_links()'), denied);
      await client.end();
    });

    // Waits for five seconds; the SQL is the same on all.
    if (major === 17) {
      it('shows nothing of a watchdog that is gone', async () => {
        const peer = await watchdogs[0]!.connect();
        await eventually(async () => (await primary.sql(COUNT))[0]?.['n'] === 1, {
          what: 'a link in the view',
        });
        watchdogs[0]!.running.kill('SIGKILL');
        await eventually(async () => (await primary.sql(COUNT))[0]?.['n'] === 0, {
          what: 'an empty view',
          timeoutMs: 10_000,
        });
        await peer.end();
      });
    }

    it('DROP EXTENSION leaves nothing', async () => {
      await primary.sql('drop extension watchdog');
      const left = await primary.sql(
        "select proname::text as name from pg_proc where proname like 'pgx%' union select relname::text from pg_class where relname like 'pgx%'",
      );
      assert.deepEqual(left, []);
    });
  });
}
