/** An application under load: does the same again and again, and knows how long it took at the worst. */
export class Pulse {
  count = 0;
  longestMs = 0;
  /** What ended it. */
  error: unknown;
  readonly #beat: () => Promise<unknown>;
  #stopped = false;
  readonly #over: Promise<void>;

  constructor(beat: () => Promise<unknown>) {
    this.#beat = beat;
    this.#over = this.#run();
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
        const begunMs = performance.now();
        await this.#beat();
        this.longestMs = Math.max(this.longestMs, performance.now() - begunMs);
        this.count += 1;
      }
    } catch (error) {
      this.error = error;
    }
  }
}
