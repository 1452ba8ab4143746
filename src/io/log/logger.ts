/**
 * The log: filters by level, limits repetition, and hands each message to the configured destinations.
 *
 * Writing never waits and never fails; see the sinks for what happens when a reader is gone or stalls. Messages of
 * level FATAL and PANIC are out, as far as that can be had, when `write` returns.
 */
import type { LogConfig, LogDestination } from '../../core/config/types.js';
import { escapeParams, journalStreamLines, stderrLines } from '../../core/messages/format.js';
import {
  isWritten,
  type Log,
  type MessageParams,
  type MessageSpec,
  renderMessage,
} from '../../core/messages/message.js';
import { PROCESS_MESSAGES } from '../../core/messages/process.js';
import {
  DEFAULT_WINDOW_MS,
  RateLimiter,
  type Repeated,
  rateLimitKey,
} from '../../core/messages/rate-limit.js';
import { type Clock, NEVER, type TimerHandle } from '../../core/time.js';
import { loadNative, type Native, nativeProblem } from '../native.js';
import {
  type DaemonDestination,
  JOURNALD_SOCKET,
  journaldDestination,
  type LogEntry,
  SYSLOG_SOCKET,
  syslogDestination,
} from './destinations.js';
import { isJournalStream, type Outlet, openStderr } from './stderr-outlet.js';
import { StderrSink } from './stderr-sink.js';

/** Surroundings of a logger; all but clock and config have the values of a real process as default. */
export interface LoggerOptions {
  /** Its timers must not keep the process alive: `backgroundClock`. */
  readonly clock: Clock;
  readonly config: LogConfig;
  readonly outlet?: Outlet;
  readonly env?: NodeJS.ProcessEnv;
  readonly syslogPath?: string;
  readonly journaldPath?: string;
  readonly native?: () => Native | undefined;
}

type Daemon = Exclude<LogDestination, 'stderr'>;

/** What the log does before a configuration is known: as PostgreSQL, stderr and the default level. */
export const INITIAL_LOG_CONFIG: LogConfig = {
  destinations: ['stderr'],
  syslogFacility: 'LOCAL0',
  syslogIdent: 'conmgr',
  minMessages: 'WARNING',
};

interface Kept {
  readonly spec: MessageSpec;
  readonly params: MessageParams;
}

export class Logger implements Log {
  readonly #options: LoggerOptions;
  readonly #stderr: StderrSink;
  readonly #limiter = new RateLimiter<Kept>();
  readonly #daemons = new Map<Daemon, DaemonDestination>();
  readonly #journalStream: boolean;
  #config: LogConfig;
  #windowTimer: TimerHandle | undefined;
  #windowDueMs = NEVER;
  #saidNativeMissing = false;
  #observer: Log['write'] | undefined;

  constructor(options: LoggerOptions) {
    this.#options = options;
    this.#config = options.config;
    this.#journalStream = isJournalStream(options.env ?? process.env);
    this.#stderr = new StderrSink({
      clock: options.clock,
      outlet: options.outlet ?? openStderr(),
      droppedNotice: (count) => this.#stderrText(this.#droppedNotice('stderr', count)),
    });
    this.reconfigure(options.config);
  }

  /** Calls `fn` with every message, whatever log_min_messages and the rate limit keep back. */
  observe(fn: Log['write']): void {
    this.#observer = fn;
  }

  write(spec: MessageSpec, params: MessageParams = {}): void {
    this.#observer?.(spec, params);
    if (!isWritten(spec.level, this.#config.minMessages)) return;
    const safe = escapeParams(params);
    const windowMs = isUrgent(spec) ? 0 : (spec.everyMs ?? DEFAULT_WINDOW_MS);
    const now = this.#options.clock.monotonicMs();
    if (!this.#limiter.admit(rateLimitKey(spec, safe), windowMs, now, { spec, params: safe })) return;
    if (windowMs > 0) this.#wakeAt(now + windowMs);
    this.#emit(this.#entry(spec, safe));
  }

  /** Takes over new log_* and syslog_* values; what the old destinations still hold is written. */
  reconfigure(config: LogConfig): void {
    this.#config = config;
    for (const [name, daemon] of this.#daemons) {
      if (config.destinations.includes(name)) continue;
      daemon.flushSync();
      daemon.close();
      this.#daemons.delete(name);
    }
    for (const name of config.destinations) {
      if (name !== 'stderr' && !this.#daemons.has(name)) this.#open(name);
    }
  }

  /** Says, once in the life of the process and only if it is so, that native calls are not available. */
  reportMissingNative(): void {
    if (this.#saidNativeMissing || this.#native() !== undefined) return;
    this.#saidNativeMissing = true;
    this.write(PROCESS_MESSAGES.nativeMissing, { reason: nativeProblem() ?? 'switched off' });
  }

  /** Writes out everything that waits or was kept back, at the end of the process; takes 0.5 s at most. */
  flushSync(): void {
    for (const repeated of this.#limiter.drain()) this.#report(repeated);
    for (const daemon of this.#daemons.values()) daemon.flushSync();
    this.#stderr.flushSync();
  }

  /** Flushes and gives everything back; nothing may be written after that. */
  close(): void {
    this.flushSync();
    this.#windowTimer?.cancel();
    for (const daemon of this.#daemons.values()) daemon.close();
    this.#stderr.close();
  }

  #native(): Native | undefined {
    return (this.#options.native ?? loadNative)();
  }

  #open(name: Daemon): void {
    const native = this.#native();
    if (native === undefined) {
      this.reportMissingNative();
      return;
    }
    const shared = {
      native,
      clock: this.#options.clock,
      config: () => this.#config,
      droppedNotice: (count: number) => this.#droppedNotice(name, count),
      lost: (reason: string, unsent: readonly LogEntry[]) => this.#fallBack(name, reason, unsent),
    };
    const { syslogPath = SYSLOG_SOCKET, journaldPath = JOURNALD_SOCKET } = this.#options;
    this.#daemons.set(
      name,
      name === 'syslog'
        ? syslogDestination({ ...shared, path: syslogPath })
        : journaldDestination({ ...shared, path: journaldPath }),
    );
  }

  #emit(entry: LogEntry): void {
    // Without any daemon, be it configured so or for want of native calls, stderr is what is left.
    if (this.#config.destinations.includes('stderr') || this.#daemons.size === 0) this.#toStderr(entry);
    const urgent = isUrgent(entry.message);
    for (const daemon of this.#daemons.values()) {
      if (!urgent) daemon.write(entry);
      else if (!daemon.writeNow(entry)) this.#toStderr(entry);
    }
  }

  #toStderr(entry: LogEntry): void {
    if (entry.onStderr) return;
    entry.onStderr = true;
    if (isUrgent(entry.message)) this.#stderr.writeNow(this.#stderrText(entry));
    else this.#stderr.write(this.#stderrText(entry));
  }

  /** A daemon is gone: what it did not get goes to stderr, once, and why. */
  #fallBack(name: Daemon, reason: string, unsent: readonly LogEntry[]): void {
    for (const entry of unsent) this.#toStderr(entry);
    this.#toStderr(this.#entry(PROCESS_MESSAGES.destinationLost, { destination: name, reason }));
  }

  #entry(spec: MessageSpec, params: MessageParams): LogEntry {
    const wallMs = this.#options.clock.wallMs();
    return { message: renderMessage(spec, params), params, wallMs, onStderr: false };
  }

  #droppedNotice(destination: LogDestination, count: number): LogEntry {
    return this.#entry(PROCESS_MESSAGES.messagesDropped, { destination, count });
  }

  #stderrText({ message, wallMs }: LogEntry): string {
    return this.#journalStream ? journalStreamLines(message) : stderrLines(message, wallMs, process.pid);
  }

  #wakeAt(dueMs: number): void {
    if (dueMs >= this.#windowDueMs) return;
    this.#windowTimer?.cancel();
    this.#windowDueMs = dueMs;
    const { clock } = this.#options;
    this.#windowTimer = clock.setTimer(dueMs - clock.monotonicMs(), () => {
      this.#windowDueMs = NEVER;
      for (const repeated of this.#limiter.due(clock.monotonicMs())) this.#report(repeated);
      this.#wakeAt(this.#limiter.nextDueMs);
    });
  }

  #report({ count, windowMs, latest }: Repeated<Kept>): void {
    const { text } = renderMessage(latest.spec, latest.params);
    const spec = { ...PROCESS_MESSAGES.repeated, level: latest.spec.level };
    this.#emit(this.#entry(spec, { ...latest.params, count, seconds: windowMs / 1000, text }));
  }
}

/** Messages that end the process. */
function isUrgent({ level }: Pick<MessageSpec, 'level'>): boolean {
  return level === 'FATAL' || level === 'PANIC';
}
