/**
 * What the process tells systemd: readiness, state, watchdog (sd_notify(3)).
 */
import { escapeControls } from '../core/messages/format.js';
import type { Clock } from '../core/time.js';
import { loadNative, type Native } from './native.js';
import { byProgram, direct, type NotifyTransport, SILENT } from './notify-transport.js';

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
  /** The same within this turn of the event loop, behind what waits; a full queue may hold it up for `timeoutMs`.
   *  False: not sent. The descriptors may be closed when it returns. */
  sendNow(assignments: string, fds: readonly number[], timeoutMs: number): boolean;
  /** Waits within this turn of the event loop until the service manager has read all that was sent (BARRIER=1 of
   *  sd_notify(3), since systemd 246). False: it took longer, or cannot be known. */
  barrier(timeoutMs: number): boolean;
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

function transport(path: string | undefined, options: NotifierOptions): NotifyTransport {
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
  const voice = transport(path, options);
  const { send } = voice;
  const enabled = voice !== SILENT;
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
    failed: (status) => voice.sendLast(`STATUS=${escapeControls(status)}`),
    send: (assignments, fds = []) => send(assignments, fds),
    sendNow: (assignments, fds, timeoutMs) => voice.sendNow(assignments, fds, timeoutMs),
    barrier: (timeoutMs) => voice.barrier(timeoutMs),
    close: () => voice.close(),
  };
}
