import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { type Block, pageOf, readBlocks, readResults, recordResults } from '../../../bench/results.js';
import { temporaryDirectory } from '../../support/tree.js';

const block = (title: string, measured: string, met = true): Block => ({
  title,
  columns: ['median'],
  rows: [['ours', measured]],
  targets: [['under 5 ms', met, measured]],
  points: {},
  machine: '2 cores',
});

describe('the figures of a run', () => {
  it('replace those of the same titles and leave the others', () => {
    const path = join(temporaryDirectory(), 'results.json');
    recordResults(path, [block('one', '1 ms'), block('two', '2 ms')]);
    recordResults(path, [block('two', '3 ms')]);
    assert.deepEqual(readResults(path), { one: block('one', '1 ms'), two: block('two', '3 ms') });
  });

  it('are read from what the benchmarks appended, of which there may be nothing', () => {
    const path = join(temporaryDirectory(), 'lines');
    assert.deepEqual(readBlocks(path), []);
    writeFileSync(path, `${JSON.stringify(block('one', '1 ms'))}\n${JSON.stringify(block('two', '2 ms'))}\n`);
    assert.deepEqual(readBlocks(path), [block('one', '1 ms'), block('two', '2 ms')]);
  });

  it('end with one page: every target, what was measured, and how many were met', () => {
    const page = pageOf([block('one', '1 ms'), block('two', '9 ms', false)]);
    assert.match(page, /one\n {2}met {5}under 5 ms: 1 ms/);
    assert.match(page, /two\n {2}MISSED {2}under 5 ms: 9 ms/);
    assert.match(page, /1 of 2 targets met$/);
  });
});
