/**
 * Fills the tables of docs/fault-suite.md from the table of the fault suite (test/chaos/table) and from what its last run
 * with UPDATE=1 has recorded (test/chaos/measured.json).
 *
 *     node packaging/run-ts.mjs packaging/render-faults.ts [--check]
 *
 * With --check nothing is written: the document that differs is named and the exit status is 1.
 */
import { readFileSync } from 'node:fs';
import { linesOf } from '../test/chaos/harness/closing-table.js';
import { MEASURED, type Measured } from '../test/chaos/harness/results.js';
import { FAULT_ROWS } from '../test/chaos/table/rows.js';
import { type Cells, renderDocuments, table } from './document-tables.js';

const measured = JSON.parse(readFileSync(MEASURED, 'utf8')) as readonly Measured[];

function rows(): string {
  return table(
    ['row', 'fault', 'what must follow', 'what is looked at', 'bound', 'measured: least / middle / most'],
    FAULT_ROWS.flatMap((row): Cells[] => {
      const head: Cells = [row.row, row.fault, row.expected];
      if (typeof row.proof !== 'string') {
        const { by, test } = row.proof;
        return [[...head, `"${test}"`, '', `asserted by \`${by}\``]];
      }
      const result = measured.find((one) => one.row === row.row);
      return linesOf(row, result).map(({ what, bound, measured: found }, at) => [
        ...(at === 0 ? head : ['', '', '']),
        what,
        bound,
        found,
      ]);
    }),
  );
}

renderDocuments(['docs/fault-suite.md'], { rows }, 'packaging/render-faults.ts');
