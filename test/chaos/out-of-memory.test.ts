/** Programs that the kernel ends for want of memory: row 64. */
import { existsSync, mkdirSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { eventually } from '../support/eventually.js';
import type { Running } from '../support/running.js';
import { TIMING } from './harness/timing.js';
import { row } from './harness/trial.js';

/** Roots of the memory controller in control groups of version 2 and 1, with the files that limit a group to nothing. */
const CONTROLLERS = [
  { root: '/sys/fs/cgroup/memory', limit: 'memory.limit_in_bytes' },
  { root: '/sys/fs/cgroup', limit: 'memory.max' },
] as const;

/** A process that is started while all processors are busy takes its time; how long it may is no question here. */
const GRACE_MS = 10_000;

/** Puts a process into a group that may have nothing more, and returns when the kernel has killed it. */
async function starve(running: Running): Promise<void> {
  for (const { root, limit } of CONTROLLERS) {
    const group = join(root, `conmgr-chaos-${process.pid}-${running.pid}`);
    if (!existsSync(root)) continue;
    mkdirSync(group);
    try {
      if (!existsSync(join(group, limit))) continue;
      writeFileSync(join(group, limit), '65536');
      writeFileSync(join(group, 'cgroup.procs'), String(running.pid));
      const { signal } = await running.exit;
      if (signal !== 'SIGKILL') throw new Error(`it ended by ${signal}`);
      return;
    } finally {
      await eventually(
        () => {
          rmdirSync(group);
          return true;
        },
        { what: 'the group is empty' },
      );
    }
  }
  throw new Error('there is no control group that limits memory');
}

it(
  ...row(64, async (trial) => {
    const scene = await trial.scene({ watchdog: { restart_grace: `${GRACE_MS}ms` } });
    const { primary } = scene;
    const app = await scene.app({ target: 'primary', config: { conmgrLost: 'keep' } });
    await scene.trusted();
    trial.load(await app.load());
    await starve(scene.conmgr.running);
    await scene.startConmgr({ directory: scene.conmgr.directory });
    await scene.trusted();
    trial.load(await app.load());
    await starve(primary.watchdog.running);
    primary.watchdog = await primary.watchdog.again();
    await scene.conmgrs.at(-1)?.linked();
    await delay(GRACE_MS + TIMING.T);
    await app.load();
    trial.never('sessions told of a loss', app.events('lost').length);
    trial.never('sessions ended by a watchdog', scene.endedSessions());
  }),
);
