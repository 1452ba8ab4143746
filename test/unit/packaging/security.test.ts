import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { inTree } from '../../support/tree.js';

/** Rows of the table under "Threats": what stops it, and the test. */
function threats(): string[][] {
  const [, section = ''] = readFileSync(inTree('docs/security.md'), 'utf8').split('\n## Threats\n');
  const [table = ''] = section.split('\n## ');
  return table
    .split('\n')
    .filter((line) => line.startsWith('| ') && !line.startsWith('| threat '))
    .map((line) => line.split(' | ').map((cell) => cell.replace(/^\| | \|$/g, '')));
}

/** Whether a file has a test of this name, however its quotes are written. */
function hasTest(file: string, name: string): boolean {
  const text = readFileSync(inTree(file), 'utf8');
  return ["'", '"'].some((quote) => text.includes(`it(${quote}${name}${quote},`));
}

describe('docs/security.md', () => {
  it('has a table of threats', () => {
    assert.ok(threats().length > 30);
  });

  it('names a test for each threat, and each of them exists', () => {
    for (const cells of threats()) {
      assert.equal(cells.length, 3, cells.join(' | '));
      const [, file = '', name = ''] = /^`(test\/[^`]+\.test\.ts)`: (.+)$/.exec(cells[2] ?? '') ?? [];
      assert.ok(hasTest(file, name), `${file} has no test "${name}"`);
    }
  });

  it('a test that does not exist is noticed', () => {
    assert.equal(hasTest('test/unit/packaging/security.test.ts', 'of which there is none'), false);
    assert.equal(hasTest('test/unit/packaging/security.test.ts', 'has a table of threats'), true);
  });
});
