/**
 * What the process tells systemd: readiness, state, watchdog (sd_notify(3)).
 */
import { execFile, execFileSync } from 'node:child_process';
import { constants } from 'node:os';
import { escapeControls } from '../core/messages/format.js';
import type { Clock, TimerHandle } from '../core/time.js';
import { loadNative, type Native } from './native.js';
import { DatagramSender } from './unix-datagram.js';

/** A queue that is full is tried again this often; systemd may be busy reloading itself. */
const RETRY_MS = 100;

/** What waits for a full queue at most; READY=1 and its like, so never many. */
const MOST_WAITING = 32;

/** The last word of a process may hold up its end for so long. */
const LAST_WORD_MS = 1000;

const { EAGAIN, ENOBUFS, EINTR } = constants.errno;
const TRY_AGAIN: ReadonlySet<number> = new Set([EAGAIN, ENOBUFS, EINTR]);

/** The voice of one process towards its service manager; without a manager every call does nothing. */
export interface Notifier {
  /** Whether a service manager listens. */
  readonly enabled: boolean;
  /** How often `watchdogPing` is to be called: half of WatchdogSec=, as sd_watchdog_enabled(3) advises;
   *  undefined when no watchdog is set for this process. */
  readonly watchdogIntervalMs: number | undefined;
  /** The service is up (Type=notify), or a reload is done. */
  ready(status?: string): void;
  /** One line for `systemctl status`. */
  status(text: string): void;
  /** A reload begins; `ready` ends it. */
  reloading(): void;
  /** The service is about to end. */
  stopping(status?: string): void;
  watchdogPing(): void;
  /** The last word of a process that ends at once, and with an error: one line for `systemctl status`. */
  failed(status: string): void;
  /** Any other assignments, one a line (`FDSTORE=1\nFDNAME=port`), with descriptors. False: not sent, and it
   *  will not be: without native calls descriptors cannot be passed. */
  send(assignments: string, fds?: readonly number[]): boolean;
  /** Gives the socket back; what waits is not sent any more. */
  close(): void;
}

/** Surroundings of a notifier; all but the clock have the values of a real process as default. */
export interface NotifierOptions {
  readonly clock: Clock;
  readonly native?: () => Native | undefined;
  /** Microseconds of CLOCK_MONOTONIC, for RELOADING=1. */
  readonly monotonicUsec?: () => bigint;
  /** The program that speaks for us when there are no native calls. */
  readonly program?: string;
}

type Send = (assignments: string, fds: readonly number[]) => boolean;

interface Transport {
  readonly send: Send;
  /** Sends without another turn of the event loop. */
  readonly sendNow: (assignments: string) => void;
  close(): void;
}

/** Straight to the socket. What a full queue does not take is kept and tried again, in order. */
function direct(native: Native, path: string, clock: Clock): Transport {
  const sender = new DatagramSender(native, path);
  const waiting: { datagram: Buffer; fds: readonly number[] }[] = [];
  let timer: TimerHandle | undefined;
  const drain = (): void => {
    for (let first = waiting[0]; first !== undefined; first = waiting[0]) {
      if (TRY_AGAIN.has(sender.send(first.datagram, first.fds))) {
        timer ??= clock.setTimer(RETRY_MS, () => {
          timer = undefined;
          drain();
        });
        return;
      }
      waiting.shift();
    }
  };
  const send: Send = (assignments, fds) => {
    if (waiting.length >= MOST_WAITING) return false;
    waiting.push({ datagram: Buffer.from(assignments, 'utf8'), fds });
    drain();
    return true;
  };
  return {
    send,
    // A queue that is full now cannot be waited for.
    sendNow: (assignments) => void send(assignments, []),
    close: () => {
      timer?.cancel();
      waiting.length = 0;
      sender.close();
    },
  };
}

/** Through systemd-notify(1), one call at a time so that the order holds. systemd takes its word for ours only
 *  with NotifyAccess=all. */
function byProgram(program: string, path: string): Transport {
  const waiting: string[][] = [];
  let running = false;
  const next = (): void => {
    const assignments = waiting.shift();
    if (assignments === undefined || running) return;
    running = true;
    execFile(program, assignments, { env: { ...process.env, NOTIFY_SOCKET: path }, timeout: 5000 }, () => {
      // Its failure is no more our concern than that of a datagram: the service manager has its own time-out.
      running = false;
      next();
    });
  };
  return {
    send: (assignments, fds) => {
      if (fds.length > 0 || waiting.length >= MOST_WAITING) return false;
      waiting.push(assignments.split('\n'));
      if (!running) next();
      return true;
    },
    sendNow: (assignments) => {
      waiting.length = 0;
      try {
        const env = { ...process.env, NOTIFY_SOCKET: path };
        execFileSync(program, assignments.split('\n'), { env, timeout: LAST_WORD_MS, stdio: 'ignore' });
      } catch {
        // The log has it too.
      }
    },
    close: () => {
      waiting.length = 0;
    },
  };
}

const SILENT: Transport = { send: () => false, sendNow: () => {}, close: () => {} };

function transport(path: string | undefined, options: NotifierOptions): Transport {
  // "@" is an abstract socket; vsock: and the like are for virtual machines that report to their host.
  if (path === undefined || !/^[/@]/.test(path)) return SILENT;
  const native = (options.native ?? loadNative)();
  return native === undefined
    ? byProgram(options.program ?? 'systemd-notify', path)
    : direct(native, path, options.clock);
}

function watchdogIntervalMs(usec: string | undefined, pid: string | undefined): number | undefined {
  if (usec === undefined || !/^[1-9]\d*$/.test(usec)) return undefined;
  if (pid !== undefined && pid !== String(process.pid)) return undefined;
  return Number(usec) / 1000 / 2;
}

/**
 * Reads NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID and takes them out of `env`, so that no child speaks in our
 * name. Loads the native calls only where a service manager listens.
 */
export function createNotifier(env: NodeJS.ProcessEnv, options: NotifierOptions): Notifier {
  const path = env['NOTIFY_SOCKET'];
  const intervalMs = watchdogIntervalMs(env['WATCHDOG_USEC'], env['WATCHDOG_PID']);
  for (const name of ['NOTIFY_SOCKET', 'WATCHDOG_USEC', 'WATCHDOG_PID']) delete env[name];
  const { send, sendNow, close } = transport(path, options);
  const enabled = send !== SILENT.send;
  const { monotonicUsec = () => process.hrtime.bigint() / 1000n } = options;
  const withStatus = (state: string, status?: string): string =>
    status === undefined ? state : `${state}\nSTATUS=${escapeControls(status)}`;
  return {
    enabled,
    watchdogIntervalMs: enabled ? intervalMs : undefined,
    ready: (status) => void send(withStatus('READY=1', status), []),
    status: (text) => void send(`STATUS=${escapeControls(text)}`, []),
    reloading: () => void send(`RELOADING=1\nMONOTONIC_USEC=${monotonicUsec()}`, []),
    stopping: (status) => void send(withStatus('STOPPING=1', status), []),
    watchdogPing: () => void send('WATCHDOG=1', []),
    failed: (status) => sendNow(`STATUS=${escapeControls(status)}`),
    send: (assignments, fds = []) => send(assignments, fds),
    close,
  };
}
