/** The one bounded poll, for states that announce themselves by no event. */
import { setTimeout as delay } from 'node:timers/promises';

export interface EventuallyOptions {
  /** Give up after this long. */
  readonly timeoutMs?: number;
  readonly everyMs?: number;
  /** What is waited for, for the message of the error. */
  readonly what: string;
}

/**
 * Calls `probe` until it returns something true and returns that. A probe that throws has not succeeded yet; the
 * error that ends the wait carries the last thing thrown as its cause.
 */
export async function eventually<T>(
  probe: () => T | Promise<T>,
  { timeoutMs = 10_000, everyMs = 10, what }: EventuallyOptions,
): Promise<NonNullable<Exclude<T, false | 0 | ''>>> {
  const deadline = performance.now() + timeoutMs;
  let cause: unknown;
  for (;;) {
    try {
      const result = await probe();
      if (result) return result as NonNullable<Exclude<T, false | 0 | ''>>;
      cause = undefined;
    } catch (error) {
      cause = error;
    }
    if (performance.now() >= deadline) {
      throw new Error(`not within ${timeoutMs} ms: ${what}`, cause === undefined ? {} : { cause });
    }
    await delay(everyMs);
  }
}
