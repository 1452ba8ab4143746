import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { suites } from './harness/images.js';
import { ADDRESS } from './harness/lab.js';
import { bringPackages, changesOf, installDebs } from './harness/packages.js';
import { Pair } from './harness/pair.js';
import { type Counted, SessionCrowd } from './harness/session-crowd.js';

/** Of each kind. */
const SESSIONS = 1000;

for (const suite of suites()) {
  describe(`conmgr with ${SESSIONS} sessions of each kind on ${suite.name}`, () => {
    let pair: Pair;
    let crowd: SessionCrowd;
    let backendsBefore: string;
    before(async () => {
      pair = await Pair.up(suite, { max_connections: 4000, resolve_wait: '10s' });
      await bringPackages(pair.lab.app);
      await pair.db1.configure({
        listen_addresses: '*',
        'watchdog.allowed_clients': '192.0.2.0/24',
        max_connections: 2 * SESSIONS + 100,
      });
      await pair.lab.db1.output(['systemctl', 'restart', pair.db1.unit]);
      await pair.app.untilResolved('read-write', ADDRESS.db1);
      crowd = await SessionCrowd.start(pair.app, {
        sessions: SESSIONS,
        transfers: 5,
        sleepers: 100,
        visitors: 3,
        everyMs: 2000,
      });
      backendsBefore = await backends();
      assert.equal(backendsBefore.split('\n').length, 2 * SESSIONS);
    });
    after(() => pair?.remove());

    const backends = (): Promise<string> =>
      pair.db1.sql(
        `select pid, backend_start from pg_stat_activity where client_addr = '${ADDRESS.app}'
         and application_name in ('aware', 'stock') order by pid`,
      );
    const logged = async (pattern: RegExp): Promise<string[]> => {
      const entries = await pair.lab.app.journal(`--unit=${pair.app.unit}`);
      return entries.map(({ MESSAGE = '' }) => MESSAGE).filter((line) => pattern.test(line));
    };
    /** How long the process has waited for a processor that others had (proc(5), schedstat). */
    const heldUpMs = async (): Promise<number> => {
      const { app } = pair.lab;
      const [, ns] = (await app.read(`/proc/${await app.mainPid(pair.app.unit)}/schedstat`)).split(' ');
      return Number(ns) / 1e6;
    };
    /** Transfers under way in both directions, a restart, and what the sessions have seen of it. */
    const restart = async (how: () => Promise<unknown>): Promise<Counted & { readonly heldUpMs: number }> => {
      const { db1 } = pair.lab;
      const uploaders = await crowd.hold();
      await db1.output(['kill', '-STOP', ...uploaders]);
      await crowd.upload();
      let waitedMs = 0;
      const counted = await crowd.during(async () => {
        await how();
        waitedMs = await heldUpMs();
      });
      await db1.output(['kill', '-CONT', ...uploaders]);
      assert.equal(await crowd.release(), 'released');
      return { ...counted, heldUpMs: waitedMs };
    };
    const assertUnseen = async ({
      errors,
      slowestMs,
      connects,
      heldUpMs,
    }: Counted & { readonly heldUpMs: number }) => {
      assert.deepEqual(errors, []);
      assert.ok(connects > 0);
      assert.ok(slowestMs - heldUpMs < 1000, `a pause of ${slowestMs} ms, ${heldUpMs} ms of it for others`);
      assert.equal(await backends(), backendsBefore);
      const { applications } = await pair.app.status();
      for (const kind of ['aware', 'gateway'] as const) {
        const { length } = applications.filter(({ mode, instance }) => mode === kind && instance === 0);
        assert.ok(length >= SESSIONS, `${length} ${kind}`);
      }
      assert.deepEqual(await logged(/^ERROR/), []);
    };

    it('is restarted, and none of them sees it: no error, no pause above a second, the same backends, every byte', async () => {
      const { app } = pair.lab;
      const pid = await app.mainPid(pair.app.unit);
      await assertUnseen(await restart(() => app.output(['systemctl', 'restart', pair.app.unit])));
      assert.notEqual(await app.mainPid(pair.app.unit), pid);
      assert.equal((await logged(/^LOG: {2}took over 20\d\d sessions/)).length, 1);
    });

    it('is upgraded, and none of them sees it', async () => {
      const { app } = pair.lab;
      const { unit } = pair.app;
      const seen = await restart(async () => {
        const changes = await changesOf(app, [unit], () => installDebs(app, 2));
        assert.deepEqual(changes.restarted, [unit]);
      });
      await assertUnseen(seen);
      assert.equal((await logged(/^LOG: {2}took over 20\d\d sessions/)).length, 2);
    });
  });
}
