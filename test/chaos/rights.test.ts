/** A watchdog whose role may not do what it has to: rows 47 and 51. */

import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { it } from 'node:test';
import type { Server } from '../support/postgres.js';
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

/** Ways to keep the role out that may connect by its password, and what it is told. */
const KEPT_OUT: readonly (readonly [sqlState: string, act: (server: Server) => Promise<unknown>])[] = [
  [
    '28000',
    async (server) => {
      const rules = join(server.dataDir, 'pg_hba.conf');
      await writeFile(rules, `local all guard reject\n${await readFile(rules, 'utf8')}`);
      await server.sql('select pg_reload_conf()');
    },
  ],
  ['28P01', (server) => server.sql("alter role guard password 'another'")],
  ['28P01', (server) => server.sql("alter role guard valid until 'yesterday'")],
];

it(
  ...row(51, async (trial) => {
    for (const [sqlState, act] of KEPT_OUT) {
      const scene = await trial.scene({
        watchdogEnv: { PGUSER: 'guard', PGPASSWORD: 'right' },
        hba: ['local all guard scram-sha-256'],
        beforeWatchdog: (server) => server.sql("create role guard superuser login password 'right'"),
      });
      const { conmgr, primary } = scene;
      const { server, watchdog } = primary;
      const app = await scene.app({ target: 'any' });
      await conmgr.untilInstance(0, 'is known', (one) => !one.stale && one.state === 'up');
      trial.load(await app.load());
      await act(server);
      const lateness = scene.lateness();
      const endedMs = nowMs();
      // Kept connections outlive the change.
      await server.sql("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'guard'");
      await conmgr.untilInstance(0, 'is stale', (one) => one.stale && one.reason.includes(sqlState));
      trial.took('stale with the cause', nowMs() - endedMs, lateness);
      const [said] = await watchdog.line(/ERROR: {2}could not connect to the instance.*/);
      trial.never('causes without their SQLSTATE', said.includes(`SQLSTATE ${sqlState}`) ? 0 : 1);
      await app.load();
      trial.never('sessions told of a loss', app.events('lost').length);
      trial.never('sessions ended by a watchdog', scene.endedSessions());
      await scene.end();
    }
  }),
);
