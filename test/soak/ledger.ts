/** What became of every element of the set workload, and what is wrong with that in the end. */

/**
 * What the application knows of an element: the server said that it is there; it may be there, for nobody answered;
 * it cannot be there, for it was never sent or the server refused it.
 */
export type Outcome = 'acknowledged' | 'unknown' | 'failed';

/** The account of one writer. */
export interface Account {
  readonly name: string;
  readonly outcomes: ReadonlyMap<number, Outcome>;
}

export interface Verdict {
  readonly counts: Readonly<Record<Outcome, number>>;
  /** Acknowledged and not in the table. */
  readonly lost: readonly string[];
  /** In the table although the application was told otherwise, or nobody wrote it. */
  readonly ghosts: readonly string[];
  /** Of the unknown ones, how many are in the table. */
  readonly arrived: number;
}

/** Judges the accounts by what the table holds: for each writer the numbers that are there. */
export function judge(
  accounts: readonly Account[],
  table: ReadonlyMap<string, ReadonlySet<number>>,
): Verdict {
  const counts = { acknowledged: 0, unknown: 0, failed: 0 };
  const lost: string[] = [];
  const ghosts: string[] = [];
  let arrived = 0;
  for (const { name, outcomes } of accounts) {
    const there = table.get(name) ?? new Set<number>();
    for (const [id, outcome] of outcomes) {
      counts[outcome] += 1;
      if (outcome === 'acknowledged' && !there.has(id)) lost.push(`${name} ${id}`);
      if (outcome === 'unknown' && there.has(id)) arrived += 1;
    }
    for (const id of there) {
      const outcome = outcomes.get(id);
      if (outcome === undefined || outcome === 'failed') ghosts.push(`${name} ${id}`);
    }
  }
  return { counts, lost, ghosts, arrived };
}
