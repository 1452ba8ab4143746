/** A wall clock that jumps, for single processes: row 26. */
import { chmodSync, existsSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { libraryFolders } from '../../src/io/native.js';
import { isRunning } from '../support/processes.js';
import { temporaryDirectory } from '../support/tree.js';
import { TIMING } from './harness/timing.js';
import { row } from './harness/trial.js';

/** The clock of what is started with `env` (libfaketime): now plus what its file says. The monotonic one stays. */
class WallClock {
  readonly #file = join(temporaryDirectory(), 'clock');
  /** Runs a program under this clock. */
  readonly through: readonly string[];

  constructor() {
    const library = libraryFolders()
      .map((folder) => `/usr/${folder}/faketime/libfaketime.so.1`)
      .find(existsSync);
    if (library === undefined) throw new Error('there is no libfaketime');
    // Servers and conmgr are of another account.
    chmodSync(dirname(this.#file), 0o711);
    this.jump('+0');
    this.through = [
      'env',
      `LD_PRELOAD=${library}`,
      `FAKETIME_TIMESTAMP_FILE=${this.#file}`,
      'FAKETIME_NO_CACHE=1',
      'FAKETIME_DONT_FAKE_MONOTONIC=1',
    ];
  }

  jump(offset: string): void {
    writeFileSync(this.#file, `${offset}\n`, { mode: 0o644 });
  }
}

/** libfaketime leaves its shared memory behind when a process is killed; its name ends with the process. */
function forgetClocks(): void {
  for (const name of readdirSync('/dev/shm')) {
    const [, pid] = /^(?:sem\.)?faketime_(?:shm|sem)_(\d+)$/.exec(name) ?? [];
    if (pid !== undefined && !isRunning(Number(pid))) rmSync(join('/dev/shm', name), { force: true });
  }
}

/** The dates of log lines. */
function dates(lines: readonly string[]): Set<string> {
  return new Set(lines.flatMap((line) => /^\d{4}-\d\d-\d\d/.exec(line)?.[0] ?? []));
}

it(
  ...row(26, async (trial) => {
    const [ofConmgr, ofServer] = [new WallClock(), new WallClock()];
    trial.atEnd(forgetClocks);
    const scene = await trial.scene({ through: { servers: ofServer.through, conmgr: ofConmgr.through } });
    const app = await scene.app({ target: 'primary' });
    await scene.trusted();
    const { conmgr } = scene;
    const { running } = scene.primary.watchdog;
    for (const [clock, lines] of [
      [ofConmgr, conmgr.running.lines],
      [ofServer, running.lines],
    ] as const) {
      for (const offset of ['+1d', '-1h', '+0']) {
        trial.load(await app.load());
        clock.jump(offset);
        await delay(TIMING.T + TIMING.I);
        // Something to log, by both.
        await scene.primary.watchdog.ask({ command: 'pause' });
        await scene.primary.watchdog.ask({ command: 'resume' });
        await conmgr.reload();
        await app.load();
      }
      if (dates(lines).size < 2) throw new Error('the clock did not jump');
    }
    const links = /link to instance 0 .* (is back|went|lost)|heartbeat link .* (timed out|was closed)/;
    trial.never(
      'links that were down',
      [...conmgr.running.lines, ...running.lines].filter((line) => links.test(line)).length,
    );
    trial.never('sessions told of a loss', app.events('lost').length);
    trial.never('sessions ended by a watchdog', scene.endedSessions());
  }),
);
