/** Leaves nothing of a test run behind: ends every process it started and removes its directory. */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { join } from 'node:path';

/** The environment variable, inherited by everything a run starts, that tells whose a process is. */
export const RUN_ID = 'CONMGR_TEST_RUN';

/**
 * The processes of a run: those that carry its id in their environment and those that work in its directory.
 * The second sign is for PostgreSQL, whose processes write their title over the environment they were given.
 */
export function processesOfRun(id: string, directory: string): number[] {
  const mark = `${RUN_ID}=${id}`;
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter(
      (pid) => pid !== process.pid && pid !== process.ppid && (hasMark(pid, mark) || worksIn(pid, directory)),
    );
}

function hasMark(pid: number, mark: string): boolean {
  return read(`/proc/${pid}/environ`).split('\0').includes(mark);
}

function worksIn(pid: number, directory: string): boolean {
  try {
    return `${readlinkSync(`/proc/${pid}/cwd`)}/`.startsWith(`${directory}/`);
  } catch {
    return false;
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    // Not ours to read, or gone meanwhile.
    return '';
  }
}

/** A process that has ended and only waits for its parent to take notice; nothing is left to end. */
function isZombie(pid: number): boolean {
  return /^\d+ \(.*\) [ZX] /s.test(read(`/proc/${pid}/stat`));
}

/** Ends every process of the run, again and again until a look finds none: a process may fork while it is ended. */
export async function endProcesses(id: string, directory: string): Promise<void> {
  const deadline = performance.now() + 10_000;
  for (;;) {
    const pids = processesOfRun(id, directory).filter((pid) => !isZombie(pid));
    if (pids.length === 0) return;
    if (performance.now() > deadline) throw new Error(`processes ${pids.join(', ')} cannot be ended`);
    for (const pid of pids) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // Ended by itself.
      }
    }
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/**
 * Removes the System V shared memory segment that a killed postmaster leaves behind: 56 bytes each, but the kernel
 * has a fixed number of them. Its id stands in postmaster.pid (line 7), its creator in /proc/sysvipc/shm.
 */
export function removeSharedMemory(dataDir: string): void {
  const lines = read(join(dataDir, 'postmaster.pid')).split('\n');
  const shmid = lines[6]?.trim().split(/\s+/)[1];
  const creator = lines[0]?.trim();
  if (shmid === undefined || creator === undefined) return;
  const segment = read('/proc/sysvipc/shm')
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .find((columns) => columns[1] === shmid);
  if (segment?.[4] !== creator) return;
  try {
    execFileSync('ipcrm', ['-m', shmid], { stdio: 'ignore' });
  } catch {
    // Without ipcrm (util-linux) the segment stays until the machine restarts.
  }
}

/** The data directories below `directory`, found by their postmaster.pid. */
function dataDirectories(directory: string): string[] {
  const found: string[] = [];
  const walk = (folder: string, depth: number): void => {
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      if (entry.name === 'postmaster.pid') found.push(folder);
      else if (entry.isDirectory() && depth > 0) walk(join(folder, entry.name), depth - 1);
    }
  };
  walk(directory, 5);
  return found;
}

/** Ends the run's processes and removes what they leave: shared memory and the directory itself. */
export async function sweep(id: string, directory: string): Promise<void> {
  await endProcesses(id, directory);
  for (const dataDir of dataDirectories(join(directory, 'tmp'))) removeSharedMemory(dataDir);
  rmSync(directory, { recursive: true, force: true, maxRetries: 3 });
}

/**
 * Waits until standard input ends and then sweeps. The supervisor holds the other end of that pipe, so the sweep
 * happens however the supervisor ends, SIGKILL included.
 */
export function sweepWhenClosed(id: string, directory: string): void {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const) process.on(signal, () => {});
  process.stdin.on('error', () => {});
  process.stdin.once('close', () => {
    sweep(id, directory).catch((error: unknown) => {
      console.error(`clean-up after the run: ${error instanceof Error ? error.message : error}`);
      process.exitCode = 1;
    });
  });
  process.stdin.resume();
}
