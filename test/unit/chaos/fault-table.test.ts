import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { boundText, closingTable, verdictOf } from '../../chaos/harness/closing-table.js';
import { boundMs, type Timing } from '../../chaos/harness/timing.js';
import type { FaultRow } from '../../chaos/table/row.js';
import { FAULT_ROWS } from '../../chaos/table/rows.js';
import { inTree } from '../../support/tree.js';

const TIMING: Timing = { I: 1000, T: 3000, A: 200, CI: 1000, CT: 2000, G: 3000, P: 2000, eps: 500 };

const ROW: FaultRow = {
  row: 1,
  fault: 'a fault',
  expected: 'nothing',
  proof: 'cut',
  times: { told: ['T-I', 'T+eps'] },
  never: ['sessions ended'],
};

describe('the table of the fault suite', () => {
  it('has each row once', () => {
    const numbers = FAULT_ROWS.map(({ row }) => row);
    assert.deepEqual(numbers, [...new Set(numbers)]);
  });

  it('has a test for each row, in the file it names, or says which test of another suite it is', () => {
    for (const { row, proof } of FAULT_ROWS) {
      if (typeof proof !== 'string') continue;
      const path = inTree(`test/chaos/${proof}.test.ts`);
      assert.ok(existsSync(path), `row ${row}: ${path}`);
      assert.match(readFileSync(path, 'utf8'), new RegExp(`\\.\\.\\.row\\(${row}, `), `row ${row}`);
    }
  });

  it('has bounds that are times, the lower one below the upper one', () => {
    for (const { row, times = {} } of FAULT_ROWS) {
      for (const [what, [least, most]] of Object.entries(times)) {
        const lower = least === undefined ? 0 : boundMs(least, TIMING);
        assert.ok(lower >= 0 && lower < boundMs(most, TIMING), `row ${row}: ${what}`);
      }
    }
  });

  it('has something to look at in each row', () => {
    for (const { row, proof, times = {}, amounts = {}, never } of FAULT_ROWS) {
      if (typeof proof !== 'string') continue;
      assert.ok(Object.keys({ ...times, ...amounts }).length + never.length > 0, `row ${row}`);
    }
  });
});

describe('a bound', () => {
  it('is a sum of constants, numbers of milliseconds or seconds, and multiples', () => {
    assert.equal(boundMs('T', TIMING), 3000);
    assert.equal(boundMs('T-I', TIMING), 2000);
    assert.equal(boundMs('2*CT+CI+eps', TIMING), 5500);
    assert.equal(boundMs('1.2s + 100ms', TIMING), 1300);
  });

  it('with another constant is an error', () => {
    assert.throws(() => boundMs('T+X', TIMING), /no constant of time is called X/);
  });

  it('is shown with blanks between its terms', () => {
    assert.equal(boundText(['T-I', 'T+eps']), 'T - I .. T + eps');
    assert.equal(boundText([undefined, '1s']), '<= 1s');
  });
});

describe('the closing table', () => {
  const result = { row: 1, waitedMs: 0, amounts: {}, never: { 'sessions ended': 0 } } as const;

  it('shows least, middle and greatest, and the verdict', () => {
    const text = closingTable([ROW], [{ ...result, verdict: 'proven', times: { told: [2900, 2100, 2500] } }]);
    assert.match(text, /^1 +a fault +proven$/m);
    assert.match(text, /told +T - I \.\. T \+ eps +2\.10 s \/ 2\.50 s \/ 2\.90 s$/m);
    assert.match(text, /sessions ended +0 +0$/m);
    assert.match(text, /proven 1, failed 0, invalid 0/);
  });

  it('shows what failed, with the reason, and what did not run', () => {
    const text = closingTable([ROW], [{ ...result, verdict: 'failed', reason: 'too late', times: {} }]);
    assert.match(text, /FAILED$/m);
    assert.match(text, /^ +too late$/m);
    assert.equal(verdictOf(ROW, undefined), 'not run');
  });

  it('names the test of another suite', () => {
    const elsewhere = { ...ROW, proof: { by: 'make test ONLY=x', test: 'y' } };
    assert.equal(verdictOf(elsewhere, undefined), 'proven by make test ONLY=x');
  });
});
