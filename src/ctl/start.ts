/** `cm_ctl start`: starts conmgr and waits until it can be of use. */
import type { StatusReport } from '../core/control/protocol.js';
import { EXIT, type ExitStatus } from '../core/ctl/exit-status.js';
import { describeInstances, isReached } from '../core/ctl/status-view.js';
import { CTL_MESSAGES } from '../core/messages/ctl.js';
import { MessageError } from '../core/messages/message-error.js';
import { assertDirectory, findConmgr } from './ask.js';
import type { Call } from './call.js';
import type { StartedConmgr } from './manager.js';
import { realDirectory } from './real-directory.js';
import { followStatus, type Limit, limitWaiting, type Patience, Progress } from './waiting.js';

export async function runStart(call: Call): Promise<ExitStatus> {
  const { directory } = call;
  const found = await findConmgr(directory);
  assertDirectory(directory, found);
  if (found.state === 'running' || found.state === 'silent') {
    throw new MessageError(CTL_MESSAGES.alreadyRunning, { directory, pid: found.pid });
  }
  return launch(call);
}

/**
 * Starts it in a directory where none runs. Even with -W it is followed until it answers, which takes a moment, so
 * that a wrong configuration is told by whoever tried to start it.
 */
export async function launch({ world, options, directory }: Call): Promise<ExitStatus> {
  const { output, manager, interrupted } = world;
  const started = await manager.start({
    directory: await realDirectory(directory),
    logFile: options.logFile,
  });
  const limit = limitWaiting(options.timeoutMs, interrupted);
  const progress = options.wait ? new Progress(output, 'start') : undefined;
  const seen: Seen = { report: undefined };
  try {
    const goal = options.wait ? (report: StatusReport) => isReached(report, options.complete) : () => true;
    const outcome = await untilReached(directory, started, goal, seen, limit);
    progress?.end(outcome === 'reached' ? 'done' : outcome === 'ended' ? 'failed' : 'stopped waiting');
    switch (outcome) {
      case 'reached':
        output.lines([options.wait ? 'conmgr started' : 'conmgr starting']);
        return EXIT.done;
      case 'ended':
        return await reportEnd(started, seen, output);
      case 'interrupted':
        throw new MessageError(CTL_MESSAGES.interrupted);
      case 'timed out': {
        const seconds = options.timeoutMs / 1000;
        if (seen.report === undefined) {
          const params = { pid: started.pid, seconds, log: started.log };
          throw new MessageError(CTL_MESSAGES.startUnanswered, params);
        }
        const row = options.complete ? CTL_MESSAGES.completeStartTimedOut : CTL_MESSAGES.startTimedOut;
        throw new MessageError(row, { seconds, lines: describeInstances(seen.report) });
      }
    }
  } finally {
    limit.end();
    started.release();
  }
}

/** The last status that came. */
interface Seen {
  report: StatusReport | undefined;
}

async function untilReached(
  directory: string,
  started: StartedConmgr,
  goal: (report: StatusReport) => boolean,
  seen: Seen,
  limit: Limit,
): Promise<'reached' | 'ended' | Patience> {
  const reached = new Promise<'reached'>((resolve) => {
    followStatus(
      directory,
      (report) => {
        // Whoever started another one at the same time was faster; ours is about to find out.
        if (report.pid !== started.pid) return;
        seen.report = report;
        if (goal(report)) resolve('reached');
      },
      limit.signal,
      // What it cannot follow ends with the process or with the limit.
    ).catch(() => {});
  });
  return Promise.race([reached, started.ended.then(() => 'ended' as const), limit.over]);
}

async function reportEnd(
  started: StartedConmgr,
  seen: Seen,
  output: Call['world']['output'],
): Promise<ExitStatus> {
  const { status, complaints } = await started.ended;
  const { log } = started;
  output.quote(complaints);
  if (seen.report !== undefined) throw new MessageError(CTL_MESSAGES.stoppedMeanwhile, { log });
  if (status === EXIT.configuration) throw new MessageError(CTL_MESSAGES.startMisconfigured);
  throw new MessageError(CTL_MESSAGES.startFailed, { log });
}
