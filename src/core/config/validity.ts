/** Whether a certificate is valid, and for how long yet. */
import type { WallMs } from '../time.js';

/** The span in which a certificate is valid (RFC 5280, 4.1.2.5). */
export interface Validity {
  readonly fromMs: WallMs;
  readonly toMs: WallMs;
}

const DAY_MS = 24 * 60 * 60 * 1000;
/** Time enough to order a new certificate in. */
const SOON_MS = 30 * DAY_MS;

/** What is to be said of a certificate; undefined: nothing. `days` are whole ones, until the end or since. */
export type ValidityFinding =
  | { readonly is: 'notYetValid' }
  | { readonly is: 'expiring'; readonly days: number }
  | { readonly is: 'expired'; readonly days: number };

/** A certificate expires soon when 30 days of its time are left, or a third of it where that is less. */
export function judgeValidity({ fromMs, toMs }: Validity, now: WallMs): ValidityFinding | undefined {
  const leftMs = toMs - now;
  if (leftMs < 0) return { is: 'expired', days: Math.floor(-leftMs / DAY_MS) };
  if (now < fromMs) return { is: 'notYetValid' };
  if (leftMs >= Math.min(SOON_MS, (toMs - fromMs) / 3)) return undefined;
  return { is: 'expiring', days: Math.floor(leftMs / DAY_MS) };
}

/** The span in which all of a chain are valid. */
export function commonValidity(chain: readonly Validity[]): Validity {
  return {
    fromMs: Math.max(...chain.map(({ fromMs }) => fromMs)),
    toMs: Math.min(...chain.map(({ toMs }) => toMs)),
  };
}
