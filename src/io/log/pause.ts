/** Waiting without the event loop, for the last words of a process only. */

const NOBODY_WAKES = new Int32Array(new SharedArrayBuffer(4));

/** How long one wait lasts. */
const PAUSE_MS = 5;

/** Stands still for one short pause. */
export function pauseSync(): void {
  Atomics.wait(NOBODY_WAKES, 0, 0, PAUSE_MS);
}

/** Tries until it works or `limitMs` has passed in waiting; yields whether it worked. The loop stands still meanwhile. */
export function retrySync(limitMs: number, attempt: () => boolean): boolean {
  for (let waitedMs = 0; ; waitedMs += PAUSE_MS) {
    if (attempt()) return true;
    if (waitedMs >= limitMs) return false;
    pauseSync();
  }
}
