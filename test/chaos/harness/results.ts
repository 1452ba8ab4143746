/** What a row has given, as the tests write it down for the closing table and for docs/fault-suite.md. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export type Verdict = 'proven' | 'failed' | 'invalid';

export interface RowResult {
  readonly row: number;
  readonly verdict: Verdict;
  /** Why it is not proven. */
  readonly reason?: string;
  /** What the load was before the fault. */
  readonly load?: number;
  /** Times in milliseconds, in the order they were measured. */
  readonly times: Readonly<Record<string, readonly number[]>>;
  /** The longest that the processes of a measure had to wait for a processor beyond its bound. */
  readonly waitedMs: number;
  readonly amounts: Readonly<Record<string, readonly number[]>>;
  readonly never: Readonly<Record<string, number>>;
}

/** The least, the middle and the greatest of what was measured several times. */
export interface Spread {
  readonly least: number;
  readonly middle: number;
  readonly most: number;
}

/** What is kept of the result of a row that was proven. */
export interface Measured {
  readonly row: number;
  readonly load: number | null;
  readonly times: Readonly<Record<string, Spread>>;
  readonly amounts: Readonly<Record<string, Spread>>;
  readonly never: Readonly<Record<string, number>>;
}

function spreadOf(values: readonly number[]): Spread {
  const sorted = [...values].sort((one, other) => one - other);
  return { least: sorted[0]!, middle: sorted[Math.floor((sorted.length - 1) / 2)]!, most: sorted.at(-1)! };
}

function spreadsOf(all: Readonly<Record<string, readonly number[]>>): Record<string, Spread> {
  return Object.fromEntries(Object.entries(all).map(([what, values]) => [what, spreadOf(values)]));
}

export function measuredOf({ row, load, times, amounts, never }: RowResult): Measured {
  return { row, load: load ?? null, times: spreadsOf(times), amounts: spreadsOf(amounts), never };
}

/** Names the directory of the results; set by the runner. */
export const RESULTS_VARIABLE = 'CHAOS_RESULTS';

/** Numbers of the rows that are to run, separated by commas; not set: all. */
export const ROWS_VARIABLE = 'CHAOS_ROWS';

/** The results of the last run that recorded them, in the tree. */
export const MEASURED = 'test/chaos/measured.json';

export function writeResult(directory: string, result: RowResult): void {
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, `${result.row}.json`), JSON.stringify(result));
}

/** The results in a directory, by row. */
export function readResults(directory: string): RowResult[] {
  return readdirSync(directory)
    .filter((name) => name.endsWith('.json'))
    .map((name) => JSON.parse(readFileSync(join(directory, name), 'utf8')) as RowResult)
    .sort((one, other) => one.row - other.row);
}
