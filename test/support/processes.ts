/** Looks at processes through /proc. */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';

/** All process ids that can be seen. */
export function allProcesses(): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
}

/**
 * The processes whose working directory is `directory` or lies below it. PostgreSQL's processes all work in their data
 * directory, also those whose postmaster is gone.
 */
export function processesIn(directory: string): number[] {
  return allProcesses().filter((pid) => {
    try {
      return `${readlinkSync(`/proc/${pid}/cwd`)}/`.startsWith(`${directory}/`);
    } catch {
      return false;
    }
  });
}

/** Whether a process exists and has not ended; one that has, and waits for its parent to take notice, does not run. */
export function isRunning(pid: number): boolean {
  return /^\d+ \(.*\) [^ZX] /s.test(readIfAny(`/proc/${pid}/stat`));
}

/** A file's text; empty if it is gone or not ours to read, as files below /proc may be at any moment. */
export function readIfAny(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}

/** Sends a signal; false if the process is gone already. */
export function signalIfAny(pid: number, signal: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
    throw error;
  }
}

/**
 * Removes the System V shared memory segment that a killed postmaster leaves behind: 56 bytes each, but the kernel
 * has a fixed number of them. Its id stands in postmaster.pid (line 7), its creator in /proc/sysvipc/shm.
 */
export function removeSharedMemory(dataDir: string): void {
  const lines = readIfAny(join(dataDir, 'postmaster.pid')).split('\n');
  const creator = lines[0]?.trim();
  const shmid = lines[6]?.trim().split(/\s+/)[1];
  if (shmid === undefined) return;
  const segment = readIfAny('/proc/sysvipc/shm')
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
