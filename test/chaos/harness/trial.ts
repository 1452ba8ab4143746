/** One row at work: its load, its measures against the bounds of the table, and what must not have happened. */
import assert from 'node:assert/strict';
import type { FaultRow } from '../table/row.js';
import { FAULT_ROWS } from '../table/rows.js';
import type { Lateness } from './lateness.js';
import { RESULTS_VARIABLE, ROWS_VARIABLE, type RowResult, type Verdict, writeResult } from './results.js';
import { Scene, type SceneOptions } from './scene.js';
import { boundMs } from './timing.js';

/** The load was too small to prove anything. */
class Invalid extends Error {}

export class Trial {
  #load: number | undefined;
  #waitedMs = 0;
  readonly #times = new Map<string, number[]>();
  readonly #amounts = new Map<string, number[]>();
  readonly #never = new Map<string, number>();
  readonly #faults: string[] = [];
  readonly #scenes: Scene[] = [];
  readonly #closing: (() => Promise<unknown> | unknown)[] = [];

  constructor(readonly table: FaultRow) {}

  /** Hosts, servers and a conmgr for this row, ended with it. */
  async scene(options: SceneOptions = {}): Promise<Scene> {
    const scene = new Scene();
    this.#scenes.push(scene);
    this.atEnd(() => scene.end());
    await scene.begin(options);
    return scene;
  }

  /** What is to be undone when the row is done, however it ends; the last first. */
  atEnd(close: () => Promise<unknown> | unknown): void {
    this.#closing.push(close);
  }

  /** What was going on when the fault came. */
  load(found: number): void {
    const [what, least] = this.table.load ?? assert.fail(`row ${this.table.row} has no load in its table`);
    this.#load = Math.min(found, this.#load ?? found);
    if (found < least) throw new Invalid(`${found} ${what} before the fault, and ${least} are needed`);
  }

  /**
   * A time from the fault.
   * @param lateness of the processes between fault and event: what they waited for a processor, from the lower bound on
   */
  took(what: string, tookMs: number, lateness?: Lateness): void {
    const [least, most] =
      this.table.times?.[what] ?? assert.fail(`row ${this.table.row} measures no "${what}"`);
    this.#times.set(what, [...(this.#times.get(what) ?? []), Math.round(tookMs)]);
    const [leastMs, mostMs] = [least === undefined ? 0 : boundMs(least), boundMs(most)];
    if (tookMs < leastMs) this.#faults.push(`${what} after ${tookMs.toFixed(0)} ms, before ${least}`);
    if (tookMs <= mostMs) return;
    const waitedMs = lateness?.since(leastMs) ?? 0;
    this.#waitedMs = Math.max(this.#waitedMs, Math.round(waitedMs));
    if (tookMs <= mostMs + waitedMs) return;
    this.#faults.push(
      `${what} after ${tookMs.toFixed(0)} ms, more than ${most} (${mostMs} ms) and the ${waitedMs.toFixed(0)} ms of waits for a processor`,
    );
  }

  amount(what: string, found: number): void {
    const { atMost, unit } =
      this.table.amounts?.[what] ?? assert.fail(`row ${this.table.row} has no amount "${what}"`);
    this.#amounts.set(what, [...(this.#amounts.get(what) ?? []), Math.round(found * 10) / 10]);
    if (found > atMost) this.#faults.push(`${what}: ${found} ${unit}, more than ${atMost}`);
  }

  /** How often something happened that must not. */
  never(what: string, count: number): void {
    if (!this.table.never.includes(what)) assert.fail(`row ${this.table.row} does not forbid "${what}"`);
    this.#never.set(what, (this.#never.get(what) ?? 0) + count);
    if (count !== 0) this.#faults.push(`${what}: ${count}`);
  }

  /** Runs the body and writes down what it gave. */
  async run(body: (trial: Trial) => Promise<void>): Promise<void> {
    let verdict: Verdict = 'failed';
    let error: unknown;
    try {
      await body(this);
      this.#complete();
      if (this.#faults.length > 0) throw new Error(this.#faults.join('; '));
      verdict = 'proven';
    } catch (thrown) {
      error = thrown;
      if (thrown instanceof Invalid) verdict = 'invalid';
    }
    // The report shows what a file has printed only if something of it failed.
    if (error !== undefined) for (const scene of this.#scenes) console.log(scene.logs());
    for (const close of this.#closing.reverse()) {
      try {
        await within(CLOSING_MS, close());
      } catch (thrown) {
        error ??= thrown;
        verdict = verdict === 'proven' ? 'failed' : verdict;
      }
    }
    this.#write(verdict, error);
    if (error !== undefined) throw error;
  }

  /** All that the table asks for has been looked at. */
  #complete(): void {
    const { load, times = {}, amounts = {}, never } = this.table;
    if (load !== undefined) assert.notEqual(this.#load, undefined, 'the load was never looked at');
    for (const what of Object.keys(times)) assert.ok(this.#times.has(what), `never measured: ${what}`);
    for (const what of Object.keys(amounts)) assert.ok(this.#amounts.has(what), `never measured: ${what}`);
    for (const what of never) assert.ok(this.#never.has(what), `never counted: ${what}`);
  }

  #write(verdict: Verdict, error: unknown): void {
    const directory = process.env[RESULTS_VARIABLE];
    if (directory === undefined) return;
    const result: RowResult = {
      row: this.table.row,
      verdict,
      ...(error === undefined ? {} : { reason: error instanceof Error ? error.message : String(error) }),
      ...(this.#load === undefined ? {} : { load: this.#load }),
      times: Object.fromEntries(this.#times),
      waitedMs: this.#waitedMs,
      amounts: Object.fromEntries(this.#amounts),
      never: Object.fromEntries(this.#never),
    };
    writeResult(directory, result);
  }
}

/** What is cut off or stopped may not end in order; the runner's sweeper ends it. */
const CLOSING_MS = 30_000;

async function within(ms: number, closing: Promise<unknown> | unknown): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`what the row had started did not end within ${ms} ms`)), ms);
  });
  await Promise.race([closing, late]).finally(() => clearTimeout(timer));
}

const chosen = process.env[ROWS_VARIABLE]?.split(',').map(Number);

/**
 * What node:test's `it` is called with for a row. The call stands in the test file, by which the report knows a test.
 * `make chaos ROW=` leaves the others out.
 */
export function row(
  number: number,
  body: (trial: Trial) => Promise<void>,
): [name: string, options: { readonly skip: boolean }, run: () => Promise<void>] {
  const table = FAULT_ROWS.find((one) => one.row === number);
  if (table === undefined) throw new Error(`there is no row ${number}`);
  const skip = chosen !== undefined && !chosen.includes(number);
  return [`row ${number}: ${table.fault}`, { skip }, () => new Trial(table).run(body)];
}
