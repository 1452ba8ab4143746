/** Rows over time as one line of marks: where it is full, rows were acknowledged; where it is thin, none. */
import type { History } from './history.js';
import type { Screen } from './screen.js';
import { type Acknowledged, PACE_MS } from './writer.js';

export const MARK_MS = 250;

/** Marks from `from` to `to`; those that were not complete at `until` are left blank. */
export function strip(
  screen: Screen,
  acknowledged: History<Acknowledged>,
  { from, to, until }: { readonly from: number; readonly to: number; readonly until: number },
): string {
  const marks = Math.round((to - from) / MARK_MS);
  const counts = new Array<number>(marks).fill(0);
  for (const { at } of acknowledged.between(from, to)) counts[Math.floor((at - from) / MARK_MS)]! += 1;
  const [full, half, none] = screen.unicode ? ['█', '▄', '·'] : ['#', '+', '.'];
  const usual = MARK_MS / PACE_MS;
  const { green, red } = screen.paint;
  return runs(
    counts.map((count, index) => {
      if (from + (index + 1) * MARK_MS > until) return ' ';
      return count >= usual / 2 ? full! : count > 0 ? half! : none!;
    }),
  )
    .map((run) => (run[0] === none ? red(run) : green(run)))
    .join('');
}

/** Cuts a row of marks where they change, so that each colour is written once. */
function runs(marks: readonly string[]): string[] {
  return marks.join('').match(/(.)\1*/gu) ?? [];
}
