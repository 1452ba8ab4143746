/** Paths that deliver late: rows 9 and 10. The heartbeat link goes through a relay; the kernel may not know delays. */
import { it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { Relay } from '../support/relay.js';
import { nowMs } from './harness/application.js';
import { type Scene, SERVER_PORT, WATCHDOG_PORT } from './harness/scene.js';
import { TIMING } from './harness/timing.js';
import { row, type Trial } from './harness/trial.js';

const RELAY_PORT = 27600;
/** In which the delay grows. */
const STEPS = 10;

/** A scene whose conmgr reaches the primary's watchdog through the relay. */
async function delayed(trial: Trial): Promise<{ readonly scene: Scene; readonly relay: Relay }> {
  const scene = await trial.scene({
    standbys: 1,
    withConmgr: false,
    lines: ([db1, db2]) => [
      { host: db1!.address, backendPort: SERVER_PORT, watchdogPort: RELAY_PORT },
      { host: db2!.address, backendPort: SERVER_PORT, watchdogPort: WATCHDOG_PORT },
    ],
  });
  const { app1 } = scene.network;
  const { host } = scene.primary;
  // The address of the database host, so that conmgr and probe look for both at the same one: a port that leads here.
  const relay = await Relay.start(
    { host: host.address, port: WATCHDOG_PORT },
    { listen: { host: app1.address, port: RELAY_PORT } },
  );
  trial.atEnd(() => relay.close());
  app1.run(
    'nft',
    `table ip relay {
chain out { type nat hook output priority -100; ip daddr ${host.address} tcp dport ${RELAY_PORT} dnat to ${app1.address}; }
}`,
  );
  await scene.startConmgr();
  return { scene, relay };
}

it(
  ...row(9, async (trial) => {
    const { scene, relay } = await delayed(trial);
    const app = await scene.app({ target: 'primary' });
    trial.load(await app.load());
    // In steps: a jump by as much would be the fault of row 10.
    for (let step = 1; step <= STEPS; step += 1) {
      relay.delay((3 * TIMING.I * step) / STEPS);
      await delay(TIMING.I);
    }
    await delay(10 * TIMING.T);
    await app.load();
    trial.never('sessions told of a loss', app.events('lost').length);
    trial.never('sessions ended by a watchdog', scene.endedSessions());
  }),
);

it(
  ...row(10, async (trial) => {
    const { scene, relay } = await delayed(trial);
    const reader = await scene.app({ target: 'standby' });
    const app = await scene.app({ target: 'primary' });
    await scene.trusted();
    trial.load(await app.load());
    const lateness = scene.lateness(app);
    const jumpMs = nowMs();
    relay.delay(2 * TIMING.T);
    for (const { atMs } of await app.losses(0, 60_000)) {
      trial.took('application told', atMs - jumpMs, lateness);
    }
    relay.delay(0);
    const overMs = nowMs();
    await scene.conmgr.linked();
    trial.took('link up after the end of the fault', nowMs() - overMs, lateness);
    trial.never('applications at the other server told', reader.events('lost').length);
  }),
);
