import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { WatchdogStatus } from '../../src/core/control/watchdog.js';
import type { Cluster } from './harness/cluster.js';
import type { Host } from './harness/host.js';
import { suites } from './harness/images.js';
import { HELPER_UNIT, switchOnHelper } from './harness/kernel-helper.js';
import { ADDRESS } from './harness/lab.js';
import { LASTING, Load, pauses, type Tallies, WRITERS } from './harness/load.js';
import { NEXT_VERSION } from './harness/next-version.js';
import { bringPackages, changesOf, installDebs, type Revision } from './harness/packages.js';
import { Pair } from './harness/pair.js';

/** No session pauses longer than this, apart from what it waits for the machine. */
const LONGEST_PAUSE_MS = 1000;
const LISTENER = 27547;

function assertVersion({ software }: { readonly software: string }, revision: Revision): void {
  assert.equal(software.endsWith(` ${NEXT_VERSION}`), revision === 2, software);
}

for (const suite of suites()) {
  describe(`a rolling upgrade of every process under load on ${suite.name}`, () => {
    let pair: Pair;
    let load: Load;
    let backends: string;
    before(async () => {
      pair = await Pair.up(
        suite,
        {
          gateway_target_session_attrs: 'read-write',
          listener_port0: LISTENER,
          listener_target_session_attrs0: 'standby',
          listener_mode0: 'gateway',
        },
        // Both versions tell, and ask for, the sessions that are watched. The grace is one that a busy machine keeps.
        { 'watchdog.terminate_scope': 'monitored', 'watchdog.restart_grace': '60s' },
      );
      const { app, db1, db2 } = pair.lab;
      for (const host of [app, db1, db2]) await bringPackages(host);
      await switchOnHelper(app);
      const targets = [ADDRESS.db1, ADDRESS.db2].map((address) => `target ${address} 5432\n`).join('');
      await app.write('/etc/conmgr/targets.d/app1.conf', `user conmgr\n${targets}`);
      await pair.app.append({ guard: 'on' });
      await app.output(['systemctl', 'restart', pair.app.unit]);
      await pair.app.untilResolved('read-write', ADDRESS.db1);
      await pair.app.untilResolved('standby', ADDRESS.db2);
      await pair.db1.sql('create table written (writer text, number int, primary key (writer, number))');
      load = await Load.start(app);
      backends = await lastingSessions();
      assert.equal(backends.split('\n').length, LASTING.length + 1, backends);
    });
    after(() => pair?.remove());

    /** Name, process and start of each backend whose session lasts, on both servers. */
    const lastingSessions = async (): Promise<string> => {
      const names = LASTING.map((name) => `'${name}'`).join();
      const query = `select application_name, pid, backend_start from pg_stat_activity
        where client_addr = '${ADDRESS.app}' and application_name in (${names}) order by 1, 2`;
      return `${await pair.db1.sql(query)}\n${await pair.db2.sql(query)}`;
    };
    const watchdogStatus = async ({ host, directory }: Cluster): Promise<WatchdogStatus> =>
      JSON.parse(
        await host.output(['cm_ctl', 'watchdog', 'status', '-D', directory, '--json'], { user: 'postgres' }),
      );

    /** Installs a version; exactly these units are restarted by it, and become other processes. */
    const install = async (host: Host, units: readonly string[], revision: Revision): Promise<void> => {
      const changes = await changesOf(host, units, () => installDebs(host, revision));
      assert.deepEqual(changes, { restarted: units, untouched: [], idle: [], other: [] });
    };
    /** How long the next conmgr has waited for a processor, in ms, by the time it has taken over the sessions. */
    const startedLate = async (): Promise<number> => {
      const { app } = pair.lab;
      const journal = app.start(['journalctl', '--follow', '--lines=0', `--unit=${pair.app.unit}`]);
      try {
        const { 1: pid } = await journal.waitForLine(/conmgr\[(\d+)\]: .*took over \d+ sessions/, {
          timeoutMs: 120_000,
        });
        const [, waitedNs] = (await app.read(`/proc/${pid}/schedstat`)).split(' ');
        return Number(waitedNs) / 1e6;
      } finally {
        journal.killAll();
      }
    };
    const conmgr = async (revision: Revision): Promise<number> => {
      const late = startedLate();
      await Promise.all([late, install(pair.lab.app, [HELPER_UNIT, pair.app.unit], revision)]);
      const status = await pair.lab.app.until('conmgr guards and all links are up', async () => {
        const found = await pair.app.status();
        const { instances, kernel } = found;
        const isLinked = instances.every(({ link, health }) => link.phase === 'up' && health === 'monitored');
        return isLinked && kernel?.helper === '' && kernel.guard.problem === '' && found;
      });
      assertVersion(status, revision);
      return late;
    };
    const watchdog = async (cluster: Cluster, revision: Revision): Promise<void> => {
      await install(cluster.host, [cluster.watchdogUnit], revision);
      await pair.lab.app.until('its link is up', async () =>
        (await pair.app.status()).instances.every(({ health }) => health === 'monitored'),
      );
      assertVersion(await watchdogStatus(cluster), revision);
    };
    /** One host after the other, that of the standby first; or both at a time. */
    const watchdogs = async (revision: Revision, order: 'one by one' | 'together'): Promise<number> => {
      const first = watchdog(pair.db2, revision);
      if (order === 'one by one') await first;
      await Promise.all([first, watchdog(pair.db1, revision)]);
      return 0;
    };

    /** The load has gone on as if nothing had happened: `during`, the longest statements meanwhile. */
    const assertUndisturbed = async (during: Tallies, lateMs: number): Promise<void> => {
      assert.deepEqual(load.failures, []);
      const slow = pauses(during).filter(([, ms]) => ms - lateMs > LONGEST_PAUSE_MS);
      assert.deepEqual(slow, [], `${JSON.stringify(during)}; conmgr waited ${lateMs} ms for a processor`);
      assert.equal(await lastingSessions(), backends);
      // Also a watchdog and a conmgr of two versions agree on whose sessions they are.
      await pair.lab.db1.until('the sessions of app are reported', async () => {
        const [link] = (await watchdogStatus(pair.db1)).links;
        return link !== undefined && (link.sessions ?? 0) >= LASTING.length - 1;
      });
    };
    const step = async (upgrade: () => Promise<number>): Promise<void> => {
      await load.look();
      const lateMs = await upgrade();
      await assertUndisturbed(await load.goesOn(), lateMs);
    };

    it('the watchdogs first: no session notices', () => step(() => watchdogs(2, 'one by one')));
    it('then conmgr and conmgr-helper, beside watchdogs of the next version: no session notices', () =>
      step(() => conmgr(2)));
    it('back again, conmgr first: no session notices', () => step(() => conmgr(1)));
    it('then the watchdogs, beside a conmgr of the former version: no session notices', () =>
      step(() => watchdogs(1, 'together')));
    it('once more, conmgr first, beside watchdogs of the former version: no session notices', () =>
      step(() => conmgr(2)));
    it('and the watchdogs: no session notices', () => step(() => watchdogs(2, 'together')));

    it('nobody has been told of a loss, and no terminator has ended anything', async () => {
      const messages = async (host: Host, unit: string): Promise<string[]> =>
        (await host.journal(`--unit=${unit}`)).map(({ MESSAGE = '' }) => MESSAGE);
      for (const { host, watchdogUnit } of [pair.db1, pair.db2]) {
        const lines = await messages(host, watchdogUnit);
        assert.ok(
          lines.some((line) => /conmgr .*restart/.test(line)),
          'it has heard of the restarts of conmgr',
        );
        assert.deepEqual(
          lines.filter((line) => /\bended? \d+ sessions?|\bis lost\b/.test(line)),
          [],
        );
      }
      const losses = /is lost|is down|is not monitored|were told|ended \d+ (sessions|connections)/;
      assert.deepEqual(
        (await messages(pair.lab.app, pair.app.unit)).filter((line) => losses.test(line)),
        [],
      );
    });

    it('every row that was acknowledged is there, once', async () => {
      const tallies = await load.end();
      assert.deepEqual(load.failures, []);
      const rows = await pair.db1.sql(
        'select writer, count(*) from written group by 1 having max(number) = count(*) - 1 order by writer collate "C"',
      );
      const acknowledged = [...WRITERS].sort().map((name) => `${name}|${tallies[name]?.rows}`);
      assert.deepEqual(rows.split('\n'), acknowledged);
    });

    it('and a host that is lost then loses the sessions that its conmgr reported', async () => {
      const reported = async (): Promise<number | null | undefined> =>
        (await watchdogStatus(pair.db1)).links[0]?.sessions;
      // Else a session of the load, whose end is not yet reported, would pass for the one that is lost.
      await pair.lab.db1.until('those of the load are no more', async () => (await reported()) === 0);
      const session = pair.lab.app.start(
        ['psql', '-h', 'db1', '-U', 'postgres', '-c', 'select pg_sleep(1000)'],
        {
          env: { PGAPPNAME: 'last' },
        },
      );
      const query = "select pid from pg_stat_activity where application_name = 'last'";
      await pair.lab.db1.until('it is reported', async () => (await reported()) === 1);
      await pair.lab.cut('app');
      await pair.lab.db1.until('the session is gone', async () => (await pair.db1.sql(query)) === '');
      session.killAll();
    });
  });
}
