/**
 * A clock that moves only when a test tells it to.
 */
import type { Clock, TimerHandle } from '../../src/core/time.js';

interface PendingTimer {
  readonly dueMs: number;
  readonly fire: () => void;
}

/** Starts at monotonic 0 and at the wall clock time given (default 2026-11-21 09:30:00 UTC). */
export class FakeClock implements Clock {
  #nowMs = 0;
  #wallOffsetMs: number;
  /** In the order of creation, which decides between timers that are due at the same moment. */
  readonly #timers = new Set<PendingTimer>();

  constructor(wallMs: number = Date.UTC(2026, 10, 21, 9, 30)) {
    this.#wallOffsetMs = wallMs;
  }

  monotonicMs(): number {
    return this.#nowMs;
  }

  wallMs(): number {
    return this.#wallOffsetMs + this.#nowMs;
  }

  setTimer(delayMs: number, fire: () => void): TimerHandle {
    const timer: PendingTimer = { dueMs: this.#nowMs + Math.max(0, delayMs), fire };
    this.#timers.add(timer);
    return { cancel: () => this.#timers.delete(timer) };
  }

  /** Moves on by `ms`; timers fire in the order of their moments, each seeing its own moment as now.
   *  Timers set meanwhile fire too when they fall into the span; a span that never empties is an error. */
  advance(ms: number): void {
    const endMs = this.#nowMs + ms;
    for (let fired = 0; ; fired += 1) {
      const next = this.#earliest();
      if (next === undefined || next.dueMs > endMs) break;
      if (fired > 1_000_000) throw new Error('FakeClock: timers keep setting timers without end');
      this.#nowMs = Math.max(this.#nowMs, next.dueMs);
      this.#timers.delete(next);
      next.fire();
    }
    this.#nowMs = endMs;
  }

  /** Time passes while the process does not run (SIGSTOP, a paused machine): nothing fires now, and the next
   *  `advance` fires late what became due. */
  stall(ms: number): void {
    this.#nowMs += ms;
  }

  /** Somebody sets the wall clock; deadlines must not notice. */
  jumpWall(ms: number): void {
    this.#wallOffsetMs += ms;
  }

  /** How many timers are pending. */
  get pending(): number {
    return this.#timers.size;
  }

  /** Monotonic moment of the next timer, Infinity when there is none. */
  get nextDueMs(): number {
    return this.#earliest()?.dueMs ?? Number.POSITIVE_INFINITY;
  }

  #earliest(): PendingTimer | undefined {
    let earliest: PendingTimer | undefined;
    for (const timer of this.#timers) {
      if (earliest === undefined || timer.dueMs < earliest.dueMs) earliest = timer;
    }
    return earliest;
  }
}
