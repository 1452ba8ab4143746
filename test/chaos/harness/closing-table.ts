/** What stands at the end of `make chaos`: each row with its bounds, what was measured, and the verdict. */
import type { FaultRow, Span } from '../table/row.js';
import { type Measured, measuredOf, type RowResult, type Spread } from './results.js';

/** The lines of a row: what, bound, measured. */
export interface Line {
  readonly what: string;
  readonly bound: string;
  readonly measured: string;
}

function seconds(ms: number): string {
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(2)} s`;
}

/** Least, middle and greatest; one value alone if they are the same. */
function spread({ least, middle, most }: Spread, show: (value: number) => string): string {
  return least === most ? show(least) : [least, middle, most].map(show).join(' / ');
}

export function boundText([least, most]: Span): string {
  const upper = most.replace(/([-+])/g, ' $1 ');
  return least === undefined ? `<= ${upper}` : `${least.replace(/([-+])/g, ' $1 ')} .. ${upper}`;
}

/** All that a row measures and counts. */
export function linesOf(row: FaultRow, result: Measured | undefined): Line[] {
  const none = '';
  return [
    ...Object.entries(row.times ?? {}).map(([what, span]) => ({
      what,
      bound: boundText(span),
      measured: result?.times[what] === undefined ? none : spread(result.times[what], seconds),
    })),
    ...Object.entries(row.amounts ?? {}).map(([what, { atMost, unit }]) => ({
      what,
      bound: `<= ${atMost} ${unit}`.trimEnd(),
      measured:
        result?.amounts[what] === undefined
          ? none
          : spread(result.amounts[what], (value) => `${value} ${unit}`.trimEnd()),
    })),
    ...row.never.map((what) => ({ what, bound: '0', measured: String(result?.never[what] ?? none) })),
  ];
}

/** The verdict in a word or two. */
export function verdictOf(row: FaultRow, result: RowResult | undefined): string {
  if (typeof row.proof !== 'string') return `proven by ${row.proof.by}`;
  return result?.verdict.replace('failed', 'FAILED').replace('invalid', 'INVALID') ?? 'not run';
}

/** The table, for a terminal. */
export function closingTable(rows: readonly FaultRow[], results: readonly RowResult[]): string {
  const texts: string[][] = [['row', 'what', 'bound', 'measured: min / median / max', 'verdict']];
  for (const row of rows) {
    const result = results.find((one) => one.row === row.row);
    texts.push([String(row.row), `${row.fault}`, '', '', verdictOf(row, result)]);
    if (typeof row.proof !== 'string') continue;
    for (const { what, bound, measured } of linesOf(row, result && measuredOf(result))) {
      texts.push(['', `  ${what}`, bound, measured, '']);
    }
    if (result?.reason !== undefined) texts.push(['', `  ${result.reason.split('\n')[0] ?? ''}`, '', '', '']);
  }
  const widths = [4, 64, 24, 32];
  const lines = texts.map((cells) =>
    cells
      .map((cell, at) => cell.padEnd(widths[at] ?? 0))
      .join(' ')
      .trimEnd(),
  );
  const count = (verdict: string): number => results.filter((one) => one.verdict === verdict).length;
  const elsewhere = rows.filter(({ proof }) => typeof proof !== 'string').length;
  return [
    '',
    ...lines,
    '',
    `proven ${count('proven')}, failed ${count('failed')}, invalid ${count('invalid')}, proven by other suites ${elsewhere}`,
  ].join('\n');
}
