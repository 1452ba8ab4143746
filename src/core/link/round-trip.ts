/** Round trip of a link, measured by the BEATs that echo ours. Both ends use it. */
import type { HeartbeatMessageOf } from '../protocol/messages.js';
import type { MonotonicMs } from '../time.js';

/** A BEAT that went out. */
export interface SentBeat {
  readonly seq: number;
  readonly at: MonotonicMs;
}

/**
 * Beats kept for measuring. More than the last one, because both ends beat at the same spacing: an echo may well
 * cross with the next of our own, and on a slow path several are under way.
 */
export const SENT_BEATS_KEPT = 4;

/** Notes one more BEAT; the newest stands first. */
export function noteBeat(sent: readonly SentBeat[], seq: number, at: MonotonicMs): readonly SentBeat[] {
  const kept = sent.slice(0, SENT_BEATS_KEPT - 1);
  kept.unshift({ seq, at });
  return kept;
}

/** Milliseconds of the way there and back; undefined when the BEAT echoes none that is remembered. */
export function roundTripMs(
  sent: readonly SentBeat[],
  { echoSeq, echoDelayUs }: HeartbeatMessageOf<'beat'>,
  now: MonotonicMs,
): number | undefined {
  const echoed = echoSeq === 0 ? undefined : sent.find((one) => one.seq === echoSeq);
  return echoed === undefined ? undefined : Math.max(0, now - echoed.at - echoDelayUs / 1000);
}
