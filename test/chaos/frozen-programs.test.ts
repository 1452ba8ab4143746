/** conmgr or the watchdog stopped in its tracks, without a service manager that would end it: rows 20 and 21. */
import { it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { signalIfAny } from '../support/processes.js';
import { nowMs } from './harness/application.js';
import { Backends } from './harness/backends.js';
import { TIMING } from './harness/timing.js';
import { row } from './harness/trial.js';

const PATIENCE_MS = 60_000;

it(
  ...row(20, async (trial) => {
    const scene = await trial.scene({ standbys: 1 });
    const { app1 } = scene.network;
    const { conmgr } = scene;
    const app = await scene.app({ target: 'primary' });
    await scene.trusted();
    trial.load(await app.load());
    const backends = await Backends.watch(scene.primary, app1.address);
    const lateness = scene.lateness();
    const stoppedMs = nowMs();
    signalIfAny(conmgr.pid, 'SIGSTOP');
    const { allMs } = await backends.ended(PATIENCE_MS);
    trial.took('sessions ended', allMs - stoppedMs, lateness);
    await delay(Math.max(0, stoppedMs + TIMING.T + TIMING.I - nowMs()));
    const [mark, ended] = [conmgr.mark, scene.endedSessions()];
    const again = await scene.session();
    const continued = scene.lateness();
    const continuedMs = nowMs();
    signalIfAny(conmgr.pid, 'SIGCONT');
    await conmgr.until('the links are up again', ({ instances }) =>
      instances.every(({ link }) => link.phase === 'up' && (link.lastPacketAgeMs ?? TIMING.T) < TIMING.T / 2),
    );
    trial.took('links up after the end of the fault', nowMs() - continuedMs, continued);
    await delay(2 * TIMING.T);
    trial.never(
      'instances called lost after the end of the fault',
      conmgr.linesLike(/ is lost: /, mark).length,
    );
    trial.never('sessions ended after the end of the fault', scene.endedSessions() - ended);
    await again.end();
  }),
);

it(
  ...row(21, async (trial) => {
    const scene = await trial.scene({ standbys: 1 });
    const { running } = scene.primary.watchdog;
    for (let round = 0; round < 2; round += 1) {
      await scene.conmgr.linked();
      const app = await scene.app({ target: 'primary' });
      // Not told by anybody; a kill would be seen.
      const held = await scene.session();
      await scene.trusted();
      trial.load(await app.load());
      const lateness = scene.lateness(app);
      const stoppedMs = nowMs();
      signalIfAny(running.pid, 'SIGSTOP');
      for (const { atMs } of await app.losses(0, PATIENCE_MS)) {
        trial.took('application told', atMs - stoppedMs, lateness);
      }
      await delay(Math.max(0, stoppedMs + TIMING.T + TIMING.I - nowMs()));
      signalIfAny(running.pid, 'SIGCONT');
      await delay(TIMING.T + TIMING.G);
      await held.query('select');
      trial.never('sessions ended by a watchdog', scene.endedSessions());
      await held.end();
      app.running.kill('SIGKILL');
    }
  }),
);
