/** Starts conmgr as a daemon and stops it over its control socket, or by signal where that does not answer. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { StopMode } from '../core/control/protocol.js';
import { complaintsIn } from '../core/ctl/log-excerpt.js';
import { CTL_MESSAGES } from '../core/messages/ctl.js';
import { MessageError } from '../core/messages/message-error.js';
import { ControlUnavailable } from '../io/control-socket.js';
import { LogFileError, startDaemon } from '../io/daemonize.js';
import { errorText } from '../io/native.js';
import { ask } from './ask.js';
import type { Manager, StartedConmgr, StartRequest } from './manager.js';
import { refuseRoot } from './root.js';

/** Gets what conmgr writes to stderr, as it does unless log_destination says otherwise. */
export const DEFAULT_LOG = 'conmgr.log';

/** The signals of a running conmgr by mode. A restart as such cannot be told by signal; the nearest is fast. */
const SIGNALS: Readonly<Record<StopMode, NodeJS.Signals>> = {
  smart: 'SIGUSR1',
  fast: 'SIGTERM',
  immediate: 'SIGQUIT',
  restart: 'SIGTERM',
};

/** A signal means the same, so it is not waited long for an answer; a restart has none, so there it is. */
const PATIENCE_MS = 1000;

/** Variables by which a service manager speaks to the one process it started: cm_ctl perhaps, but not its daemon. */
const OF_A_SERVICE = /^(?:NOTIFY_SOCKET|LISTEN_\w+|WATCHDOG_\w+|JOURNAL_STREAM|INVOCATION_ID|FDSTORE)$/;

export interface ProcessManagerOptions {
  /** The conmgr to start. */
  readonly program: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly uid: number;
}

export class ProcessManager implements Manager {
  readonly kind = 'none';
  readonly #options: ProcessManagerOptions;

  constructor(options: ProcessManagerOptions) {
    this.#options = options;
  }

  async start({ directory, logFile, takesOver = false }: StartRequest): Promise<StartedConmgr> {
    const { program, environment, uid } = this.#options;
    refuseRoot(uid);
    if (!existsSync(program)) throw new MessageError(CTL_MESSAGES.programMissing, { path: program });
    const log = logFile ?? join(directory, DEFAULT_LOG);
    try {
      const daemon = await startDaemon({
        program: process.execPath,
        args: [program, '-D', directory, ...(takesOver ? ['--take-over'] : [])],
        environment: Object.fromEntries(
          Object.entries(environment).filter(([name]) => !OF_A_SERVICE.test(name)),
        ),
        logFile: log,
      });
      return {
        pid: async () => daemon.pid,
        isOurs: (pid) => pid === daemon.pid,
        log: `in "${log}"`,
        ready: new Promise(() => {}),
        ended: daemon.ended.then(({ code }) => ({ status: code, complaints: complaintsIn(daemon.said()) })),
        release: () => daemon.release(),
      };
    } catch (error) {
      if (error instanceof LogFileError) {
        const params = { file: log, reason: errorText(error.cause) };
        throw new MessageError(CTL_MESSAGES.logFileFailed, params, { cause: error });
      }
      const params = { path: program, reason: errorText(error) };
      throw new MessageError(CTL_MESSAGES.spawnFailed, params, { cause: error });
    }
  }

  async stop(directory: string, pid: number, mode: StopMode): Promise<void> {
    try {
      await ask(directory, { command: 'stop', mode }, mode === 'restart' ? undefined : PATIENCE_MS);
    } catch (error) {
      const cause = error instanceof MessageError ? error.cause : error;
      if (!(cause instanceof ControlUnavailable)) throw error;
      // It went while it was asked, or it is too busy to listen.
      this.#signal(pid, SIGNALS[mode]);
    }
  }

  #signal(pid: number, signal: NodeJS.Signals): void {
    try {
      process.kill(pid, signal);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ESRCH') return;
      const params = { signal, pid, reason: errorText(error) };
      throw new MessageError(CTL_MESSAGES.signalFailed, params, { cause: error });
    }
  }
}
