import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { kinds, linkedCore, PRIMARY, tell } from './linked-core.js';

describe('what status shows', () => {
  it('is said to have changed when only the timeline is another', () => {
    const core = linkedCore(0);
    tell(core, 0, PRIMARY, 1);
    assert.ok(kinds(tell(core, 0, { ...PRIMARY, version: 2, timeline: 2 }, 2)).includes('changed'));
  });

  it('is not said to have changed when only the position moved', () => {
    const core = linkedCore(0);
    tell(core, 0, PRIMARY, 1);
    assert.ok(!kinds(tell(core, 0, { ...PRIMARY, version: 2, position: 2n }, 2)).includes('changed'));
  });
});
