/** Signs of life for the service manager (WatchdogSec= of the unit, sd_watchdog_enabled(3)). */
import { CONMGR_MESSAGES } from '../core/messages/conmgr.js';
import type { Log } from '../core/messages/message.js';
import type { Clock } from '../core/time.js';
import type { Notifier } from '../io/notify.js';

/** Times of the configuration, in milliseconds. */
export interface HeartbeatTimes {
  readonly heartbeatTimeoutMs: number;
  readonly heartbeatIntervalMs: number;
}

export interface ManagerWatchdogOptions {
  readonly notifier: Notifier;
  readonly clock: Clock;
  readonly log: Log;
  /** The configuration as it is now. */
  readonly times: () => HeartbeatTimes;
  readonly ended: () => boolean;
}

/** What is added, so that it is more than twice. */
const MARGIN_MS = 1000;

export class ManagerWatchdog {
  readonly #options: ManagerWatchdogOptions;
  #limitMs: number;

  constructor(options: ManagerWatchdogOptions) {
    this.#options = options;
    this.#limitMs = 2 * (options.notifier.watchdogIntervalMs ?? Number.POSITIVE_INFINITY);
  }

  /** From now on. */
  start(): void {
    this.adjust();
    this.#ping();
  }

  /**
   * Asks for a longer limit where the configuration needs it: a process that was frozen must be able to wake and doubt
   * itself before it is killed, which takes twice heartbeat_timeout + heartbeat_interval. For start and reload.
   */
  adjust(): void {
    const { notifier, log, times } = this.#options;
    const { heartbeatTimeoutMs, heartbeatIntervalMs } = times();
    const leastMs = 2 * (heartbeatTimeoutMs + heartbeatIntervalMs);
    if (this.#limitMs > leastMs) return;
    const params = { wasMs: Math.round(this.#limitMs), limitMs: leastMs + MARGIN_MS, leastMs };
    this.#limitMs = params.limitMs;
    notifier.send(`WATCHDOG_USEC=${params.limitMs * 1000}`);
    log.write(CONMGR_MESSAGES.watchdogLengthened, params);
  }

  /** WATCHDOG=1, sent by the loop that does the work: a loop that hangs sends none. */
  #ping(): void {
    const { notifier, clock, ended } = this.#options;
    const intervalMs = notifier.watchdogIntervalMs;
    if (intervalMs === undefined) return;
    notifier.watchdogPing();
    clock.setTimer(intervalMs, () => {
      if (!ended()) setImmediate(() => this.#ping());
    });
  }
}
