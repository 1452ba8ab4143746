/**
 * Starts the watchdog in the order that makes every failure harmless: who and where, settings, lock, control socket,
 * port, READY, instance. READY does not wait for the instance.
 */
import { join } from 'node:path';
import { WATCHDOG_FILES } from '../core/control/watchdog.js';
import { MessageError } from '../core/messages/message-error.js';
import { PROCESS_MESSAGES } from '../core/messages/process.js';
import { WATCHDOG_MESSAGES } from '../core/messages/watchdog.js';
import { backgroundClock, systemClock } from '../io/clock.js';
import {
  type DataDirectory,
  openDataDirectory,
  ownerOf,
  readSystemIdentifier,
} from '../io/data-directory.js';
import { type DirectoryLock, lockDirectory } from '../io/directory-lock.js';
import { assertNotRoot, newBootId } from '../io/identity.js';
import { INITIAL_LOG_CONFIG, Logger } from '../io/log/logger.js';
import { createNotifier } from '../io/notify.js';
import { managerIntent } from '../io/systemd-job.js';
import { type GivenDirectory, watchdogDirectory } from '../io/unit-directory.js';
import { openWatchdogControl } from './control.js';
import { kernelBootId, recall } from './memory.js';
import { loadSettings } from './settings.js';
import { STOP_SIGNALS, type StopSignal, stopReason } from './stop-reason.js';
import { Watchdog } from './watchdog.js';

/** Runs until stopped; the process ends with the status that the messages name. */
export async function runWatchdog(given: GivenDirectory, software: string): Promise<void> {
  const config = { ...INITIAL_LOG_CONFIG, syslogIdent: 'watchdog' };
  const log = new Logger({ clock: backgroundClock, config });
  const exit = (status: number): void => {
    log.flushSync();
    process.exit(status);
  };
  const fatal = (error: unknown): void => {
    const problem = error instanceof Error ? error : new Error(String(error));
    const { spec, params } =
      problem instanceof MessageError
        ? problem
        : {
            spec: WATCHDOG_MESSAGES.unexpected,
            params: { reason: problem.message, lines: problem.stack ?? '' },
          };
    log.write(spec, params);
    exit(spec.exit ?? 1);
  };
  process.on('uncaughtException', fatal);
  process.on('unhandledRejection', fatal);
  const published: Published = { stop: undefined, reload: undefined };
  installSignals(published, exit);
  try {
    await start(given, software, log, exit, published);
  } catch (error) {
    fatal(error);
  }
}

/** What signals act on, once there is a watchdog. */
interface Published {
  stop: ((signal: StopSignal) => Promise<void>) | undefined;
  reload: (() => Promise<void>) | undefined;
}

/** Signals are heeded from the first moment: reading the settings may take seconds. */
function installSignals(published: Published, exit: (status: number) => void): void {
  for (const signal of STOP_SIGNALS) {
    process.on(signal, () => {
      // What has been begun by then, the kernel takes back with the process.
      if (published.stop === undefined) exit(0);
      else void published.stop(signal);
    });
  }
  // What is not read yet will be read anyway.
  process.on('SIGHUP', () => void published.reload?.());
  // Without a listener Node.js answers it by opening its debugger port, to every local user.
  process.on('SIGUSR1', () => {});
  process.on('SIGPIPE', () => {});
}

async function start(
  given: GivenDirectory,
  software: string,
  log: Logger,
  exit: (status: number) => void,
  published: Published,
): Promise<void> {
  assertNotRoot('conmgr-watchdog', 'conmgr-watchdog@DATADIR.service');
  const directory = await openOwn(await watchdogDirectory(given));
  const settings = await loadSettings(directory);
  log.reconfigure(settings.config.log);
  log.reportMissingNative();
  const { major, path } = directory;
  log.write(WATCHDOG_MESSAGES.started, { software, directory: path, major });
  for (const { spec, params } of settings.problems) log.write(spec, params);

  const kept = join(path, WATCHDOG_FILES.directory);
  const lock = await lockOrGoOn(directory, kept, log);
  const bootId = await kernelBootId();
  const notifier = createNotifier(process.env, { clock: backgroundClock });
  const watchdog = new Watchdog({
    directory,
    settings,
    systemIdentifier: await readSystemIdentifier(path),
    software,
    bootId: newBootId(),
    kernelBootId: bootId,
    memory: await recall(join(kept, WATCHDOG_FILES.state), bootId),
    clock: systemClock,
    log,
    notifier,
    env: process.env,
  });
  const control = await openWatchdogControl(kept, watchdog).catch((error: Error) => {
    const file = join(kept, WATCHDOG_FILES.socket);
    log.write(WATCHDOG_MESSAGES.controlUnavailable, { file, reason: error.message });
    return undefined;
  });
  const intent = async () => (notifier.enabled ? managerIntent() : ('unknown' as const));
  published.stop = async (signal) => {
    await watchdog.stop(signal, await stopReason(signal, intent));
    await control?.close();
    lock?.release();
    notifier.close();
    exit(0);
  };
  published.reload = () => watchdog.reload();
  await watchdog.start();
}

/** The data directory, if it is one and belongs to this user. */
async function openOwn(given: string): Promise<DataDirectory> {
  const user = process.geteuid?.() ?? 0;
  const directory = await openDataDirectory(given);
  // A directory of somebody else cannot even be looked into as a rule; that it is somebody else's says more.
  const owner = 'problem' in directory ? await ownerOf(given) : directory.uid;
  if ('problem' in directory && (directory.problem !== 'unreadable' || owner === user)) {
    throw new MessageError(WATCHDOG_MESSAGES.directoryUnusable, {
      directory: given,
      reason: directory.reason,
    });
  }
  if ('problem' in directory || owner !== user) {
    throw new MessageError(WATCHDOG_MESSAGES.wrongOwner, { directory: given, owner, user });
  }
  return directory;
}

/** Another watchdog ends the start; a directory that cannot be written does not. */
async function lockOrGoOn(
  directory: DataDirectory,
  kept: string,
  log: Logger,
): Promise<DirectoryLock | undefined> {
  try {
    return await lockDirectory(kept, { clock: systemClock, name: WATCHDOG_FILES.lock });
  } catch (error) {
    if (!(error instanceof MessageError)) throw error;
    if (error.code === PROCESS_MESSAGES.directoryInUse.code) {
      const pid = error.params['pid'] ?? 'unknown';
      throw new MessageError(WATCHDOG_MESSAGES.alreadyRunning, { directory: directory.path, pid });
    }
    log.write(WATCHDOG_MESSAGES.notWritable, {
      file: join(kept, WATCHDOG_FILES.lock),
      reason: String(error.params['reason'] ?? error.message),
      consequence: 'A second watchdog would not be noticed, and links are not remembered over a restart',
    });
    return undefined;
  }
}
