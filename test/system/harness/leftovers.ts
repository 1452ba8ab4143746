/**
 * Takes away what a run of the system tests made outside of its directories: hosts, network namespaces. Whose a thing
 * is stands in its name, so nothing is touched that no run made.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readIfAny } from '../../support/processes.js';
import { groupOfRun, removeGroup, runsWithGroups } from './control-groups.js';

/** A file for each run that may have hosts: its directories, one a line. */
const RUNS = '/run/conmgr-test';
const NAMESPACES = '/run/netns';

/** What the names of a run's network namespaces begin with. */
export function namespacePrefix(run: string): string {
  return `conmgr-test.${run}.`;
}

/** Notes that the run exists, before it makes its first host. */
export function noteRun(run: string, directories: readonly string[]): void {
  mkdirSync(RUNS, { recursive: true });
  writeFileSync(join(RUNS, run), `${directories.join('\n')}\n`);
}

/** Ends the hosts of a run and removes its network namespaces. The processes that make hosts have ended before. */
export async function removeHosts(run: string): Promise<void> {
  await removeGroup(groupOfRun(run));
  for (const name of namesIn(NAMESPACES)) {
    if (name.startsWith(namespacePrefix(run))) execFileSync('ip', ['netns', 'delete', name]);
  }
}

/** Forgets the run, after all of it is gone. */
export function forgetRun(run: string): void {
  rmSync(join(RUNS, run), { force: true });
}

/** The runs that may have hosts, with the directories that are known of each. */
export function notedRuns(): ReadonlyMap<string, readonly string[]> {
  const runs = [...new Set([...namesIn(RUNS), ...runsWithGroups()])];
  const directories = (run: string): string[] => readIfAny(join(RUNS, run)).split('\n').filter(Boolean);
  return new Map(runs.map((run) => [run, directories(run)]));
}

function namesIn(directory: string): string[] {
  return existsSync(directory) ? readdirSync(directory) : [];
}
