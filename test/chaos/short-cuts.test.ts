/** Cuts that are over before anybody may call them a loss: rows 4 and 5. */
import { it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { Application } from './harness/application.js';
import type { Scene } from './harness/scene.js';
import { TIMING } from './harness/timing.js';
import { row, type Trial } from './harness/trial.js';

/** Cuts at so many moments of the interval between two beats. */
const PHASES = 5;
/** The cut is so much shorter than what may be told. */
const SHORTER_MS = 300;

function noneLost(trial: Trial, scene: Scene, app: Application): void {
  trial.never('sessions told of a loss', app.events('lost').length);
  trial.never('sessions ended by a watchdog', scene.endedSessions());
}

it(
  ...row(4, async (trial) => {
    const scene = await trial.scene();
    const app = await scene.app({ target: 'primary' });
    await scene.trusted();
    for (let phase = 0; phase < PHASES; phase += 1) {
      trial.load(await app.load());
      const cutMs = TIMING.T - TIMING.I - SHORTER_MS;
      const forget = scene.primary.host.cutFor(cutMs);
      await delay(cutMs);
      forget();
      await delay(TIMING.T + (TIMING.I * phase) / PHASES);
      await app.load();
    }
    noneLost(trial, scene, app);
  }),
);

it(
  ...row(5, async (trial) => {
    const scene = await trial.scene();
    const app = await scene.app({ target: 'primary' });
    await scene.trusted();
    trial.load(await app.load());
    const begunMs = performance.now();
    const mark = scene.conmgr.mark;
    const whole = 20 * TIMING.T;
    while (performance.now() < begunMs + whole) {
      const heal = scene.primary.host.cut();
      await delay(TIMING.T / 2);
      heal();
      await delay(TIMING.T / 2);
    }
    await scene.conmgr.linked();
    await app.load();
    noneLost(trial, scene, app);
    const seconds = new Map<string, number>();
    for (const line of scene.conmgr.running.lines.slice(mark)) {
      // Date, time to the second, and the message.
      const [, second = '', text = ''] = /^(\S+ [\d:]+)\S* \S+ \[\d+\] (.*)$/.exec(line) ?? [];
      seconds.set(`${second} ${text}`, (seconds.get(`${second} ${text}`) ?? 0) + 1);
    }
    trial.amount('messages of a kind in a second', Math.max(0, ...seconds.values()));
  }),
);
