/**
 * Fills the tables of docs/performance.md from what the benchmarks have recorded (bench/results.json, by `make bench UPDATE=1`),
 * and draws the plot beside it.
 *
 *     node packaging/run-ts.mjs packaging/render-performance.ts [--check]
 *
 * With --check nothing is written: what differs is named and the exit status is 1.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { type Block, RESULTS, readResults } from '../bench/results.js';
import { renderDocuments, table } from './document-tables.js';
import { growthPlot } from './growth-plot.js';

const PLOT = 'docs/performance-growth.svg';
const results = readResults(RESULTS);

/** What a block says, with its targets behind it. */
function section({ columns, rows, targets, machine }: Block): string {
  const verdicts = targets.map(([target, met, measured]) => [target, measured, met ? 'met' : 'missed']);
  return [
    table(['', ...columns], rows),
    ...(verdicts.length === 0 ? [] : [table(['target', 'measured', ''], verdicts)]),
    `Measured on: ${machine}.`,
  ].join('\n\n');
}

const tables = Object.fromEntries(
  Object.values(results).map((block) => [block.title, () => section(block)] as const),
);
renderDocuments(['docs/performance.md'], tables, 'packaging/render-performance.ts');

const plot = growthPlot(results);
if (plot !== readFileSync(PLOT, { encoding: 'utf8', flag: 'a+' })) {
  if (process.argv.includes('--check')) {
    console.log(
      `${PLOT} differs from ${RESULTS}; run node packaging/run-ts.mjs packaging/render-performance.ts`,
    );
    process.exitCode = 1;
  } else writeFileSync(PLOT, plot);
}
