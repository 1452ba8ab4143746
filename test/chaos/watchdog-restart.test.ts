/** Programs that are replaced by those of a next version: row 60. */
import { it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { asServer } from '../support/postgres-account.js';
import { NEXT_VERSION } from '../system/harness/next-version.js';
import { nowMs } from './harness/application.js';
import { nextPrograms } from './harness/next-programs.js';
import { TIMING } from './harness/timing.js';
import { row } from './harness/trial.js';

const ORDERS = [
  ['watchdog', 'conmgr'],
  ['conmgr', 'watchdog'],
] as const;

it(
  ...row(60, async (trial) => {
    const programs = nextPrograms();
    for (const order of ORDERS) {
      const scene = await trial.scene({ standbys: 1 });
      const { primary } = scene;
      let { conmgr } = scene;
      const app = await scene.app({ target: 'primary' });
      for (const part of order) {
        await scene.trusted();
        trial.load(await app.load());
        const lateness = scene.lateness();
        const stopMs = nowMs();
        if (part === 'conmgr') {
          conmgr = await scene.replace(conmgr, { within: asServer(), program: programs.conmgr });
        } else {
          // What a service manager does at an upgrade: SIGUSR2 announces a restart.
          await primary.watchdog.stop('SIGUSR2');
          primary.watchdog = await primary.watchdog.again(undefined, programs.watchdog);
        }
        await conmgr.linked();
        trial.took('without a link', nowMs() - stopMs, lateness);
      }
      await delay(TIMING.T + TIMING.G);
      await app.load();
      // Each end knows that the other one is of the next version.
      await conmgr.logged(new RegExp(`conmgr-watchdog ${NEXT_VERSION}`));
      await primary.watchdog.line(new RegExp(`, conmgr ${NEXT_VERSION}`));
      trial.never('sessions told of a loss', app.events('lost').length);
      trial.never('sessions ended by a watchdog', scene.endedSessions());
      await scene.end();
    }
  }),
);
