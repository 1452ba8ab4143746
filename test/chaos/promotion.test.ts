/** Standbys that are promoted by hand, and primaries that come back: rows 52 to 54. */
import { it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { ConmgrProcess } from '../support/conmgr-process.js';
import { nowMs } from './harness/application.js';
import { offeredBy } from './harness/requests.js';
import { TIMING } from './harness/timing.js';
import { row, type Trial } from './harness/trial.js';

const PATIENCE_MS = 60_000;

/** Asks for a primary for so long, and counts who is led to the instance that is not to be offered. */
async function neverLedTo(
  trial: Trial,
  conmgr: ConmgrProcess,
  instance: number,
  forMs: number,
): Promise<void> {
  const untilMs = nowMs() + forMs;
  let wrong = 0;
  while (nowMs() < untilMs) {
    const offered = await offeredBy(conmgr, 'read-write');
    if (typeof offered !== 'string' && offered.includes(instance)) wrong += 1;
    await delay(50);
  }
  trial.never('requests led to the old primary', wrong);
}

it(
  ...row(52, async (trial) => {
    const scene = await trial.scene({ standbys: 1 });
    const { conmgr } = scene;
    const standby = scene.databases[1]!;
    const app = await scene.app({ target: 'primary' });
    await scene.trusted();
    trial.load(await app.load());
    const lateness = scene.lateness(app);
    const cutMs = nowMs();
    scene.primary.host.treat(['in', 'out'], 'drop', scene.network.app1);
    await standby.server.promote();
    const promotedMs = nowMs();
    const promoted = scene.lateness();
    await conmgr.until('the new one is the primary', ({ primary }) => primary === 1);
    trial.took('new primary offered after the promotion', nowMs() - promotedMs, promoted);
    const fresh = await scene.app({ target: 'primary' });
    for (const { atMs } of await app.losses(0, PATIENCE_MS)) {
      trial.took('old primary lost', atMs - cutMs, lateness);
    }
    await fresh.load();
    trial.never('sessions of the new primary told', fresh.events('lost').length);
  }),
);

it(
  ...row(53, async (trial) => {
    const scene = await trial.scene({ standbys: 1 });
    const { conmgr } = scene;
    const app = await scene.app({ target: 'primary' });
    await scene.trusted();
    trial.load(await app.load());
    const lateness = scene.lateness(app);
    await scene.databases[1]!.server.promote();
    const promotedMs = nowMs();
    await conmgr.until('the new one is the primary', ({ primary }) => primary === 1);
    const offeredMs = nowMs();
    trial.took('new primary offered', offeredMs - promotedMs, lateness);
    const asking = neverLedTo(trial, conmgr, 0, TIMING.T);
    for (const { atMs } of await app.losses(0, PATIENCE_MS)) {
      trial.took('sessions of the old one told', atMs - promotedMs, lateness);
    }
    await asking;
    trial.never(
      'conflicts without a WARNING',
      conmgr.linesLike(/WARNING: .*(conflict|primar)/).length > 0 ? 0 : 1,
    );
  }),
);

it(
  ...row(54, async (trial) => {
    const scene = await trial.scene({ standbys: 1 });
    const { conmgr } = scene;
    const { server } = scene.primary;
    await server.stop('immediate');
    await scene.databases[1]!.server.promote();
    await conmgr.until('the new one is the primary', ({ primary }) => primary === 1);
    const app = await scene.app({ target: 'primary' });
    trial.load(await app.load());
    const asking = neverLedTo(trial, conmgr, 0, 3 * TIMING.T);
    await server.start();
    await conmgr.untilInstance(0, 'is up again', (one) => one.state === 'up' && one.role === 'primary');
    await asking;
    await app.load();
    trial.never('sessions told of a loss', app.events('lost').length);
  }),
);
