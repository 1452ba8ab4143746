/**
 * Starts conmgr in the order that makes every failure harmless: configuration, descriptors, lock,
 * control socket, port, READY, links. READY does not wait for a server.
 */
import { hostname } from 'node:os';
import { connectionsAllowed } from '../core/config/descriptors.js';
import { resolveConmgrConfig } from '../core/config/resolve.js';
import type { ConmgrConfig } from '../core/config/types.js';
import type { StopMode } from '../core/control/protocol.js';
import { CONFIG_MESSAGES } from '../core/messages/config.js';
import { CONMGR_MESSAGES } from '../core/messages/conmgr.js';
import { MessageError } from '../core/messages/message-error.js';
import { PROCESS_MESSAGES } from '../core/messages/process.js';
import { backgroundClock, systemClock } from '../io/clock.js';
import { CONFIG_FILE, openDirectory, readConfigFile, writableByAll } from '../io/conmgr-directory.js';
import { lockDirectory } from '../io/directory-lock.js';
import { assertNotRoot, conmgrIdentity, newBootId } from '../io/identity.js';
import { descriptorLimit, openDescriptors } from '../io/limits.js';
import { INITIAL_LOG_CONFIG, Logger } from '../io/log/logger.js';
import { createNotifier } from '../io/notify.js';
import { conmgrDirectory, type GivenDirectory } from '../io/unit-directory.js';
import { openControl } from './control.js';
import { Daemon } from './daemon.js';
import { descriptorShortage } from './descriptor-shortage.js';

/** EX_SOFTWARE of sysexits.h: a mistake in the program. */
const EX_SOFTWARE = 70;
/** Stands for "unlimited". */
const LARGEST_LIMIT = 2_147_483_647;

/** Name of the program and its version, as told to watchdogs and applications. */
export interface Software {
  readonly name: string;
  readonly version: string;
}

/** Runs until stopped; the process ends with the status that the messages name. */
export async function runConmgr(given: GivenDirectory, software: Software): Promise<void> {
  const log = new Logger({ clock: backgroundClock, config: INITIAL_LOG_CONFIG });
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
    log.write(CONMGR_MESSAGES.unexpected, { reason: problem.message, lines: problem.stack ?? '' });
    exit(EX_SOFTWARE);
  };
  process.on('uncaughtException', fatal);
  process.on('unhandledRejection', fatal);
  let daemon: Daemon | undefined;
  installSignals(() => daemon, exit);
  const published = {
    daemon: () => daemon,
    publish: (running: Daemon) => {
      daemon = running;
    },
  };
  try {
    await start(conmgrDirectory(given), software, log, exit, published);
  } catch (error) {
    fatal(error);
  }
}

/** Where the running daemon is found by signals and by cm_ctl, once there is one. */
interface Published {
  daemon(): Daemon | undefined;
  publish(running: Daemon): void;
}

async function start(
  directory: string,
  software: Software,
  log: Logger,
  exit: (status: number) => void,
  published: Published,
): Promise<void> {
  assertNotRoot('conmgr', 'conmgr@DIRECTORY.service');
  const real = await openDirectory(directory).catch((error: Error) => {
    throw new MessageError(CONMGR_MESSAGES.unreadableDirectory, { directory, reason: error.message });
  });
  const config = await configure(real, log);
  log.reconfigure(config.log);
  log.reportMissingNative();
  for (const file of await writableByAll(real)) log.write(CONMGR_MESSAGES.writableByAll, { file });
  const limit = preflight(config, log);
  const lock = await lockDirectory(real, { clock: systemClock, lines: [String(config.port)] });
  const control = await openControl(real, published.daemon).catch((error: Error) => {
    throw new MessageError(
      CONMGR_MESSAGES.controlFailed,
      { directory: real, reason: error.message },
      { cause: error },
    );
  });
  const notifier = createNotifier(process.env, { clock: backgroundClock });
  const { id, kept } = conmgrIdentity(real);
  if (kept !== undefined) {
    log.write(PROCESS_MESSAGES.machineIdMissing, { machineIdFile: '/etc/machine-id', ...kept });
  }
  const identity = {
    conmgrId: id,
    bootId: newBootId(),
    software: `${software.name} ${software.version}`,
    label: `${hostname()}:${real}`,
  };
  const { name, version } = software;
  log.write(CONMGR_MESSAGES.started, {
    software: `${name} ${version}`,
    directory: real,
    port: config.port,
    instances: config.instances
      .map((one) => `${one.number} (${one.host ?? one.hostaddr}:${one.backendPort})`)
      .join(', '),
  });
  const running = new Daemon({
    directory: real,
    config,
    identity,
    clock: systemClock,
    log,
    notifier,
    descriptorLimit: limit,
    openDescriptors: () => knownOr(openDescriptors, log, 0),
    exit: (status) => {
      void control.close().finally(() => {
        lock.release();
        exit(status);
      });
    },
  });
  await running.start();
  published.publish(running);
  notifier.ready();
}

/** The modes of a stop by signal; PostgreSQL's own SIGTERM is smart, here it is fast as systemd expects. */
const STOP_SIGNALS = {
  SIGTERM: 'fast',
  SIGINT: 'fast',
  SIGQUIT: 'immediate',
  SIGUSR1: 'smart',
} as const satisfies Partial<Record<NodeJS.Signals, StopMode>>;

/** From the first moment on: by default SIGHUP ends a process, and SIGUSR1 makes Node.js open a debugger port. */
function installSignals(daemon: () => Daemon | undefined, exit: (status: number) => void): void {
  for (const [signal, mode] of Object.entries(STOP_SIGNALS)) {
    process.on(signal, () => {
      const running = daemon();
      // What has been begun by then, the kernel takes back with the process.
      if (running === undefined) exit(0);
      else running.stop(mode, mode);
    });
  }
  // What is not read yet will be read anyway.
  process.on('SIGHUP', () => void daemon()?.reload(false));
  process.on('SIGPIPE', () => {});
}

/** Reads and checks conmgr.conf; all its errors are written before the one that ends the start. */
async function configure(directory: string, log: Logger): Promise<ConmgrConfig> {
  const text = await readConfigFile(directory).catch((error: Error) => {
    const file = `${directory}/${CONFIG_FILE}`;
    throw new MessageError(CONMGR_MESSAGES.unreadableConfiguration, { file, reason: error.message });
  });
  const { config, problems, remarks } = resolveConmgrConfig(text, CONFIG_FILE);
  if (config !== undefined) log.reconfigure(config.log);
  for (const { spec, params } of [...problems, ...remarks]) log.write(spec, params);
  if (config === undefined) {
    throw new MessageError(CONFIG_MESSAGES.fileHasErrors, { path: `${directory}/${CONFIG_FILE}` });
  }
  return config;
}

/** A figure of this process, or `otherwise` with a WARNING where /proc does not tell. */
function knownOr(read: () => number, log: Logger, otherwise: number): number {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof MessageError)) throw error;
    log.write(error.spec, error.params);
    return otherwise;
  }
}

/** Compares the documented figure with what the process really has; returns the limit. */
function preflight(config: ConmgrConfig, log: Logger): number {
  const limit = Math.min(
    LARGEST_LIMIT,
    knownOr(() => descriptorLimit().soft, log, LARGEST_LIMIT),
  );
  const shortage = descriptorShortage(config, limit);
  if (shortage !== undefined) throw new MessageError(PROCESS_MESSAGES.descriptorsTooFew, shortage);
  if (config.maxConnections === 0) {
    log.write(PROCESS_MESSAGES.descriptorsAllow, {
      limit,
      connections: connectionsAllowed(limit, config.instances.length),
    });
  }
  return limit;
}
