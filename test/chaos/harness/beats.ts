/** Watches whether a watchdog hears the beats of its conmgrs on time. */
import type { Database } from './scene.js';

const EVERY_MS = 50;

/** From now on, what a watchdog says about the age of the last packet of each link. */
export class Beats {
  worstMs = 0;
  #looks = 0;
  #over = false;
  readonly #done: Promise<void>;

  constructor(private readonly database: Database) {
    this.#done = this.#watch();
  }

  /** The longest that nothing came on any link. */
  async end(): Promise<number> {
    this.#over = true;
    await this.#done;
    if (this.#looks < 5) throw new Error(`the watchdog said only ${this.#looks} times how its links are`);
    return this.worstMs;
  }

  async #watch(): Promise<void> {
    while (!this.#over) {
      const { links } = await this.database.watchdog.status();
      for (const { lastPacketAgeMs } of links) this.worstMs = Math.max(this.worstMs, lastPacketAgeMs);
      if (links.length > 0) this.#looks += 1;
      await new Promise((resolve) => setTimeout(resolve, EVERY_MS));
    }
  }
}
