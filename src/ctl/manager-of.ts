/** The manager of the conmgr that a command line means. */
import { realpath } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { RunningUnit } from '../core/ctl/status-view.js';
import { assertDirectory, type Found } from './ask.js';
import type { Call } from './call.js';
import type { Manager } from './manager.js';

/**
 * `toStart`: one is to be started. A directory that is closed to the caller will do when the system's manager has a unit
 * for it; its rights are enough then. Rejects with MessageError.
 */
export async function managerOf(
  { world, options, directory }: Call,
  found: Found,
  toStart: boolean,
): Promise<Manager> {
  if (found.state === 'no directory') assertDirectory(directory, found);
  const manager = await world.managers.choose({
    directory: await pathOf(directory),
    pid: 'pid' in found ? found.pid : undefined,
    wanted: options.manager,
    logFile: options.logFile,
    toStart,
  });
  if (manager.kind !== 'system') assertDirectory(directory, found);
  return manager;
}

/** The directory as far as it can be seen where its links lead to. */
export async function pathOf(directory: string): Promise<string> {
  return realpath(directory).catch(() => resolve(directory));
}

/** Who runs this process, for a view; undefined when nobody does. Never rejects. */
export async function unitRunning({ world, directory }: Call, pid: number): Promise<RunningUnit | undefined> {
  const question = { directory, pid, wanted: undefined, logFile: undefined, toStart: false };
  const manager = await world.managers.choose(question).catch(() => undefined);
  const { kind, unit } = manager ?? {};
  return unit === undefined || kind === undefined || kind === 'none' ? undefined : { name: unit.name, kind };
}
