/** `cm_ctl watchdog …`: requests to the watchdog of a data directory. */
import { realpath } from 'node:fs/promises';
import { join } from 'node:path';
import { parseIp } from '../core/config/address.js';
import { WATCHDOG_FILES, type WatchdogAnswer, type WatchdogRequest } from '../core/control/watchdog.js';
import { EXIT, type ExitStatus } from '../core/ctl/exit-status.js';
import { renderTerminate, renderWatchdog } from '../core/ctl/watchdog-view.js';
import { CTL_MESSAGES } from '../core/messages/ctl.js';
import { MessageError } from '../core/messages/message-error.js';
import { askControl, ControlUnavailable } from '../io/control-socket.js';
import { openDataDirectory } from '../io/data-directory.js';
import { refused } from './ask.js';
import type { Call } from './call.js';
import { dataDirectoryError } from './data-directory-error.js';
import { localZone } from './status-lines.js';

/** Ending many sessions takes its time; the watchdog bounds each step itself. */
const TERMINATE_TIMEOUT_MS = 60_000;

type Accepted = Extract<WatchdogAnswer, { ok: true }>;

/** Asks once. Rejects with MessageError. */
async function askWatchdog(directory: string, request: WatchdogRequest): Promise<Accepted> {
  const timeoutMs = request.command === 'terminate' ? { timeoutMs: TERMINATE_TIMEOUT_MS } : {};
  let answer: WatchdogAnswer;
  try {
    const place = join(await realpath(directory), WATCHDOG_FILES.directory);
    answer = await askControl<WatchdogAnswer>(place, request, { name: WATCHDOG_FILES.socket, ...timeoutMs });
  } catch (error) {
    throw await unavailable(directory, error);
  }
  if (answer.ok) return answer;
  throw refused(answer.error);
}

async function unavailable(directory: string, cause: unknown): Promise<MessageError> {
  const opened = await openDataDirectory(directory);
  if ('problem' in opened) return dataDirectoryError(directory, opened.problem, cause);
  const reason = cause instanceof ControlUnavailable ? cause.reason : 'not running';
  switch (reason) {
    case 'timeout':
      return new MessageError(CTL_MESSAGES.watchdogNotAnswering, { directory }, { cause });
    case 'no answer': {
      const socket = join(directory, WATCHDOG_FILES.directory, WATCHDOG_FILES.socket);
      return new MessageError(CTL_MESSAGES.garbled, { socket }, { cause });
    }
    case 'no access':
      return dataDirectoryError(directory, 'unreadable', cause);
    case 'no directory':
    case 'not running':
      return new MessageError(CTL_MESSAGES.watchdogNotRunning, { directory }, { cause });
  }
}

export async function runWatchdogStatus({ world, options, directory }: Call): Promise<ExitStatus> {
  const { output } = world;
  try {
    const answer = await askWatchdog(directory, { command: 'status' });
    if (!('status' in answer)) return EXIT.failed;
    if (options.json) output.json(answer.status);
    else output.lines(renderWatchdog(answer.status, output.layout, localZone));
    return EXIT.done;
  } catch (error) {
    if (!(error instanceof MessageError)) throw error;
    output.report(error.spec, error.params);
    if (error.spec.code === CTL_MESSAGES.watchdogNotRunning.code) return EXIT.notRunning;
    return error.spec.code === CTL_MESSAGES.dataDirectoryWrong.code ? EXIT.noDirectory : EXIT.failed;
  }
}

export async function runWatchdogPause({ world, directory }: Call): Promise<ExitStatus> {
  await askWatchdog(directory, { command: 'pause' });
  world.output.lines(['terminator paused: no session is ended until "cm_ctl watchdog resume"']);
  return EXIT.done;
}

export async function runWatchdogResume({ world, directory }: Call): Promise<ExitStatus> {
  await askWatchdog(directory, { command: 'resume' });
  world.output.lines(['terminator resumed']);
  return EXIT.done;
}

export async function runWatchdogTerminate({
  world,
  options,
  operands,
  directory,
}: Call): Promise<ExitStatus> {
  const [word = ''] = operands;
  if (parseIp(word) === undefined) throw new MessageError(CTL_MESSAGES.wrongAddress, { word });
  const answer = await askWatchdog(directory, {
    command: 'terminate',
    address: word,
    dryRun: options.dryRun,
  });
  if (!('terminate' in answer)) return EXIT.failed;
  if (options.json) world.output.json(answer.terminate);
  else world.output.lines(renderTerminate(answer.terminate));
  return answer.terminate.forbidden > 0 ? EXIT.failed : EXIT.done;
}
