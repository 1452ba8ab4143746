/** Paths that lose everything in one direction: rows 2 and 3. */
import { it } from 'node:test';
import { Backends } from './harness/backends.js';
import type { Way } from './harness/network.js';
import { measureSilence } from './harness/silence.js';
import { row, type Trial } from './harness/trial.js';

/** @param way as the database host sees it */
async function loseOneWay(trial: Trial, way: Way): Promise<void> {
  const scene = await trial.scene({ standbys: 1 });
  const { app1 } = scene.network;
  const reader = await scene.app({ target: 'standby' });
  for (let round = 0; round < 2; round += 1) {
    const app = await scene.app({ target: 'primary' });
    await scene.trusted();
    trial.load(await app.load());
    const backends = await Backends.watch(scene.primary, app1.address);
    const heal = await measureSilence(
      trial,
      { scene, app, backends },
      () => scene.primary.host.treat([way], 'drop', app1),
      { told: 'application told', ended: 'last session ended' },
    );
    heal();
    app.running.kill('SIGKILL');
    await scene.conmgr.linked();
  }
  trial.never('applications at the other server told', reader.events('lost').length);
}

it(...row(2, (trial) => loseOneWay(trial, 'in')));
it(...row(3, (trial) => loseOneWay(trial, 'out')));
