/** Several conmgrs that a server sees at one address: rows 44 and 46. */
import { it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { signalIfAny } from '../support/processes.js';
import type { Scene } from './harness/scene.js';
import { TIMING } from './harness/timing.js';
import { row, type Trial } from './harness/trial.js';

const LEFT_ALONE = /another conmgr is connected from this address/;

/** Long enough for every time-out and grace. */
const settled = (): Promise<void> => delay(2 * TIMING.T + TIMING.G);

function warnings(trial: Trial, scene: Scene): void {
  const { lines } = scene.primary.watchdog.running;
  const count = lines.filter((line) => LEFT_ALONE.test(line)).length;
  if (count === 0) throw new Error('the watchdog does not say that it leaves sessions alone');
  trial.amount('WARNINGs about sessions that are left alone', count);
}

it(
  ...row(44, async (trial) => {
    const scene = await trial.scene({ withConmgr: false });
    const router = await scene.network.addRouter('router', 40);
    const [living, dying] = [await router.addHost('app2', 1), await router.addHost('app3', 2)];
    await scene.startConmgr({ within: living.within });
    await scene.startConmgr({ within: dying.within });
    const app = await scene.app({ within: living.within, target: 'primary' });
    const lost = await scene.app({ within: dying.within, target: 'primary' });
    await scene.trusted();
    trial.load(Math.min(await app.load(), await lost.load()));
    const mark = app.mark;
    dying.cut();
    await settled();
    warnings(trial, scene);
    await app.load();
    trial.never('sessions ended by a watchdog', scene.endedSessions());
    trial.never('sessions of the living host that are gone', app.events('lost', mark).length);
  }),
);

it(
  ...row(46, async (trial) => {
    const scene = await trial.scene();
    const app = await scene.app({ target: 'primary' });
    const other = await scene.startConmgr({ settings: { port: 27547 } });
    await scene.trusted();
    trial.load(await app.load());
    signalIfAny(other.pid, 'SIGSTOP');
    await settled();
    warnings(trial, scene);
    await app.load();
    signalIfAny(other.pid, 'SIGCONT');
    trial.never('sessions ended by a watchdog', scene.endedSessions());
  }),
);
