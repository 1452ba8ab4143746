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
