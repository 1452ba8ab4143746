/** `cm_ctl reload`: conmgr reads conmgr.conf again and says what became of it. */
import { EXIT, type ExitStatus } from '../core/ctl/exit-status.js';
import { isBusy } from '../core/ctl/unit-state.js';
import { CTL_MESSAGES } from '../core/messages/ctl.js';
import { MessageError } from '../core/messages/message-error.js';
import { ControlUnavailable } from '../io/control-socket.js';
import { ask } from './ask.js';
import type { Call } from './call.js';
import { managerOf } from './manager-of.js';

export async function runReload(call: Call): Promise<ExitStatus> {
  const { world, options, directory } = call;
  const { forgetCluster } = options;
  let answer: Awaited<ReturnType<typeof ask>>;
  try {
    answer = await ask(directory, { command: 'reload', forgetCluster });
  } catch (error) {
    if (forgetCluster || !isClosed(error)) throw error;
    return reloadUnit(call);
  }
  if (!('reload' in answer)) return EXIT.failed;
  const { changed, needsRestart, problems } = answer.reload;
  if (problems.length > 0) throw new MessageError(CTL_MESSAGES.reloadRefused, { lines: problems.join('\n') });
  const lines = ['conmgr reloaded'];
  lines.push(`changed: ${changed.length === 0 ? 'nothing' : changed.join(', ')}`);
  if (forgetCluster) lines.push('the cluster is learned anew');
  if (needsRestart.length > 0) lines.push(`needs a restart: ${needsRestart.join(', ')}`);
  world.output.lines(lines);
  return EXIT.done;
}

function isClosed(error: unknown): boolean {
  const { cause } = error instanceof Error ? error : {};
  return cause instanceof ControlUnavailable && cause.reason === 'no access';
}

/** Whoever may not talk to the process may still have the right to let the manager do it. */
async function reloadUnit(call: Call): Promise<ExitStatus> {
  const { world, options, directory } = call;
  const { unit } = await managerOf(call, { state: 'no access' }, false);
  if (unit === undefined) throw new MessageError(CTL_MESSAGES.directoryClosed, { directory });
  if (!isBusy(await unit.state())) throw new MessageError(CTL_MESSAGES.notRunning, { directory });
  await unit.reload();
  world.output.lines(['conmgr reloaded']);
  if (!options.silent) world.output.report(CTL_MESSAGES.reloadUnseen, { directory });
  return EXIT.done;
}
