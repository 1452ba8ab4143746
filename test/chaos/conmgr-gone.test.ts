/** A conmgr that is killed: rows 18 and 19. */
import { it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { nowMs } from './harness/application.js';
import { Backends } from './harness/backends.js';
import { TIMING } from './harness/timing.js';
import { row } from './harness/trial.js';

const PATIENCE_MS = 60_000;

it(
  ...row(18, async (trial) => {
    const scene = await trial.scene({ withConmgr: false });
    const { app1 } = scene.network;
    for (let round = 0; round < 3; round += 1) {
      const conmgr = await scene.startConmgr();
      const app = await scene.app({ target: 'primary' });
      // Sessions that nobody tells anything: only the watchdog ends them.
      const held = await Promise.all([1, 2, 3].map(() => scene.session()));
      await scene.trusted();
      trial.load(await app.load());
      const backends = await Backends.watch(scene.primary, app1.address);
      const lateness = scene.lateness(app);
      const killedMs = nowMs();
      await conmgr.stop('SIGKILL');
      for (const { atMs, code } of await app.losses(0, PATIENCE_MS)) {
        trial.took('application told', atMs - killedMs, lateness);
        trial.never('applications told with another code than 08006', code === '08006' ? 0 : 1);
      }
      const { allMs } = await backends.ended(PATIENCE_MS);
      trial.took('sessions ended', allMs - killedMs, lateness);
      await Promise.all(held.map((client) => client.end().catch(() => {})));
    }
  }),
);

it(
  ...row(19, async (trial) => {
    const scene = await trial.scene();
    const app = await scene.app({ target: 'primary', config: { conmgrLost: 'keep' } });
    const { app1 } = scene.network;
    let { conmgr } = scene;
    for (let round = 0; round < 3; round += 1) {
      await scene.trusted();
      trial.load(await app.load());
      await conmgr.stop('SIGKILL');
      await delay(TIMING.G / 3);
      const startMs = nowMs();
      const { running } = scene.primary.watchdog;
      const up = running
        .waitForLine(/heartbeat link of .* is up$/, { after: running.lines.length })
        .then(() => nowMs());
      const lateness = scene.lateness();
      conmgr = await scene.startConmgr({ directory: conmgr.directory });
      trial.took('link up after the start', (await up) - startMs, lateness);
    }
    await delay(TIMING.G + TIMING.T);
    await app.load();
    trial.never('sessions ended by a watchdog', scene.endedSessions());
    const left = await scene.sessionsAt(scene.primary, app1.address);
    trial.never('SQL sessions that are gone', app.sessions - left);
  }),
);
