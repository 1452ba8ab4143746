/** Leaves nothing of a test run behind: ends every process it started and removes its directories. */
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import {
  allProcesses,
  isRunning,
  processesIn,
  readIfAny,
  removeSharedMemory,
  signalIfAny,
} from '../support/processes.js';
import { forgetRun, notedRuns, removeHosts } from '../system/harness/leftovers.js';

/** The environment variable, inherited by everything a run starts, that tells whose a process is. */
export const RUN_ID = 'CONMGR_TEST_RUN';

/**
 * The processes of a run: those that carry its id in their environment and those that work in its directories.
 * The second sign is for PostgreSQL, whose processes write their title over the environment they were given.
 */
function processesOfRun(id: string, directories: readonly string[]): number[] {
  const mark = `${RUN_ID}=${id}`;
  const marked = allProcesses().filter((pid) => readIfAny(`/proc/${pid}/environ`).split('\0').includes(mark));
  return [...new Set([...marked, ...directories.flatMap(processesIn)])].filter((pid) => pid !== process.pid);
}

/** Ends every process of the run, again and again until a look finds none: a process may fork while it is ended. */
async function endProcesses(id: string, directories: readonly string[]): Promise<void> {
  const deadline = performance.now() + 10_000;
  for (;;) {
    const pids = processesOfRun(id, directories).filter(isRunning);
    if (pids.length === 0) return;
    if (performance.now() > deadline) throw new Error(`processes ${pids.join(', ')} cannot be ended`);
    for (const pid of pids) signalIfAny(pid, 'SIGKILL');
    await new Promise((resolve) => setTimeout(resolve, 5));
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

/** Ends the run's processes and removes what they leave: hosts, shared memory and the directories themselves. */
async function sweep(id: string, directories: readonly string[]): Promise<void> {
  const hadHosts = notedRuns().has(id);
  await endProcesses(id, directories);
  if (hadHosts) await removeHosts(id);
  for (const directory of directories) {
    for (const dataDir of dataDirectories(directory)) removeSharedMemory(dataDir);
    rmSync(directory, { recursive: true, force: true, maxRetries: 3 });
  }
  if (hadHosts) forgetRun(id);
}

/** Sweeps runs with hosts whose sweeper was killed with them: a run lives as long as its sweeper. */
export async function sweepDeadRuns(): Promise<void> {
  const commands = allProcesses().map((pid) => readIfAny(`/proc/${pid}/cmdline`).split('\0'));
  for (const [id, directories] of notedRuns()) {
    if (!commands.some((command) => command.includes(id))) await sweep(id, directories);
  }
}

/**
 * Waits until standard input ends and then sweeps. The supervisor holds the other end of that pipe, so the sweep
 * happens however the supervisor ends, SIGKILL included.
 */
export function sweepWhenClosed(id: string, directories: readonly string[]): void {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const) process.on(signal, () => {});
  process.stdin.on('error', () => {});
  process.stdin.once('close', () => {
    sweep(id, directories).catch((error: unknown) => {
      console.error(`clean-up after the run: ${error instanceof Error ? error.message : error}`);
      process.exitCode = 1;
    });
  });
  process.stdin.resume();
}
