/** Restarts whose pauses are measured on a machine that may be busy with other things. */
import { type Waits, waitedMs, waits } from '../drivers/harness/processor.js';
import type { ConmgrProcess } from './conmgr-process.js';
import type { Pulse } from './pulse.js';

/** docs/client.md: the longest that an application may wait for a restart of conmgr. */
const LONGEST_PAUSE_MS = 1000;
/** How often the waits of a process are noted that will be gone when they are wanted. */
const NOTE_EVERY_MS = 20;

/**
 * Has a conmgr replaced. `allowedMs`: the longest pause that an application may see, which is longer by what the two
 * processes and this one have waited for a processor.
 */
export async function replaceMeasured(
  conmgr: ConmgrProcess,
  replace: () => Promise<ConmgrProcess>,
): Promise<{ readonly next: ConmgrProcess; readonly allowedMs: number }> {
  const both = [process.pid, conmgr.pid];
  const before = waits(both, []);
  let last: Waits = before;
  const notes = setInterval(() => {
    const now = waits(both, []);
    if ((now.get(conmgr.pid)?.size ?? 0) > 0) last = now;
  }, NOTE_EVERY_MS);
  try {
    const next = await replace();
    const after = waits([process.pid, next.pid], []);
    const ofPredecessor = new Map([...last].filter(([pid]) => pid === conmgr.pid));
    return { next, allowedMs: LONGEST_PAUSE_MS + waitedMs(before, after) + waitedMs(before, ofPredecessor) };
  } finally {
    clearInterval(notes);
  }
}

/** The longest pause that any of them has seen since this was asked last. */
export function longestPause(pulses: readonly Pulse[]): number {
  return Math.max(...pulses.map((pulse) => pulse.takeLongest()));
}
