/** Which blocks of the code have run, from V8's own counters (Chrome DevTools Protocol, Profiler domain). */
import { Session } from 'node:inspector';

export class Coverage {
  readonly #session = new Session();
  readonly #seen = new Set<string>();

  constructor() {
    this.#session.connect();
    this.#session.post('Profiler.enable');
    this.#session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: true });
  }

  /** How many blocks have run so far. */
  get size(): number {
    return this.#seen.size;
  }

  /** Blocks that have run since the last call, and never before. */
  takeNew(): Set<string> {
    const fresh = new Set<string>();
    for (const block of this.take()) if (!this.#seen.has(block)) fresh.add(block);
    for (const block of fresh) this.#seen.add(block);
    return fresh;
  }

  /** Blocks that have run since the last call. */
  take(): Set<string> {
    const blocks = new Set<string>();
    this.#session.post('Profiler.takePreciseCoverage', (error, answer) => {
      if (error !== null) throw new Error(error.message);
      for (const { scriptId, url, functions } of answer.result) {
        if (!url.startsWith('file:')) continue;
        for (const { ranges } of functions)
          for (const { startOffset, endOffset, count } of ranges)
            if (count > 0) blocks.add(`${scriptId} ${startOffset} ${endOffset}`);
      }
    });
    return blocks;
  }

  end(): void {
    this.#session.post('Profiler.stopPreciseCoverage');
    this.#session.disconnect();
  }
}
