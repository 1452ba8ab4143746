/**
 * Coverage-guided fuzzing of one target: inputs that reach code that none reached before are kept and mutated further.
 * Coverage is taken for a batch, because taking it costs more than an input; a batch that found something is played again,
 * one by one.
 */
import type { Buffer } from 'node:buffer';
import { seeded } from '../support/simulation/timeline.js';
import { Coverage } from './coverage.js';
import { mutate } from './mutate.js';
import type { Target } from './targets.js';

const BATCH = 256;
/** Inputs found in a run that are kept to go on from; the files of the corpus are always kept. */
const MOST_FOUND = 500;
/** An input that takes longer is a defect, too: the parsers run in the loop that sends heartbeats. */
const MOST_MS = 1000;

export interface Crash {
  readonly input: Buffer;
  readonly error: Error;
}

export interface Fuzzed {
  readonly inputs: number;
  readonly blocks: number;
  readonly found: readonly Buffer[];
  readonly crash: Crash | undefined;
}

export interface FuzzOptions {
  readonly seed: number;
  /** Ends after so many inputs, or at this moment of performance.now(). */
  readonly inputs?: number;
  readonly until?: number;
}

/** Runs one input; what it throws. */
export function crashOf(target: Target, input: Buffer): Crash | undefined {
  const begun = performance.now();
  try {
    target.run(input);
  } catch (error) {
    return { input, error: error instanceof Error ? error : new Error(String(error)) };
  }
  const ms = performance.now() - begun;
  return ms > MOST_MS ? { input, error: new Error(`it took ${ms.toFixed(0)} ms`) } : undefined;
}

/** Fuzzes until a crash, or until it is time to stop. */
export function fuzz(
  target: Target,
  corpus: readonly Buffer[],
  { seed, inputs: most = Number.POSITIVE_INFINITY, until = Number.POSITIVE_INFINITY }: FuzzOptions,
): Fuzzed {
  const random = seeded(seed);
  const found: Buffer[] = [];
  const coverage = new Coverage();
  let inputs = 0;
  let crash: Crash | undefined;
  try {
    for (const input of corpus) crash ??= crashOf(target, input);
    coverage.takeNew();
    while (crash === undefined && inputs < most && performance.now() < until) {
      const pool = [...corpus, ...found];
      const batch: Buffer[] = [];
      for (let left = Math.min(BATCH, most - inputs); left > 0 && crash === undefined; left -= 1) {
        // What was found lately is the likeliest to lead further.
        const at =
          random() < 0.5
            ? Math.floor(random() * pool.length)
            : pool.length - 1 - Math.floor(random() ** 2 * Math.min(pool.length, 32));
        const input = mutate(pool[at]!, pool, target, random);
        batch.push(input);
        inputs += 1;
        crash = crashOf(target, input);
      }
      if (crash !== undefined) continue;
      const fresh = coverage.takeNew();
      if (fresh.size > 0) found.push(...finders(target, batch, fresh, { coverage, corpus }));
      if (found.length > MOST_FOUND) found.splice(0, found.length - MOST_FOUND);
    }
    return { inputs, blocks: coverage.size, found, crash };
  } finally {
    coverage.end();
  }
}

/**
 * Of a batch that reached new blocks, the inputs that reach them, each for at least one that none before it reaches. By
 * halves, because taking coverage costs more than many inputs. The corpus is played along, thrice: V8 tells of a block only
 * where its count is not that of what is around it or beside it, and with one input all counts are alike.
 */
function finders(
  target: Target,
  batch: readonly Buffer[],
  fresh: Set<string>,
  beside: { readonly coverage: Coverage; readonly corpus: readonly Buffer[] },
): readonly Buffer[] {
  if (fresh.size === 0 || batch.length === 0) return [];
  const { corpus, coverage } = beside;
  for (const input of [...corpus, ...corpus, ...corpus, ...batch]) crashOf(target, input);
  const reached = new Set([...coverage.take()].filter((block) => fresh.has(block)));
  if (reached.size === 0) return [];
  for (const block of reached) fresh.delete(block);
  if (batch.length === 1) return batch;
  const middle = batch.length >> 1;
  const first = finders(target, batch.slice(0, middle), reached, beside);
  return [...first, ...finders(target, batch.slice(middle), reached, beside)];
}
