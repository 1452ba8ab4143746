/** A watchdog whose role may not do what it has to: rows 47 and 51. */

import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { it } from 'node:test';
import { runProgram } from '../support/programs.js';
import type { TestWatchdog } from '../support/watchdog.js';
import { nowMs } from './harness/application.js';
import { row } from './harness/trial.js';

it(
  ...row(47, async (trial) => {
    const scene = await trial.scene();
    const { primary } = scene;
    await primary.server.sql('create role poor login');
    await primary.watchdog.stop();
    for (let round = 0; round < 2; round += 1) {
      const poor: TestWatchdog = await primary.watchdog.again({ PGUSER: 'poor' });
      const lateness = scene.lateness();
      const startMs = nowMs();
      primary.watchdog = poor;
      const lacking = [
        'may not end sessions of other roles',
        'may not see the client addresses of other sessions',
      ];
      for (const what of lacking) await poor.line(new RegExp(`ERROR: {2}role "poor" ${what}`));
      trial.took('said after the start', nowMs() - startMs, lateness);
      await scene.conmgr.linked();
      const { findings, links } = await poor.status();
      const status = await runProgram('cm_ctl', ['watchdog', 'status', '-D', primary.server.dataDir], {
        within: primary.server.within,
      });
      const places = [JSON.stringify(findings), status.stdout];
      const missing = lacking.flatMap((what) => places.filter((text) => !text.includes(what)));
      trial.never('rights that are not named in log, status or view', missing.length);
      trial.never('links that are down', links.length === 1 ? 0 : 1);
      await poor.stop();
    }
    primary.watchdog = await primary.watchdog.again();
  }),
);

it(
  ...row(51, async (trial) => {
    const scene = await trial.scene({
      watchdogEnv: { PGUSER: 'guard' },
      beforeWatchdog: (server) => server.sql('create role guard superuser login'),
    });
    const { conmgr, primary } = scene;
    const { server } = primary;
    const app = await scene.app({ target: 'any' });
    const rules = join(server.dataDir, 'pg_hba.conf');
    const before = await readFile(rules, 'utf8');
    const reload = async (text: string): Promise<void> => {
      await writeFile(rules, text);
      await server.sql('select pg_reload_conf()');
    };
    for (const [rule, sqlState] of [
      ['local all guard reject', '28000'],
      ['local all guard scram-sha-256', '28P01'],
    ] as const) {
      await conmgr.untilInstance(0, 'is known', (one) => !one.stale && one.state === 'up');
      trial.load(await app.load());
      await reload(`${rule}\n${before}`);
      const mark = primary.watchdog.running.lines.length;
      const lateness = scene.lateness();
      const endedMs = nowMs();
      // Kept connections outlive a change of the rules.
      await server.sql("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'guard'");
      await conmgr.untilInstance(0, 'is stale', (one) => one.stale && one.reason.includes(sqlState));
      trial.took('stale with the cause', nowMs() - endedMs, lateness);
      await primary.watchdog.running.waitForLine(/ERROR: {2}could not connect to the instance/, {
        after: mark,
      });
      const said = primary.watchdog.running.lines
        .slice(mark)
        .some((line) => line.includes(`SQLSTATE ${sqlState}`));
      trial.never('causes without their SQLSTATE', said ? 0 : 1);
      await app.load();
      await reload(before);
    }
    await conmgr.untilInstance(0, 'is known', (one) => !one.stale && one.state === 'up', 90_000);
    trial.never('sessions told of a loss', app.events('lost').length);
    trial.never('sessions ended by a watchdog', scene.endedSessions());
  }),
);
