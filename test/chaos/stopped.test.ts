/** A conmgr that is stopped for good: row 62. */
import { it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { nowMs } from './harness/application.js';
import { Backends } from './harness/backends.js';
import { TIMING } from './harness/timing.js';
import { row } from './harness/trial.js';

const PATIENCE_MS = 60_000;

it(
  ...row(62, async (trial) => {
    for (const terminateOn of ['any', 'lost'] as const) {
      const scene = await trial.scene({ watchdog: { terminate_on: terminateOn } });
      const { app1 } = scene.network;
      const app = await scene.app({ target: 'primary' });
      // Told by nobody; only a watchdog would end it.
      const held = await scene.session();
      await scene.trusted();
      trial.load(await app.load());
      const backends = await Backends.watch(scene.primary, app1.address);
      const lateness = scene.lateness(app);
      const stopMs = nowMs();
      scene.conmgr.running.kill('SIGTERM');
      for (const { atMs } of await app.losses(0, PATIENCE_MS)) {
        trial.took('application told', atMs - stopMs, lateness);
      }
      if (terminateOn === 'any') {
        const { allMs } = await backends.ended(PATIENCE_MS);
        trial.took('sessions ended', allMs - stopMs, lateness);
      } else {
        await delay(TIMING.G + TIMING.T);
        await held.query('select');
        trial.never('sessions ended with terminate_on = lost', scene.endedSessions());
        await backends.end();
      }
      await scene.end();
    }
  }),
);
