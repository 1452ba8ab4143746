/** `cm_ctl stop`: tells conmgr to stop and waits until its process is gone. */
import type { StopMode } from '../core/control/protocol.js';
import { EXIT, type ExitStatus } from '../core/ctl/exit-status.js';
import { isBusy } from '../core/ctl/unit-state.js';
import { CTL_MESSAGES } from '../core/messages/ctl.js';
import { MessageError } from '../core/messages/message-error.js';
import { identifyProcess, untilGone } from '../io/conmgr-process.js';
import { askStatus, findConmgr } from './ask.js';
import type { Call } from './call.js';
import type { Manager } from './manager.js';
import { managerOf } from './manager-of.js';
import { limitWaiting, Progress } from './waiting.js';

export async function runStop(call: Call): Promise<ExitStatus> {
  const { world, options, directory } = call;
  const found = await findConmgr(directory);
  const manager = await managerOf(call, found, false);
  const pid = 'pid' in found ? found.pid : await orderedStop(manager);
  if (pid === 'nothing to stop') throw new MessageError(CTL_MESSAGES.notRunning, { directory });
  const mode = options.stopMode ?? 'fast';
  if (options.wait) {
    if (pid !== 'stopped') await stopAndWait(call, manager, pid, mode);
    world.output.lines(['conmgr stopped']);
  } else {
    if (pid !== 'stopped') await manager.stop(directory, pid, mode);
    world.output.lines(['conmgr shutting down']);
  }
  return EXIT.done;
}

/**
 * What to stop of a conmgr that cannot be asked: the process of its unit, which a closed directory hides. A unit that
 * has none at the moment, because it is started again and again, is stopped here.
 */
async function orderedStop({ unit }: Manager): Promise<number | 'stopped' | 'nothing to stop'> {
  const state = await unit?.state();
  if (unit === undefined || state === undefined || !isBusy(state)) return 'nothing to stop';
  if (state.pid !== undefined) return state.pid;
  await unit.orderStop();
  return 'stopped';
}

/** Stops the process of this number; rejects with MessageError when it is still there in the end. */
export async function stopAndWait(
  { world, options, directory }: Call,
  manager: Manager,
  pid: number,
  mode: StopMode,
): Promise<void> {
  const { output, interrupted } = world;
  // Before it is told: a number can be given to another process as soon as this one is gone.
  const process = identifyProcess(pid);
  await manager.stop(directory, pid, mode);
  if (process === undefined) return;
  const limit = limitWaiting(options.timeoutMs, interrupted);
  const progress = new Progress(output, 'shut down');
  const gone = await untilGone(process, limit.signal);
  limit.end();
  progress.end(gone ? 'done' : 'failed');
  if (gone) return;
  if (mode === 'smart') {
    const sessions = await askStatus(directory).then(
      ({ applications }) => applications.length,
      () => undefined,
    );
    if (sessions !== undefined && sessions > 0) {
      throw new MessageError(CTL_MESSAGES.smartStopTimedOut, { sessions });
    }
  }
  throw new MessageError(interrupted.aborted ? CTL_MESSAGES.stopInterrupted : CTL_MESSAGES.stopTimedOut);
}
