import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { inTree } from '../../support/tree.js';
import { EDITS } from '../../system/harness/next-version.js';

describe('the next version, which tests of upgrades make of this tree by edits', () => {
  for (const [file, text] of EDITS) {
    it(`has one place in ${file} for ${text.trim()}`, () => {
      assert.equal(readFileSync(inTree(file), 'utf8').split(text).length - 1, 1);
    });
  }
});
