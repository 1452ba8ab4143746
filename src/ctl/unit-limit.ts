/** How many files a program may open when it is started the way it usually is: by its unit, or from this shell. */
import { rereadCommand } from '../core/ctl/unit-words.js';
import { CTL_MESSAGES } from '../core/messages/ctl.js';
import { MessageError } from '../core/messages/message-error.js';
import { conmgrOf } from '../io/conmgr-process.js';
import { descriptorLimit } from '../io/limits.js';
import { type ManagerScope, Systemctl, systemdRuns } from '../io/systemctl.js';
import { watchdogUnitsOf } from '../io/watchdog-units.js';
import type { Call } from './call.js';
import { limitOf } from './registry.js';

export interface StartLimit {
  readonly limit: number;
  /** The unit that sets it; undefined: this shell does. */
  readonly unit: string | undefined;
}

/** Of the conmgr of a directory. */
export async function conmgrStartLimit({ world, options }: Call, directory: string): Promise<StartLimit> {
  const question = { directory, wanted: options.manager, logFile: undefined, toStart: false };
  try {
    const pid = (await conmgrOf(directory))?.pid;
    const { kind, unit } = await world.managers.choose({ ...question, pid });
    if (unit !== undefined && kind !== 'none') return await ofUnit(world, kind, unit.name);
  } catch (error) {
    if (!(error instanceof MessageError) || options.manager !== undefined) throw error;
    // No manager will do for this directory.
  }
  return ofShell();
}

/** Of the watchdog of a data directory, which only the host's manager is expected to run. */
export async function watchdogStartLimit({ world }: Call, directory: string): Promise<StartLimit> {
  if (!systemdRuns()) return ofShell();
  const systemctl = new Systemctl({ scope: 'system', environment: world.environment });
  if (!(await systemctl.hasTemplate('conmgr-watchdog@.service'))) return ofShell();
  const [unit = ''] = await watchdogUnitsOf(directory);
  return ofUnit(world, 'system', unit);
}

async function ofUnit(world: Call['world'], scope: ManagerScope, unit: string): Promise<StartLimit> {
  const systemctl = new Systemctl({ scope, environment: world.environment });
  const shown = await systemctl
    .show(unit, ['LoadState', 'LimitNOFILE', 'NeedDaemonReload'])
    .catch(() => undefined);
  const limit = shown?.['LoadState'] === 'loaded' ? limitOf(shown['LimitNOFILE']) : undefined;
  if (limit === undefined) return ofShell();
  if (shown?.['NeedDaemonReload'] === 'yes') {
    world.output.report(CTL_MESSAGES.unitStale, { unit, command: rereadCommand(scope) });
  }
  return { limit, unit };
}

/** Node.js raises the soft limit to the hard one. */
function ofShell(): StartLimit {
  return { limit: descriptorLimit().hard, unit: undefined };
}

/** `limit of conmgr@app1.service: 20000, enough` */
export function limitLine({ limit, unit }: StartLimit, needed: number): string {
  const shown = limit === Number.POSITIVE_INFINITY ? 'unlimited' : limit;
  return `limit of ${unit ?? 'this shell'}: ${shown}, ${limit >= needed ? 'enough' : 'too few'}`;
}
