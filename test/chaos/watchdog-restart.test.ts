/** A watchdog that is restarted on purpose: row 60. */
import { it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { nowMs } from './harness/application.js';
import { TIMING } from './harness/timing.js';
import { row } from './harness/trial.js';

it(
  ...row(60, async (trial) => {
    const scene = await trial.scene({ standbys: 1 });
    const { primary, conmgr } = scene;
    const app = await scene.app({ target: 'primary' });
    for (let round = 0; round < 3; round += 1) {
      await scene.trusted();
      trial.load(await app.load());
      const lateness = scene.lateness();
      const stopMs = nowMs();
      // What a service manager does at an upgrade: SIGUSR2 announces a restart.
      await primary.watchdog.stop('SIGUSR2');
      primary.watchdog = await primary.watchdog.again();
      await conmgr.linked();
      trial.took('without a link', nowMs() - stopMs, lateness);
    }
    await delay(TIMING.T + TIMING.G);
    await app.load();
    trial.never('sessions told of a loss', app.events('lost').length);
    trial.never('sessions ended by a watchdog', scene.endedSessions());
  }),
);
