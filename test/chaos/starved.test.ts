/** Processors that are busy with something else: row 65. */
import { availableParallelism } from 'node:os';
import { it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { startCommand } from '../support/running.js';
import { row } from './harness/trial.js';

const CONMGRS = 10;
const FOR_MS = 600_000;

it(
  ...row(65, async (trial) => {
    const scene = await trial.scene();
    for (let number = 1; number < CONMGRS; number += 1) {
      await scene.startConmgr({ settings: { port: 27600 + number } });
    }
    const app = await scene.app({ target: 'primary' });
    await scene.trusted();
    trial.load(await app.load());
    const hogs = Array.from({ length: 2 * availableParallelism() }, () =>
      startCommand('sh', ['-c', 'while :; do :; done']),
    );
    trial.atEnd(() => Promise.all(hogs.map((hog) => hog.stop('SIGKILL'))));
    await delay(FOR_MS);
    await app.load();
    trial.never('sessions told of a loss', app.events('lost').length);
    trial.never('sessions ended by a watchdog', scene.endedSessions());
    trial.never('instances called lost', scene.conmgrs.flatMap((one) => one.linesLike(/ is lost: /)).length);
  }),
);
