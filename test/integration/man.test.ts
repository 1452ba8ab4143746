/** The manual pages as mandoc(1) sees and prints them. Where it is not installed, these tests say so. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, it } from 'node:test';
import { renderPage } from '../../packaging/manual/places.js';
import { inTree, temporaryDirectory } from '../support/tree.js';

const missing = spawnSync('mandoc', ['-Tlint', '/dev/null']).error;
const skip =
  missing === undefined ? false : `there is no mandoc (${missing.message}): apt-get install mandoc`;

/** A terminal of 80 columns, less the margin that man(1) leaves. */
const WIDTH = 78;

describe('mandoc', { skip }, () => {
  let directory = '';
  const pages = readdirSync(inTree('man')).map((file) => file.replace(/\.in$/, ''));

  before(() => {
    directory = temporaryDirectory('man-');
    for (const page of pages)
      writeFileSync(
        join(directory, page),
        renderPage(readFileSync(inTree(`man/${page}.in`), 'utf8'), '1.2.3'),
      );
  });

  for (const page of pages) {
    it(`has nothing to warn of in ${page}`, () => {
      const { stdout, stderr } = spawnSync('mandoc', ['-Tlint', '-W', 'warning', page], {
        cwd: directory,
        encoding: 'utf8',
      });
      assert.equal(stdout + stderr, '');
    });

    it(`prints ${page} without a line that is too long`, () => {
      const { stdout, status } = spawnSync('mandoc', ['-Tutf8', '-O', `width=${WIDTH}`, page], {
        cwd: directory,
        encoding: 'utf8',
      });
      assert.equal(status, 0);
      // Bold is a letter printed twice, over itself.
      const lines = stdout.split('\n').map((line) => line.replace(/.\x08/gu, ''));
      assert.ok(lines.length > 50);
      assert.deepEqual(
        lines.filter((line) => [...line].length > WIDTH),
        [],
      );
    });
  }

  it('finds what is wrong in a page', () => {
    const page = join(directory, 'wrong.1');
    writeFileSync(page, renderPage('.Dd November 21, 2026\n.Dt WRONG 1\n.Os\n.Sh NAME\n.Nope\n', '1.2.3'));
    assert.notEqual(spawnSync('mandoc', ['-Tlint', '-W', 'warning', page]).status, 0);
  });
});
