/** `cm_ctl stop`: tells conmgr to stop and waits until its process is gone. */
import type { StopMode } from '../core/control/protocol.js';
import { EXIT, type ExitStatus } from '../core/ctl/exit-status.js';
import { CTL_MESSAGES } from '../core/messages/ctl.js';
import { MessageError } from '../core/messages/message-error.js';
import { identifyProcess, untilGone } from '../io/conmgr-process.js';
import { askStatus, assertDirectory, findConmgr } from './ask.js';
import type { Call } from './call.js';
import { limitWaiting, Progress } from './waiting.js';

export async function runStop(call: Call): Promise<ExitStatus> {
  const { world, options, directory } = call;
  const found = await findConmgr(directory);
  assertDirectory(directory, found);
  if (!('pid' in found)) throw new MessageError(CTL_MESSAGES.notRunning, { directory });
  const mode = options.stopMode ?? 'fast';
  if (options.wait) {
    await stopAndWait(call, found.pid, mode);
    world.output.lines(['conmgr stopped']);
  } else {
    await world.manager.stop(directory, found.pid, mode);
    world.output.lines(['conmgr shutting down']);
  }
  return EXIT.done;
}

/** Stops the process of this number; rejects with MessageError when it is still there in the end. */
export async function stopAndWait(
  { world, options, directory }: Call,
  pid: number,
  mode: StopMode,
): Promise<void> {
  const { output, manager, interrupted } = world;
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
