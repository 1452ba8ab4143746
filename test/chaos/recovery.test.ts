/** An instance that recovers for a long time: row 15. */

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { conmgrConf } from '../support/conmgr-process.js';
import { eventually } from '../support/eventually.js';
import { asServer, giveToServers } from '../support/postgres-account.js';
import { readIfAny, signalIfAny } from '../support/processes.js';
import { built } from '../support/programs.js';
import { startCommand } from '../support/running.js';
import { temporaryDirectory } from '../support/tree.js';
import { nowMs } from './harness/application.js';
import { offeredBy } from './harness/requests.js';
import { CONMGR_TIMING } from './harness/scene.js';
import { row } from './harness/trial.js';

/** Longer than conmgr needs to look at everything. */
const WHILE_MS = 3000;

it(
  ...row(15, async (trial) => {
    const scene = await trial.scene();
    const { conmgr } = scene;
    const { server } = scene.primary;
    const app = await scene.app({ target: 'primary' });
    trial.load(await app.load());
    // So much to replay that the process that replays it can be caught.
    await server.sql('create table much as select generate_series(1, 800000) as n');
    await server.stop('immediate');
    app.running.kill('SIGKILL');
    await conmgr.until('no primary is left', ({ primary }) => primary === null);
    const started = server.start();
    const startup = await eventually(
      () =>
        server
          .processes()
          .find((pid) => readIfAny(`/proc/${pid}/cmdline`).startsWith('postgres: primary: startup')),
      { everyMs: 1, what: 'the startup process' },
    );
    signalIfAny(startup, 'SIGSTOP');
    trial.atEnd(() => signalIfAny(startup, 'SIGCONT'));

    const directory = temporaryDirectory('cm-');
    giveToServers(directory);
    writeFileSync(join(directory, 'conmgr.conf'), conmgrConf(scene.lines, { port: 27547, ...CONMGR_TIMING }));
    const cmCtl = (...words: string[]) => {
      const [program = '', ...args] = [...asServer(), process.execPath, built('bin/cm_ctl.js'), ...words];
      return startCommand(program, [...args, '-D', directory, '--manager', 'none']);
    };
    const start = cmCtl('start', '-t', '60');
    trial.atEnd(() => cmCtl('stop', '-m', 'immediate').done);
    let returned = false;
    void start.done.then(() => {
      returned = true;
    });
    let offered = 0;
    const untilMs = nowMs() + WHILE_MS;
    while (nowMs() < untilMs) {
      if ((await offeredBy(conmgr, 'any')) !== '57P03') offered += 1;
      await delay(100);
    }
    trial.never('offered during the recovery', offered);
    trial.never('cm_ctl start returned during the recovery', returned ? 1 : 0);
    signalIfAny(startup, 'SIGCONT');
    await started;
    const readyMs = nowMs();
    const lateness = scene.lateness();
    await conmgr.until('the primary is there', ({ primary }) => primary === 0);
    trial.took('primary after the recovery', nowMs() - readyMs, lateness);
    const { code, stderr } = await start.done;
    if (code !== 0) throw new Error(`cm_ctl start ended with ${code}: ${stderr}`);
  }),
);
