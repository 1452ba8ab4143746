/** Configuration that changes under running applications: rows 58 and 59. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { eventually } from '../support/eventually.js';
import { asServer } from '../support/postgres-account.js';
import { signalIfAny } from '../support/processes.js';
import { runProgram } from '../support/programs.js';
import { TIMING } from './harness/timing.js';
import { row } from './harness/trial.js';

it(
  ...row(58, async (trial) => {
    const scene = await trial.scene();
    const { conmgr } = scene;
    const app = await scene.app({ target: 'primary' });
    await scene.trusted();
    const good = readFileSync(join(conmgr.directory, 'conmgr.conf'), 'utf8');
    const line = good.split('\n').length;
    for (const by of ['cm_ctl', 'SIGHUP'] as const) {
      trial.load(await app.load());
      const mark = conmgr.mark;
      conmgr.rewriteText(`${good}heartbeat_interval = banana\n`);
      if (by === 'SIGHUP') signalIfAny(conmgr.pid, 'SIGHUP');
      else {
        const { code } = await runProgram('cm_ctl', ['reload', '-D', conmgr.directory], {
          within: asServer(),
        });
        if (code === 0) throw new Error('cm_ctl reload says that all is well');
      }
      const said = await conmgr
        .logged(new RegExp(`conmgr\\.conf"?[:,]? ?(line )?${line}\\b`), mark)
        .catch(() => undefined);
      trial.never('mistakes without file and line', said === undefined ? 1 : 0);
      const { lastReload } = await conmgr.status();
      trial.never('reloads that status calls good', (lastReload?.problems.length ?? 0) > 0 ? 0 : 1);
      conmgr.rewriteText(good);
      await conmgr.reload();
    }
    await delay(TIMING.T);
    await app.load();
    trial.never('sessions told of a loss', app.events('lost').length);
    trial.never('sessions ended by a watchdog', scene.endedSessions());
  }),
);

it(
  ...row(59, async (trial) => {
    const scene = await trial.scene({ standbys: 1 });
    const { conmgr } = scene;
    const app = await scene.app({ target: 'standby' });
    await scene.trusted();
    trial.load(await app.load());
    conmgr.rewrite([scene.lines[0]]);
    await conmgr.reload();
    await eventually(async () => (await conmgr.status()).instances.length === 1, { what: 'it is removed' });
    await delay(TIMING.T + TIMING.G);
    await app.load();
    trial.never('sessions whose queries failed', app.events('failed').length);
    trial.never('sessions ended by a watchdog', scene.endedSessions());
  }),
);
