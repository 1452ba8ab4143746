/**
 * The real clock. Every other part is handed a `Clock`, so that tests can put in one that moves when told.
 */
import type { Clock, TimerHandle } from '../core/time.js';

/** The longest delay that setTimeout takes; more would fire at once (Node.js documentation, Timers). */
const LONGEST_TIMEOUT_MS = 2 ** 31 - 1;

class SystemTimer implements TimerHandle {
  readonly #dueMs: number;
  readonly #fire: () => void;
  readonly #keepsAlive: boolean;
  #timeout: NodeJS.Timeout | undefined;

  constructor(delayMs: number, fire: () => void, keepsAlive: boolean) {
    this.#dueMs = performance.now() + delayMs;
    this.#fire = fire;
    this.#keepsAlive = keepsAlive;
    this.#arm(delayMs);
  }

  cancel(): void {
    clearTimeout(this.#timeout);
  }

  #arm(delayMs: number): void {
    this.#timeout = setTimeout(this.#wake, Math.min(Math.ceil(delayMs), LONGEST_TIMEOUT_MS));
    if (!this.#keepsAlive) this.#timeout.unref();
  }

  /** Node counts whole milliseconds from the start of its loop turn, so a timeout may end a little early;
   *  a machine that is asked "is it time?" must not be asked before it is. */
  readonly #wake = (): void => {
    const remainingMs = this.#dueMs - performance.now();
    if (remainingMs > 0) this.#arm(remainingMs);
    else this.#fire();
  };
}

const NO_TIMER: TimerHandle = { cancel: () => {} };

function clockWhoseTimers(keepAlive: boolean): Clock {
  return {
    monotonicMs: () => performance.now(),
    wallMs: () => Date.now(),
    setTimer: (delayMs, fire) =>
      delayMs === Number.POSITIVE_INFINITY
        ? NO_TIMER
        : new SystemTimer(Math.max(0, delayMs), fire, keepAlive),
  };
}

/** The clock of this machine; a timer never fires early, however long, and one at NEVER never fires. */
export const systemClock: Clock = clockWhoseTimers(true);

/** The same clock, but a pending timer does not keep the process alive: for logging and other housekeeping. */
export const backgroundClock: Clock = clockWhoseTimers(false);
