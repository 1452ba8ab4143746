/** Paths and interfaces that lose everything: rows 1 and 11. */
import { it } from 'node:test';
import { isRunning } from '../support/processes.js';
import { nowMs } from './harness/application.js';
import { Backends } from './harness/backends.js';
import { measureSilence } from './harness/silence.js';
import { row } from './harness/trial.js';

it(
  ...row(1, async (trial) => {
    const scene = await trial.scene({ standbys: 1 });
    const { app1 } = scene.network;
    // A second application host, whose path is not cut: its sessions are not for the watchdog to end.
    const app2 = await scene.network.addHost('app2', 22);
    await scene.startConmgr({ within: app2.within });
    const neighbour = await scene.app({ within: app2.within, target: 'primary' });
    const reader = await scene.app({ target: 'standby' });
    for (let round = 0; round < 3; round += 1) {
      const app = await scene.app({ target: 'primary' });
      await scene.trusted();
      trial.load(await app.load());
      const backends = await Backends.watch(scene.primary, app1.address);
      const heal = await measureSilence(
        trial,
        { scene, app, backends },
        () => scene.primary.host.treat(['in', 'out'], 'drop', app1),
        { told: 'application told', firstEnded: 'first session ended', ended: 'last session ended' },
      );
      const healed = scene.lateness(app);
      const healMs = nowMs();
      heal();
      await scene.conmgr.linked();
      trial.took('link up after the end of the fault', nowMs() - healMs, healed);
      app.running.kill('SIGKILL');
    }
    trial.never('sessions of other hosts ended', neighbour.events('lost').length);
    trial.never('applications at the other server told', reader.events('lost').length);
  }),
);

it(
  ...row(11, async (trial) => {
    const scene = await trial.scene();
    const { app1 } = scene.network;
    for (const [name, host] of [
      ['application host off', app1],
      ['database host off', scene.primary.host],
    ] as const) {
      await scene.conmgr.linked();
      const app = await scene.app({ target: 'primary' });
      await scene.trusted();
      trial.load(await app.load());
      const backends = await Backends.watch(scene.primary, app1.address);
      await measureSilence(trial, { scene, app, backends }, () => host.interface('down'), {
        told: `application told, ${name}`,
        ended: `sessions ended, ${name}`,
      });
      host.interface('up');
      app.running.kill('SIGKILL');
    }
    await scene.conmgr.linked();
    const pids = [scene.conmgr.pid, scene.primary.watchdog.running.pid];
    trial.never('conmgr or watchdog ended', pids.filter((pid) => !isRunning(pid)).length);
  }),
);
