/** How long what stands between an application and its answer was ready to run while the machine was busy with others. */
import { type Waits, waitedMs, waits } from '../drivers/harness/processor.js';

/** Nobody waits for longer than that. */
const KEPT_MS = 120_000;

export class Starvation {
  #looks: { readonly at: number; readonly waits: Waits }[] = [];

  /** `processes`: all that may be asked about; they may end and others come. */
  constructor(private readonly processes: () => readonly number[]) {}

  look(now: number): void {
    this.#looks = this.#looks.filter(({ at }) => at > now - KEPT_MS);
    this.#looks.push({ at: now, waits: waits(this.processes(), []) });
  }

  /** How long these processes have waited for a processor since the last look before `from`, one after the other. */
  sinceMs(from: number, processes: readonly number[]): number {
    const before = this.#looks.filter(({ at }) => at <= from).at(-1)?.waits;
    return before === undefined ? 0 : waitedMs(before, waits(processes, []));
  }
}
