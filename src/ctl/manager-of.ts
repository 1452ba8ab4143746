/** The manager of the conmgr that a command line means. */
import { realpath } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { RunningUnit } from '../core/ctl/status-view.js';
import { isBusy } from '../core/ctl/unit-state.js';
import { rereadCommand } from '../core/ctl/unit-words.js';
import { CTL_MESSAGES } from '../core/messages/ctl.js';
import { assertDirectory, type Found } from './ask.js';
import type { Call } from './call.js';
import type { Manager } from './manager.js';

/**
 * `toStart`: one is to be started. A directory that is closed to the caller will do when the system's manager has a unit
 * for it; its rights are enough then. One that is gone will do to stop what a unit still runs. Rejects with MessageError.
 */
export async function managerOf(
  { world, options, directory }: Call,
  found: Found,
  toStart: boolean,
): Promise<Manager> {
  if (found.state === 'no directory' && toStart) assertDirectory(directory, found);
  const manager = await world.managers.choose({
    directory: await pathOf(directory),
    pid: 'pid' in found ? found.pid : undefined,
    wanted: options.manager,
    logFile: options.logFile,
    toStart,
  });
  const { kind, unit } = manager;
  const state = await unit?.state().catch(() => undefined);
  // A directory that was moved or removed while its service runs still has the service.
  if (found.state === 'no directory' && (state === undefined || !isBusy(state)))
    assertDirectory(directory, found);
  if (found.state === 'no access' && kind !== 'system') assertDirectory(directory, found);
  if (toStart && unit !== undefined && kind !== 'none' && state?.stale === true && !options.silent) {
    world.output.report(CTL_MESSAGES.unitStale, { unit: unit.name, command: rereadCommand(kind) });
  }
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
