/**
 * The life of a daemon's process: signals are heeded from the first moment, a start that fails says why to the log and
 * to the service manager, and whatever was made for the run is taken back at its end, however that comes.
 */
import { fill, type MessageSpec } from '../core/messages/message.js';
import { MessageError } from '../core/messages/message-error.js';
import { backgroundClock } from './clock.js';
import { assertDescriptors } from './limits.js';
import { INITIAL_LOG_CONFIG, Logger } from './log/logger.js';
import { createNotifier, type Notifier } from './notify.js';

/** What taking back may take in all when the process ends in order. */
const UNDO_LIMIT_MS = 1000;

/** What signals act on, once it runs. */
export interface RunningService {
  stop(signal: NodeJS.Signals): void;
  reload(): void;
}

/** What a starting daemon has at hand. */
export interface ServiceProcess {
  readonly log: Logger;
  readonly notifier: Notifier;
  /** To be called when the process ends, the last one first, also when the start fails. What needs a turn of the
   *  event loop is awaited only where the process ends in order. */
  atEnd(undo: () => void | Promise<void>): void;
  /** From now on signals reach the daemon. */
  running(service: RunningService): void;
  /** Ends the process in order. */
  end(status: number): Promise<void>;
  /** Ends the process at once, with status 0, and takes nothing back: a successor has it. */
  leave(): never;
}

export interface ServiceOptions {
  /** Default of syslog_ident. */
  readonly syslogIdent?: string;
  readonly stopSignals: readonly NodeJS.Signals[];
  /** An error that is no MessageError is a mistake in the program; parameters: reason, lines. */
  readonly unexpected: MessageSpec;
  /** Rejects with MessageError. */
  readonly start: (process: ServiceProcess) => Promise<void>;
}

/** Runs until stopped; the process ends with the status that the messages name. */
export async function runService({
  syslogIdent,
  stopSignals,
  unexpected,
  start,
}: ServiceOptions): Promise<void> {
  const config = syslogIdent === undefined ? INITIAL_LOG_CONFIG : { ...INITIAL_LOG_CONFIG, syslogIdent };
  const log = new Logger({ clock: backgroundClock, config });
  const notifier = createNotifier(process.env, { clock: backgroundClock });
  const undos: (() => void | Promise<void>)[] = [];
  let service: RunningService | undefined;

  const leave = (status: number): never => {
    log.flushSync();
    notifier.close();
    process.exit(status);
  };
  /** Without waiting: what removes a file does so at once. */
  const endNow = (status: number): void => {
    for (const undo of undos.splice(0).reverse()) void attempt(undo);
    leave(status);
  };
  let ending: Promise<void> | undefined;
  const end = (status: number): Promise<void> => {
    ending ??= undoAll().then(() => leave(status));
    return ending;
  };
  const undoAll = async (): Promise<void> => {
    const late = new Promise<void>((done) => backgroundClock.setTimer(UNDO_LIMIT_MS, done));
    for (const undo of undos.splice(0).reverse()) await Promise.race([attempt(undo), late]);
  };
  const fatal = (error: unknown): void => {
    const { spec, params } = messageOf(error, unexpected);
    log.write(spec, params);
    notifier.failed(statusOf(spec, params));
    endNow(spec.exit ?? 1);
  };
  process.on('uncaughtException', fatal);
  process.on('unhandledRejection', fatal);
  for (const signal of stopSignals) {
    process.on(signal, () => {
      if (service === undefined) endNow(0);
      else service.stop(signal);
    });
  }
  // By default SIGHUP ends a process. What is not read yet will be read anyway.
  process.on('SIGHUP', () => service?.reload());
  // Without a listener Node.js answers it by opening its debugger port, to every local user.
  if (!stopSignals.includes('SIGUSR1')) process.on('SIGUSR1', () => {});
  process.on('SIGPIPE', () => {});
  const running = (started: RunningService): void => {
    service = started;
  };
  try {
    assertDescriptors();
    await start({
      log,
      notifier,
      atEnd: (undo) => void undos.push(undo),
      running,
      end,
      leave: () => leave(0),
    });
  } catch (error) {
    fatal(error);
  }
}

/** What cannot be taken back must not keep the process from ending. */
async function attempt(undo: () => void | Promise<void>): Promise<void> {
  try {
    await undo();
  } catch {
    // The kernel takes back the rest.
  }
}

function messageOf(error: unknown, unexpected: MessageSpec): Pick<MessageError, 'spec' | 'params'> {
  if (error instanceof MessageError) return error;
  const problem = error instanceof Error ? error : new Error(String(error));
  return { spec: unexpected, params: { reason: problem.message, lines: problem.stack ?? '' } };
}

/** One line for `systemctl status`; the reason is there even where the message leaves it to lines before it. */
function statusOf(spec: MessageSpec, params: MessageError['params']): string {
  const text = fill(spec.text, params);
  const { reason } = params;
  return reason === undefined || text.includes(String(reason)) ? text : `${text}: ${reason}`;
}
