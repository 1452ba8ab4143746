/** Watchdogs that are killed: rows 16, 17 and 74. */
import { it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { nowMs } from './harness/application.js';
import { Backends } from './harness/backends.js';
import { TIMING } from './harness/timing.js';
import { row } from './harness/trial.js';

const PATIENCE_MS = 60_000;

it(
  ...row(16, async (trial) => {
    const scene = await trial.scene({ standbys: 1 });
    const app = await scene.app({ target: 'primary' });
    await scene.trusted();
    const { primary } = scene;
    for (let round = 0; round < 3; round += 1) {
      trial.load(await app.load());
      const lateness = scene.lateness();
      const stale = scene.conmgr.untilInstance(0, 'is stale', (one) => one.stale);
      const killedMs = nowMs();
      await primary.watchdog.stop('SIGKILL');
      await stale;
      trial.took('stale after the kill', nowMs() - killedMs, lateness);
      primary.watchdog = await primary.watchdog.again();
      const startedMs = nowMs();
      const started = scene.lateness();
      await scene.conmgr.linked();
      trial.took('link back after the start', nowMs() - startedMs, started);
      await scene.trusted();
    }
    await app.load();
    trial.never('sessions told of a loss', app.events('lost').length);
    trial.never('sessions ended by a watchdog', scene.endedSessions());
  }),
);

it(
  ...row(17, async (trial) => {
    const scene = await trial.scene();
    const app = await scene.app({ target: 'primary' });
    await scene.trusted();
    const { primary, conmgr } = scene;
    await primary.watchdog.stop('SIGKILL');
    await conmgr.untilInstance(0, 'is stale', (one) => one.stale);
    await conmgr.logged(/WARNING: .*(not|no longer|nothing) .*monitor|WARNING: .*unmonitored/, 0, {
      timeoutMs: TIMING.G + PATIENCE_MS,
    });
    await delay(TIMING.G + TIMING.T);
    trial.load(await app.load());
    trial.never('sessions told before the freeze', app.events('lost').length);
    const lateness = scene.lateness(app);
    const frozenMs = nowMs();
    primary.server.freeze();
    for (const { atMs } of await app.losses(0, PATIENCE_MS)) {
      trial.took('application told after the freeze', atMs - frozenMs, lateness);
    }
    primary.server.thaw();
    trial.never('sessions ended by a watchdog', scene.endedSessions());
  }),
);

it(
  ...row(74, async (trial) => {
    const scene = await trial.scene();
    const { primary } = scene;
    const app2 = await scene.network.addHost('app2', 22);
    await scene.startConmgr({ within: app2.within });
    const dying = await scene.app({ within: app2.within, target: 'primary' });
    const app = await scene.app({ target: 'primary' });
    await scene.trusted();
    trial.load((await dying.load()) + (await app.load()));
    // It keeps its links in a file, at most once a second.
    await delay(1500);
    const backends = await Backends.watch(primary, app2.address);
    await primary.watchdog.stop('SIGKILL');
    app2.cut();
    primary.watchdog = await primary.watchdog.again();
    await primary.watchdog.line(/known before the restart of the watchdog/);
    const startMs = nowMs();
    const lateness = scene.lateness();
    const { allMs } = await backends.ended(PATIENCE_MS);
    trial.took('sessions ended after the start of the watchdog', allMs - startMs, lateness);
    trial.never('sessions of other hosts ended', app.events('lost').length);
  }),
);
