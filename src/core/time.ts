/**
 * Time as the core sees it: plain numbers handed in by the shell, never read here.
 *
 * Every liveness decision rests on a monotonic clock; the wall clock only
 * stamps log lines and the moments shown in status output.
 */

/** Milliseconds on the monotonic clock of this process. Only differences have a meaning. */
export type MonotonicMs = number;

/** Milliseconds since 1970-01-01 UTC. For people and logs, never for deadlines. */
export type WallMs = number;

/** A pending timer; cancelling one that has fired does nothing. */
export interface TimerHandle {
  cancel(): void;
}

/** The only source of time in conmgr, the watchdog and the client; tests put in one that moves when told. */
export interface Clock {
  monotonicMs(): MonotonicMs;
  wallMs(): WallMs;
  /** Calls `fire` once, `delayMs` from now (0 or less: as soon as possible, never synchronously). */
  setTimer(delayMs: number, fire: () => void): TimerHandle;
}

/** A moment that never comes; what a machine without a deadline returns. */
export const NEVER: MonotonicMs = Number.POSITIVE_INFINITY;

/** The earliest of several deadlines, NEVER when there is none. */
export function earliest(...deadlines: readonly MonotonicMs[]): MonotonicMs {
  return Math.min(NEVER, ...deadlines);
}
