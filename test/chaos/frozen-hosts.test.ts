/** Hosts of which every process is stopped: rows 24 and 25. */
import { it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { nowMs } from './harness/application.js';
import { Backends } from './harness/backends.js';
import { TIMING } from './harness/timing.js';
import { row } from './harness/trial.js';

const PATIENCE_MS = 60_000;
const LONGER_MS = 5000;

it(
  ...row(24, async (trial) => {
    const scene = await trial.scene({ standbys: 1 });
    const { host } = scene.primary;
    trial.atEnd(() => host.thaw());
    const reader = await scene.app({ target: 'standby' });
    const app = await scene.app({ target: 'primary' });
    await scene.trusted();
    trial.load(await app.load());
    const lateness = scene.lateness(app);
    const frozenMs = nowMs();
    host.freeze();
    for (const { atMs } of await app.losses(0, PATIENCE_MS)) {
      trial.took('application told', atMs - frozenMs, lateness);
    }
    await delay(Math.max(0, frozenMs + TIMING.T + LONGER_MS - nowMs()));
    host.thaw();
    await scene.conmgr.linked();
    const fresh = await scene.app({ target: 'primary' });
    await delay(TIMING.T + TIMING.G);
    await fresh.load();
    trial.never('sessions ended by a watchdog', scene.endedSessions());
    trial.never('sessions of the standby told', reader.events('lost').length);
  }),
);

it(
  ...row(25, async (trial) => {
    const scene = await trial.scene();
    const app2 = await scene.network.addHost('app2', 22);
    trial.atEnd(() => app2.thaw());
    await scene.startConmgr({ within: app2.within });
    const frozen = await scene.app({ within: app2.within, target: 'primary' });
    const neighbour = await scene.app({ target: 'primary' });
    await scene.trusted();
    trial.load(Math.min(await frozen.load(), await neighbour.load()));
    const backends = await Backends.watch(scene.primary, app2.address);
    const lateness = scene.lateness();
    const frozenMs = nowMs();
    app2.freeze();
    const { allMs } = await backends.ended(PATIENCE_MS);
    trial.took('sessions ended', allMs - frozenMs, lateness);
    await delay(Math.max(0, frozenMs + TIMING.T + LONGER_MS - nowMs()));
    const thawed = scene.lateness(frozen);
    const thawMs = nowMs();
    app2.thaw();
    for (const { atMs } of await frozen.losses(0, PATIENCE_MS)) {
      trial.took('application told after the end of the fault', atMs - thawMs, thawed);
    }
    await neighbour.load();
    trial.never('sessions of other hosts ended', neighbour.events('lost').length);
  }),
);
