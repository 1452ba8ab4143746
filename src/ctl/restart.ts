/** `cm_ctl restart`: stops conmgr so that applications keep their SQL sessions, and starts it again. */
import { EXIT, type ExitStatus } from '../core/ctl/exit-status.js';
import { CTL_MESSAGES } from '../core/messages/ctl.js';
import { MessageError } from '../core/messages/message-error.js';
import { identifyProcess, type ProcessIdentity, untilGone } from '../io/conmgr-process.js';
import { type Found, findConmgr } from './ask.js';
import type { Call } from './call.js';
import { readConfiguration } from './configuration.js';
import type { Manager, StartedConmgr, UnitHandle } from './manager.js';
import { managerOf } from './manager-of.js';
import { realDirectory } from './real-directory.js';
import { refuseRoot } from './root.js';
import { follow, pidOfUnit } from './start.js';
import { stopAndWait } from './stop.js';
import { limitWaiting, Progress } from './waiting.js';

export async function runRestart(call: Call): Promise<ExitStatus> {
  const { world, options, directory } = call;
  const found = await findConmgr(directory);
  const manager = await managerOf(call, found, true);
  const closed = found.state === 'no access';
  const real = await assertStartable(call, manager, found);
  const pid = 'pid' in found ? found.pid : closed ? await pidOfUnit(manager) : undefined;
  if (pid === undefined) {
    const { text } = CTL_MESSAGES.notRunning;
    world.output.report(
      { ...CTL_MESSAGES.notRunning, level: 'NOTICE', text, hint: 'Starting it anyway.' },
      { directory },
    );
  } else if (options.stopMode === undefined && manager.unit !== undefined) {
    return inOneJob(call, manager.unit, pid, closed);
  } else if (options.stopMode === undefined) {
    return byTakingOver(call, manager, real, pid);
  } else {
    await stopAndWait(call, manager, pid, options.stopMode);
    world.output.lines(['conmgr stopped']);
  }
  const started = await manager.start({ directory: real, logFile: options.logFile });
  return doneOrFailed(await follow(call, started, closed));
}

/** What could not be started again is not stopped. Resolves to the directory without symbolic links. */
async function assertStartable(
  { world, options, directory }: Call,
  { unit }: Manager,
  found: Found,
): Promise<string> {
  if (unit === undefined) refuseRoot(world.uid);
  else if (options.logFile !== undefined) {
    throw new MessageError(CTL_MESSAGES.logFileOfUnit, { unit: unit.name });
  }
  if (found.state === 'no access') return directory;
  const real = await realDirectory(directory);
  await readConfiguration(real);
  return real;
}

/** So the manager, and by it the process, knows that it will be back. */
async function inOneJob(call: Call, unit: UnitHandle, pid: number, closed: boolean): Promise<ExitStatus> {
  const { output } = call.world;
  if (!call.options.wait) {
    await unit.orderRestart();
    output.lines(['conmgr restarting']);
    return EXIT.done;
  }
  const process = identifyProcess(pid);
  const started = await unit.restart(pid);
  // The manager may refuse; what else can end is the new one, and then the old one has gone before.
  const refused = started.ended.then(({ problem }) => (problem === undefined ? undefined : { problem }));
  const refusal = await untilReplaced(call, process, started, refused);
  if (refusal !== undefined) throw refusal.problem;
  return doneOrFailed(await follow(call, started, closed));
}

/** The new process takes everything over from the one that runs. */
async function byTakingOver(
  call: Call,
  manager: Manager,
  directory: string,
  pid: number,
): Promise<ExitStatus> {
  const { output } = call.world;
  const process = identifyProcess(pid);
  const started = await manager.start({ directory, logFile: call.options.logFile, takesOver: true });
  const ended = started.ended.then((end) => (process !== undefined && isStill(process) ? end : undefined));
  const end = await untilReplaced(call, process, started, ended);
  if (end !== undefined) {
    output.quote(end.complaints);
    throw new MessageError(CTL_MESSAGES.notReplaced, { pid, log: started.log });
  }
  return doneOrFailed(await follow(call, started, false));
}

function isStill({ pid, startTicks }: ProcessIdentity): boolean {
  return identifyProcess(pid)?.startTicks === startTicks;
}

/** Waits until the old process is gone; resolves to what `failed` tells when that comes first. */
async function untilReplaced<Failure>(
  { world, options }: Call,
  process: ProcessIdentity | undefined,
  started: StartedConmgr,
  failed: Promise<Failure | undefined>,
): Promise<Failure | undefined> {
  const { output, interrupted } = world;
  const limit = limitWaiting(options.timeoutMs, interrupted);
  const progress = new Progress(output, 'shut down');
  const gone = process === undefined ? Promise.resolve(true) : untilGone(process, limit.signal);
  const failure = await Promise.race([
    gone.then((isGone) => (isGone ? undefined : ('late' as const))),
    failed,
  ]);
  limit.end();
  progress.end(failure === undefined ? 'done' : 'failed');
  if (failure === undefined) {
    output.lines(['conmgr stopped']);
    return undefined;
  }
  started.release();
  if (failure !== 'late') return failure;
  throw new MessageError(interrupted.aborted ? CTL_MESSAGES.stopInterrupted : CTL_MESSAGES.stopTimedOut);
}

/** A start that ends with another status ends a restart with 1. */
function doneOrFailed(status: ExitStatus): ExitStatus {
  return status === EXIT.done ? EXIT.done : EXIT.failed;
}
