import { setTimeout as delay } from 'node:timers/promises';

/** An application under load: does the same again and again, and knows how long it took at the worst. */
export class Pulse {
  count = 0;
  #longestMs = 0;
  #begunMs = 0;
  /** What ended it. */
  error: unknown;
  readonly #beat: () => Promise<unknown>;
  readonly #thinkingMs: number;
  #stopped = false;
  readonly #beaten: (() => void)[] = [];
  readonly #over: Promise<void>;

  /** `thinkingMs`: the mean of the time between two, which is no part of them; each lasts up to twice as long. */
  constructor(beat: () => Promise<unknown>, thinkingMs = 0) {
    this.#beat = beat;
    this.#thinkingMs = thinkingMs;
    this.#over = this.#run();
  }

  /** How long the longest one took since this was asked last; one that is not over counts so far. */
  takeLongest(): number {
    const longestMs = Math.max(this.#longestMs, performance.now() - this.#begunMs);
    this.#longestMs = 0;
    return longestMs;
  }

  /** Resolves after the first one upon which `holds`, or when it has failed. */
  async until(holds: () => boolean): Promise<void> {
    while (!holds() && this.error === undefined)
      await new Promise<void>((beaten) => this.#beaten.push(beaten));
  }

  /** Resolves when the last one is through; rejects with what went wrong. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#over;
    if (this.error !== undefined) throw this.error;
  }

  async #run(): Promise<void> {
    try {
      while (!this.#stopped) {
        this.#begunMs = performance.now();
        await this.#beat();
        this.#longestMs = Math.max(this.#longestMs, performance.now() - this.#begunMs);
        this.count += 1;
        this.#wake();
        if (this.#thinkingMs === 0 || this.#stopped) continue;
        this.#begunMs = Number.POSITIVE_INFINITY;
        await delay(2 * this.#thinkingMs * Math.random());
      }
    } catch (error) {
      this.error = error;
      this.#wake();
    }
  }

  #wake(): void {
    for (const beaten of this.#beaten.splice(0)) beaten();
  }
}
