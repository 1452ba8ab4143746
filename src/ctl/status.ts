/** `cm_ctl status`. */
import { EXIT, type ExitStatus } from '../core/ctl/exit-status.js';
import { selectStatus } from '../core/ctl/status-view.js';
import { describeUnit, isBusy, isUnusable, listedState } from '../core/ctl/unit-state.js';
import { CTL_MESSAGES } from '../core/messages/ctl.js';
import { findConmgr } from './ask.js';
import type { Call } from './call.js';
import type { Manager } from './manager.js';
import { managerOf, pathOf, unitRunning } from './manager-of.js';
import { statusLines } from './status-lines.js';
import { watchStatus } from './watch-status.js';

export async function runStatus(call: Call): Promise<ExitStatus> {
  const { world, options, directory } = call;
  const { output } = world;
  const found = await findConmgr(directory);
  switch (found.state) {
    case 'no directory':
      output.report(CTL_MESSAGES.directoryMissing, { directory });
      if (!options.json) {
        const manager = await managerOf(call, found, false).catch(() => undefined);
        if (manager !== undefined) output.lines(await lineOfUnit(manager));
      }
      return EXIT.noDirectory;
    case 'no access':
      return fromOutside(call);
    case 'silent':
      output.report(CTL_MESSAGES.notAnswering, { directory, pid: found.pid });
      return EXIT.failed;
    case 'not running': {
      // A state like another, so it is a result; where JSON is expected it is not put into its way.
      if (options.json) output.report(CTL_MESSAGES.notRunning, { directory });
      else {
        const line = await lineOfUnit(await managerOf(call, found, false));
        output.lines([`conmgr is not running in directory "${directory}"`, ...line]);
      }
      return EXIT.notRunning;
    }
    case 'running': {
      const unit = await unitRunning(call, found.pid);
      if (options.watch) return watchStatus(call, unit);
      if (options.json) output.json(selectStatus(found.status, options.show, unit));
      else output.lines(statusLines(call, found.status, unit));
      return EXIT.done;
    }
  }
}

/** Why a unit does not run although it should, or could not; nothing of one that is just stopped. */
async function lineOfUnit({ unit }: Manager): Promise<string[]> {
  const state = await unit?.state().catch(() => undefined);
  if (unit === undefined || state === undefined) return [];
  if (listedState(state.active) === 'stopped' && !isUnusable(state)) return [];
  return [describeUnit(unit.name, state)];
}

/** Of a directory that is closed to the caller: what the service manager knows. */
async function fromOutside(call: Call): Promise<ExitStatus> {
  const { options, directory, world } = call;
  const { output } = world;
  const closed = (): ExitStatus => {
    output.report(CTL_MESSAGES.directoryClosed, { directory });
    return EXIT.noDirectory;
  };
  // Programs and watchers want more than the manager knows.
  if (options.json || options.watch) return closed();
  const { kind, unit } = await world.managers.choose({
    directory: await pathOf(directory),
    pid: undefined,
    wanted: options.manager,
    logFile: undefined,
    toStart: false,
  });
  const state = await unit?.state().catch(() => undefined);
  // The caller's own manager has no rights that he has not.
  if (unit === undefined || state === undefined || kind !== 'system') return closed();
  output.lines([describeUnit(unit.name, state)]);
  return isBusy(state) ? EXIT.done : EXIT.notRunning;
}
