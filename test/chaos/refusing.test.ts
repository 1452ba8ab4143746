/** A network that answers for a host that it does not reach: row 8. */
import { it } from 'node:test';
import { nowMs } from './harness/application.js';
import { Backends } from './harness/backends.js';
import { boundMs } from './harness/timing.js';
import { row } from './harness/trial.js';

const PATIENCE_MS = 60_000;

/** Resets go through, or nobody would hear of them. */
const RESET = 'tcp flags & rst != rst reject with tcp reset';
const UNREACHABLE = 'reject with icmpx type host-unreachable';

it(
  ...row(8, async (trial) => {
    const scene = await trial.scene();
    const { app1 } = scene.network;
    const { host } = scene.primary;
    for (const [name, rule] of [
      ['resets', RESET],
      ['ICMP', UNREACHABLE],
    ] as const) {
      const busy = await scene.app({ target: 'primary' });
      // Hears of nothing by its own packets.
      const idle = await scene.app({ target: 'primary', pauseMs: 600_000 });
      await scene.trusted();
      trial.load(await busy.load());
      const backends = await Backends.watch(scene.primary, app1.address);
      const lateness = scene.lateness(idle);
      const cutMs = nowMs();
      const heals = [host.treat(['in'], rule, app1), app1.treat(['in'], rule, host)];
      for (const { atMs } of await idle.losses(0, PATIENCE_MS)) {
        trial.took(`application told, ${name}`, atMs - cutMs, lateness);
      }
      const { firstMs, allMs } = await backends.ended(PATIENCE_MS);
      trial.took(`sessions ended, ${name}`, allMs - cutMs, lateness);
      if (name === 'resets') {
        trial.never('sessions ended before restart_grace', firstMs - cutMs < boundMs('G') ? 1 : 0);
      }
      for (const heal of heals) heal();
      for (const { running } of [busy, idle]) running.kill('SIGKILL');
      await scene.conmgr.linked();
    }
  }),
);
