/** The application that reads, from a standby while there is one. */
import { setTimeout as delay } from 'node:timers/promises';
import { type Happened, History, now } from './history.js';
import type { SessionSource } from './writer.js';

const PACE_MS = 100;
const SELECT = 'select count(*) from demo_row where writer = $1';

export interface Read extends Happened {
  readonly server: string;
}

/** Counts the rows of a writer every `PACE_MS`. */
export class Reader {
  readonly reads = new History<Read>();
  readonly failures = new History<Happened>();

  constructor(
    private readonly source: SessionSource,
    private readonly writer: string,
  ) {
    // The next read shows it.
    source.onIdleLoss(() => {});
  }

  /** Runs as long as the process. */
  async run(): Promise<never> {
    for (;;) {
      const next = now() + PACE_MS;
      await this.#readOne();
      await delay(Math.max(0, next - now()));
    }
  }

  async #readOne(): Promise<void> {
    try {
      const session = await this.source.open();
      try {
        await session.query(SELECT, [this.writer]);
        this.reads.add({ at: now(), server: session.server });
        session.release();
      } catch (error) {
        session.release(error as Error);
        throw error;
      }
    } catch {
      this.failures.add({ at: now() });
    }
  }
}
