/**
 * Control groups hold everything a run starts: what is in one can be ended as a whole, whoever its parent is by now.
 *
 *     <hierarchy>/conmgr-test.<run>/<host>/supervisor           systemd-nspawn
 *     <hierarchy>/conmgr-test.<run>/<host>/payload              the host
 *     <hierarchy>/conmgr-test.<run>/<host>/payload/harness/<n>  a command that a test runs in it
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { eventually } from '../../support/eventually.js';

const MOUNT = '/sys/fs/cgroup';
const PREFIX = 'conmgr-test.';

/** Where the unified hierarchy is mounted: alone, or beside those of version 1. */
function hierarchy(): string | undefined {
  return [MOUNT, join(MOUNT, 'unified')].find((path) => existsSync(join(path, 'cgroup.procs')));
}

/** The control group of a run. */
export function groupOfRun(run: string): string {
  const place = hierarchy();
  if (place === undefined) throw new Error(`no unified hierarchy of control groups below ${MOUNT}`);
  return join(place, `${PREFIX}${run}`);
}

/** The runs that have a control group. */
export function runsWithGroups(): string[] {
  const place = hierarchy();
  if (place === undefined) return [];
  return readdirSync(place)
    .filter((name) => name.startsWith(PREFIX))
    .map((name) => name.slice(PREFIX.length));
}

/** Whether any process is in the group or below it. */
export function isPopulated(group: string): boolean {
  try {
    return readFileSync(join(group, 'cgroup.events'), 'utf8').includes('populated 1');
  } catch {
    return false;
  }
}

/** The processes of one group, without those below it. */
export function processesOf(group: string): number[] {
  try {
    return readFileSync(join(group, 'cgroup.procs'), 'utf8').split('\n').filter(Boolean).map(Number);
  } catch {
    return [];
  }
}

/** Kills everything in the group and below it. */
export function killGroup(group: string): void {
  try {
    writeFileSync(join(group, 'cgroup.kill'), '1');
  } catch (error) {
    if (existsSync(group)) throw error;
  }
}

/** Stops or continues everything in the group and below it, as a machine that is paused. */
export async function freezeGroup(group: string, frozen: boolean): Promise<void> {
  mkdirSync(group, { recursive: true });
  writeFileSync(join(group, 'cgroup.freeze'), frozen ? '1' : '0');
  await eventually(
    () => readFileSync(join(group, 'cgroup.events'), 'utf8').includes(`frozen ${frozen ? 1 : 0}`),
    {
      what: `${group} ${frozen ? 'frozen' : 'thawed'}`,
    },
  );
}

/** Ends what is in the group and removes it, with all groups below it. */
export async function removeGroup(group: string): Promise<void> {
  killGroup(group);
  await eventually(() => !isPopulated(group), { what: `no process left in ${group}` });
  // systemd-nspawn makes the same path in the hierarchy of version 1 that bears systemd's name.
  const mirror = join(MOUNT, 'systemd', group.slice(hierarchy()?.length));
  for (const top of [group, mirror]) {
    await eventually(() => removeTree(top), { what: `${top} removed` });
  }
}

/** Only directories can be removed there; the files in them belong to the kernel. */
function removeTree(group: string): boolean {
  if (!existsSync(group)) return true;
  for (const entry of readdirSync(group, { withFileTypes: true })) {
    if (entry.isDirectory()) removeTree(join(group, entry.name));
  }
  rmdirSync(group);
  return !existsSync(group) && existsSync(dirname(group));
}
