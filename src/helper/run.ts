/** The commands of conmgr-helper. */
import { existsSync } from 'node:fs';
import { HELPER_MESSAGES } from '../core/messages/kernel-helper.js';
import { MessageError } from '../core/messages/message-error.js';
import { BpfError } from '../io/bpf.js';
import { backgroundClock, systemClock } from '../io/clock.js';
import { INITIAL_LOG_CONFIG, Logger } from '../io/log/logger.js';
import { loadNative, type Native, nativeProblem } from '../io/native.js';
import { createNotifier } from '../io/notify.js';
import { openRouteMap } from '../io/route-map.js';
import { openSocketTable } from '../io/sock-diag.js';
import { kernelOf, testAbilities } from './abilities.js';
import type { HelperArguments } from './arguments.js';
import { load, type ProgramArguments, unload } from './programs.js';
import { type Serving, serveRequests } from './serve.js';

type Places = Extract<HelperArguments, { act: 'serve' | 'clear' }>;

/** EX_SOFTWARE of sysexits.h: a mistake in the program. */
const EX_SOFTWARE = 70;

/** Runs one command; the process ends with the status that the messages name. */
export async function runHelper(command: Places | ProgramArguments, software: string): Promise<void> {
  const log = new Logger({
    clock: backgroundClock,
    config: { ...INITIAL_LOG_CONFIG, syslogIdent: 'conmgr-helper' },
  });
  const exit = (status: number): void => {
    log.flushSync();
    process.exit(status);
  };
  const fatal = (error: unknown): void => {
    if (error instanceof MessageError) {
      log.write(error.spec, error.params);
      exit(error.spec.exit ?? 1);
      return;
    }
    const problem = error instanceof Error ? error : new Error(String(error));
    log.write(HELPER_MESSAGES.unexpected, { reason: problem.message, lines: problem.stack ?? '' });
    exit(EX_SOFTWARE);
  };
  process.on('uncaughtException', fatal);
  process.on('unhandledRejection', fatal);
  try {
    const native = loadNative();
    if (native === undefined) {
      throw new MessageError(HELPER_MESSAGES.noNativeCalls, { reason: nativeProblem() ?? '' });
    }
    switch (command.act) {
      case 'serve':
        await serve(command, native, software, log, exit);
        break;
      case 'clear':
        clear(native, command.pins);
        break;
      case 'load':
        await load(native, command, log);
        break;
      case 'unload':
        unload(native, command, log);
        break;
    }
  } catch (error) {
    fatal(error);
  }
}

async function serve(
  places: Places,
  native: Native,
  software: string,
  log: Logger,
  exit: (status: number) => void,
): Promise<void> {
  const notifier = createNotifier(process.env, { clock: backgroundClock });
  let serving: Serving | undefined;
  let stopping = false;
  // From the first moment on: whoever finds the socket may send a signal next.
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      if (stopping) return;
      stopping = true;
      log.write(HELPER_MESSAGES.stopping, { reason: signal });
      notifier.stopping();
      void Promise.resolve(serving?.close()).finally(() => exit(0));
    });
  }
  process.on('SIGHUP', () => {
    // Before it serves it has read nothing yet.
    if (serving === undefined) return;
    notifier.reloading();
    void serving.reload().then(() => notifier.ready());
  });
  // By default it makes Node.js open a debugger port.
  process.on('SIGUSR1', () => {});
  process.on('SIGPIPE', () => {});
  const abilities = await testAbilities(kernelOf(native, places.pins), systemClock, log);
  if (abilities.guard === undefined && abilities.routes === undefined) {
    throw new MessageError(HELPER_MESSAGES.nothingPossible);
  }
  serving = await serveRequests({ ...places, native, abilities, clock: systemClock, log });
  const state = {
    guard: abilities.guard === undefined ? 'off' : 'on',
    redirect: abilities.routes === undefined ? 'off' : 'on',
  };
  log.write(HELPER_MESSAGES.started, { software, ...state });
  notifier.ready(`guard ${state.guard}, redirect ${state.redirect}`);
  keepWatchdog(notifier.watchdogIntervalMs, () => notifier.watchdogPing());
}

function keepWatchdog(intervalMs: number | undefined, ping: () => void): void {
  if (intervalMs === undefined) return;
  ping();
  backgroundClock.setTimer(intervalMs, () => keepWatchdog(intervalMs, ping));
}

/** What a helper that ended without a word has left; nothing is an error, since routes lapse by themselves. */
function clear(native: Native, pins: string): void {
  const table = openSocketTable(native);
  const cookie = table.namespaceCookie();
  table.close();
  if (cookie === undefined || !existsSync(pins)) return;
  try {
    const map = openRouteMap(native, pins, cookie);
    map.clear();
    map.close();
  } catch (error) {
    if (!(error instanceof BpfError)) throw error;
  }
}
