import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { play } from '../support/simulation/scenario.js';

const FOLDER = 'test/scenarios';
const files = readdirSync(FOLDER).filter((file) => file.endsWith('.txt'));

describe('scenarios on a simulated network', () => {
  it('are there', () => {
    assert.ok(files.length > 0);
  });

  for (const file of files) {
    const recorded = readFileSync(join(FOLDER, file), 'utf8');
    const [title = ''] = recorded.split('\n');
    // UPDATE=1 records what has changed; the difference is reviewed like any other change.
    it(`${file}: ${title.replace(/^#\s*/, '')}`, () => {
      assert.equal(play(recorded), recorded);
    });
  }
});
