/** How long the processes that a fact has to pass were ready to run and did not: what a bound has to allow for. */
import { type Waits, waitedMs, waits } from '../../drivers/harness/processor.js';

const EVERY_MS = 200;

/** Looks at processes from a fault on. */
export class Lateness {
  readonly #samples: { readonly atMs: number; readonly waits: Waits }[] = [];
  readonly #timer: NodeJS.Timeout;
  readonly #begunMs = performance.now();

  /** @param pids now, of the processes that stand between the fault and who is told; this one is among them by itself */
  constructor(private readonly pids: () => readonly number[]) {
    this.#sample();
    this.#timer = setInterval(() => this.#sample(), EVERY_MS).unref();
  }

  /** What they have waited since so long after the fault, one after the other. */
  since(afterMs: number): number {
    const moment = this.#begunMs + afterMs;
    const before = [...this.#samples].reverse().find(({ atMs }) => atMs <= moment) ?? this.#samples[0]!;
    return waitedMs(before.waits, this.#look());
  }

  end(): void {
    clearInterval(this.#timer);
  }

  #look(): Waits {
    return waits([...this.pids(), process.pid], []);
  }

  #sample(): void {
    this.#samples.push({ atMs: performance.now(), waits: this.#look() });
    if (this.#samples.length > 1000) this.#samples.splice(1, 1);
  }
}
