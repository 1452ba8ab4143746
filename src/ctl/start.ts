/** `cm_ctl start`: starts conmgr and waits until it can be of use. */
import type { StatusReport } from '../core/control/protocol.js';
import { EXIT, type ExitStatus } from '../core/ctl/exit-status.js';
import { describeInstances, isReached } from '../core/ctl/status-view.js';
import { CTL_MESSAGES } from '../core/messages/ctl.js';
import { MessageError } from '../core/messages/message-error.js';
import { findConmgr } from './ask.js';
import type { Call } from './call.js';
import type { Manager, StartedConmgr } from './manager.js';
import { managerOf } from './manager-of.js';
import { realDirectory } from './real-directory.js';
import { followStatus, type Limit, limitWaiting, type Patience, Progress } from './waiting.js';

export async function runStart(call: Call): Promise<ExitStatus> {
  const { directory, options } = call;
  const found = await findConmgr(directory);
  const manager = await managerOf(call, found, true);
  const closed = found.state === 'no access';
  const pid = 'pid' in found ? found.pid : closed ? await pidOfUnit(manager) : undefined;
  if (pid !== undefined) throw new MessageError(CTL_MESSAGES.alreadyRunning, { directory, pid });
  const { logFile } = options;
  // Only the manager's word is to be had about a directory that is closed.
  const real = closed ? directory : await realDirectory(directory);
  return follow(call, await manager.start({ directory: real, logFile }), closed);
}

/** The process that the unit of a manager runs; undefined when it runs none. */
export async function pidOfUnit({ unit }: Manager): Promise<number | undefined> {
  return (await unit?.state())?.pid;
}

/**
 * Waits for a conmgr that was started. Even with -W it is followed until it answers, which takes a moment, so that a
 * wrong configuration is told by whoever tried to start it. `closed`: its directory cannot be looked into.
 */
export async function follow(call: Call, started: StartedConmgr, closed: boolean): Promise<ExitStatus> {
  const { world, options, directory } = call;
  const { output, interrupted } = world;
  const limit = limitWaiting(options.timeoutMs, interrupted);
  const progress = options.wait ? new Progress(output, 'start') : undefined;
  const seen: Seen = { report: undefined };
  try {
    const goal = options.wait ? (report: StatusReport) => isReached(report, options.complete) : () => true;
    const ended = started.ended.then(() => 'ended' as const);
    const outcomes: Promise<'reached' | 'ended' | Patience>[] = [ended, limit.over];
    if (!closed) outcomes.push(untilReached(directory, started, goal, seen, limit));
    if (closed || !options.wait) outcomes.push(started.ready.then(() => 'reached' as const));
    const outcome = await Promise.race(outcomes);
    progress?.end(outcome === 'reached' ? 'done' : outcome === 'ended' ? 'failed' : 'stopped waiting');
    switch (outcome) {
      case 'reached':
        output.lines([options.wait ? 'conmgr started' : 'conmgr starting']);
        if (closed && !options.silent) output.report(CTL_MESSAGES.linksUnseen, { directory });
        return EXIT.done;
      case 'ended':
        return await reportEnd(started, seen, output);
      case 'interrupted':
        throw new MessageError(CTL_MESSAGES.interrupted);
      case 'timed out':
        throw await timedOut(call, started, seen);
    }
  } finally {
    limit.end();
    started.release();
  }
}

async function timedOut({ options }: Call, started: StartedConmgr, { report }: Seen): Promise<MessageError> {
  const seconds = options.timeoutMs / 1000;
  if (report === undefined) {
    const pid = await started.pid();
    const process = pid === undefined ? 'conmgr' : `conmgr (PID ${pid})`;
    return new MessageError(CTL_MESSAGES.startUnanswered, { process, seconds, log: started.log });
  }
  const row = options.complete ? CTL_MESSAGES.completeStartTimedOut : CTL_MESSAGES.startTimedOut;
  return new MessageError(row, { seconds, lines: describeInstances(report) });
}

/** The last status that came. */
interface Seen {
  report: StatusReport | undefined;
}

/** Settles only when the goal is reached. */
function untilReached(
  directory: string,
  started: StartedConmgr,
  goal: (report: StatusReport) => boolean,
  seen: Seen,
  limit: Limit,
): Promise<'reached'> {
  return new Promise((resolve) => {
    const note = (report: StatusReport): void => {
      // Whoever started another one at the same time was faster; ours is about to find out.
      if (!started.isOurs(report.pid)) return;
      seen.report = report;
      if (goal(report)) resolve('reached');
    };
    const watch = async (): Promise<void> => {
      // One that was not ours may have been its predecessor.
      while (seen.report === undefined && (await followStatus(directory, note, limit.signal)) === 'closed');
    };
    // What it cannot follow ends with the process or with the limit.
    watch().catch(() => {});
  });
}

async function reportEnd(
  started: StartedConmgr,
  seen: Seen,
  output: Call['world']['output'],
): Promise<ExitStatus> {
  const { status, complaints, retried, problem } = await started.ended;
  const { log } = started;
  output.quote(complaints);
  if (problem !== undefined) throw problem;
  if (seen.report !== undefined) throw new MessageError(CTL_MESSAGES.stoppedMeanwhile, { log });
  if (status === EXIT.configuration) throw new MessageError(CTL_MESSAGES.startMisconfigured);
  throw new MessageError(retried === true ? CTL_MESSAGES.startRetried : CTL_MESSAGES.startFailed, { log });
}
