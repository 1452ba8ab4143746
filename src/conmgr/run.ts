/**
 * Starts conmgr in the order that makes every failure harmless: configuration, descriptors, lock,
 * control socket, port, READY, links. READY does not wait for a server.
 */
import { hostname } from 'node:os';
import { formatProblem } from '../core/config/problem.js';
import { resolveConmgrConfig } from '../core/config/resolve.js';
import type { ConmgrConfig } from '../core/config/types.js';
import type { StopMode } from '../core/control/protocol.js';
import { HELPER_SOCKET } from '../core/guard/request.js';
import { CONFIG_MESSAGES } from '../core/messages/config.js';
import { CONMGR_MESSAGES } from '../core/messages/conmgr.js';
import { MessageError } from '../core/messages/message-error.js';
import { PROCESS_MESSAGES } from '../core/messages/process.js';
import { systemClock } from '../io/clock.js';
import { CONFIG_FILE, readConfigFile, writableByAll } from '../io/conmgr-directory.js';
import { lockDirectory } from '../io/directory-lock.js';
import { assertNotRoot, conmgrIdentity, newBootId } from '../io/identity.js';
import { openDescriptors } from '../io/limits.js';
import { LinkFileError } from '../io/link-file.js';
import { readLinkSecurity, reportValidity } from '../io/link-protection.js';
import type { LinkSecurity } from '../io/link-security.js';
import type { Logger } from '../io/log/logger.js';
import { loadNative } from '../io/native.js';
import { type RunningService, runService, type ServiceProcess } from '../io/service-process.js';
import { StatusPort } from '../io/status-port.js';
import { intentOfManager, type StopReason, stopsAsMeant } from '../io/stop-reason.js';
import { conmgrDirectory, type GivenDirectory } from '../io/unit-directory.js';
import { UnixRights } from '../io/unix-rights.js';
import { openControl } from './control.js';
import { handOverByControl } from './control-heir.js';
import { Daemon, type DaemonStop } from './daemon.js';
import { tryGuard } from './guard-trial.js';
import { ManagerStore } from './manager-store.js';
import { openOwnDirectory } from './own-directory.js';
import { linesOfLock, succeed } from './predecessor.js';
import { knownOr, preflight } from './preflight.js';

/** Name of the program and its version, as told to watchdogs and applications. */
export interface Software {
  readonly name: string;
  readonly version: string;
}

/** The modes of a stop by signal; PostgreSQL's own SIGTERM is smart, here it is fast as systemd expects. */
const STOP_SIGNALS = {
  SIGTERM: 'fast',
  SIGINT: 'fast',
  SIGQUIT: 'immediate',
  SIGUSR1: 'smart',
} as const satisfies Partial<Record<NodeJS.Signals, StopMode>>;

/** What SIGTERM means for each reason it may have, and the words for it in the log. */
const STOP_REASONS: Readonly<
  Record<Exclude<StopReason, 'restart'>, readonly [mode: DaemonStop, request: string]>
> = {
  stop: ['fast', 'fast shutdown'],
  hostShutdown: ['hostShutdown', 'host shutdown'],
};

/** Runs until stopped; the process ends with the status that the messages name. */
export function runConmgr(given: GivenDirectory, software: Software, takesOver: boolean): Promise<void> {
  return runService({
    stopSignals: Object.keys(STOP_SIGNALS) as (keyof typeof STOP_SIGNALS)[],
    unexpected: CONMGR_MESSAGES.unexpected,
    start: async (service) => start(conmgrDirectory(given), software, service, takesOver),
  });
}

async function start(
  directory: string,
  software: Software,
  service: ServiceProcess,
  takesOver: boolean,
): Promise<void> {
  const { log, notifier } = service;
  assertNotRoot('conmgr', 'conmgr@DIRECTORY.service');
  const real = await openOwnDirectory(directory);
  const config = await configure(real, log);
  log.reconfigure(config.log);
  log.reportMissingNative();
  for (const file of await writableByAll(real)) log.write(CONMGR_MESSAGES.writableByAll, { file });
  const limit = preflight(real, config, log);
  const security = await protect(config, real);
  reportValidity(security, systemClock.wallMs(), (spec, params) => log.write(spec, params));
  const { id, kept } = conmgrIdentity(real);
  if (kept !== undefined) {
    log.write(PROCESS_MESSAGES.machineIdMissing, { machineIdFile: '/etc/machine-id', ...kept });
  }
  const helperSocket = process.env['CONMGR_HELPER_SOCKET'] ?? HELPER_SOCKET;
  // What could keep this process from starting is looked at before anything of a predecessor is touched. Where there is
  // none, Kernel does it.
  if (takesOver || process.env['LISTEN_FDS'] !== undefined) await tryGuard(helperSocket, config, systemClock);
  const { lock, inheritance } = takesOver
    ? await succeed({ directory: real, conmgrId: id, config, log })
    : {
        lock: await lockDirectory(real, { clock: systemClock, lines: linesOfLock(config) }),
        inheritance: undefined,
      };
  service.atEnd(() => lock.release());
  const { statusPort: port } = config;
  const statusPort = new StatusPort({ port, clock: systemClock, log, tables: [CONMGR_MESSAGES] });
  const native = loadNative();
  const rights = native === undefined ? undefined : new UnixRights(native);
  const store = new ManagerStore(process.env, { notifier, rights, log });
  let daemon: Daemon | undefined;
  const control = await openControl(real, () => daemon, handOverByControl(rights, lock)).catch(
    (error: Error) => {
      throw new MessageError(
        CONMGR_MESSAGES.controlFailed,
        { directory: real, reason: error.message },
        { cause: error },
      );
    },
  );
  service.atEnd(() => control.close());
  const { name, version } = software;
  log.write(CONMGR_MESSAGES.started, {
    software: `${name} ${version}`,
    directory: real,
    port: config.port,
    instances: config.instances
      .map((one) => `${one.number} (${one.host ?? one.hostaddr}:${one.backendPort})`)
      .join(', '),
  });
  const starting = new Daemon({
    directory: real,
    config,
    identity: {
      conmgrId: id,
      bootId: newBootId(),
      software: `${name} ${version}`,
      label: `${hostname()}:${real}`,
    },
    security,
    clock: systemClock,
    log,
    notifier,
    statusPort,
    descriptorLimit: limit,
    helperSocket,
    rights,
    openDescriptors: () => knownOr(openDescriptors, log, 0),
    stopping: () => store.clear(),
    exit: (status) => void service.end(status),
    leave: () => service.leave(),
  });
  const handed = inheritance ?? (await store.inheritance(id, config));
  const early: ((running: RunningService) => void)[] = [];
  // Sessions that were taken over are not lost to whoever restarts twice.
  if (handed.document !== undefined) {
    service.running({
      stop: (signal) => early.push((running) => running.stop(signal)),
      reload: () => early.push((running) => running.reload()),
    });
  }
  await starting.start(handed);
  daemon = starting;
  store.keep(daemon);
  const running = signalled(daemon, store, service);
  service.running(running);
  daemon.ready();
  for (const act of early) act(running);
}

/** What signals do. */
function signalled(daemon: Daemon, store: ManagerStore, { notifier }: ServiceProcess): RunningService {
  const stops = stopsAsMeant(intentOfManager(notifier.enabled));
  return {
    reload: () => void daemon.reload(false),
    stop: (signal) => {
      const mode = STOP_SIGNALS[signal as keyof typeof STOP_SIGNALS];
      if (signal !== 'SIGTERM') daemon.stop(mode, `${mode} shutdown`);
      else {
        stops(signal, (reason) => {
          if (reason === 'restart') void store.restart(daemon);
          else daemon.stop(...STOP_REASONS[reason]);
        });
      }
    },
  };
}

/** Reads what protects the links. Without it no link would come up. */
async function protect(config: ConmgrConfig, directory: string): Promise<LinkSecurity> {
  try {
    return await readLinkSecurity(config, directory);
  } catch (error) {
    if (!(error instanceof LinkFileError)) throw error;
    const params = { name: error.parameter, reason: error.message };
    throw new MessageError(CONFIG_MESSAGES.linkFileUnusable, params, { cause: error });
  }
}

/** Reads and checks conmgr.conf; all its errors are written before the one that ends the start. */
async function configure(directory: string, log: Logger): Promise<ConmgrConfig> {
  const text = await readConfigFile(directory).catch((error: Error) => {
    const file = `${directory}/${CONFIG_FILE}`;
    throw new MessageError(CONMGR_MESSAGES.unreadableConfiguration, {
      file,
      directory,
      reason: error.message,
    });
  });
  const { config, problems, remarks } = resolveConmgrConfig(text, CONFIG_FILE);
  if (config !== undefined) log.reconfigure(config.log);
  for (const { spec, params } of [...problems, ...remarks]) log.write(spec, params);
  if (config !== undefined) return config;
  const [first] = problems;
  throw new MessageError(CONFIG_MESSAGES.fileHasErrors, {
    path: `${directory}/${CONFIG_FILE}`,
    reason: first === undefined ? '' : formatProblem(first),
  });
}
