import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { describeInstance, describeState } from '../../../../src/core/instance/describe.js';
import { ATTRIBUTE_BITS, type InstanceAttributes } from '../../../../src/core/protocol/attributes.js';

const PRIMARY = { state: 'up', bits: ATTRIBUTE_BITS.primary, timeline: 3, text: '' } as InstanceAttributes;
const OPEN = { ...PRIMARY, bits: ATTRIBUTE_BITS.primary | ATTRIBUTE_BITS.accepting };

describe('an instance in words', () => {
  it('is up when it takes connections, and more than that is said when it does not', () => {
    assert.equal(describeState(OPEN), 'up');
    assert.equal(describeState(PRIMARY), 'up, but takes no new connections');
    assert.equal(describeState({ ...PRIMARY, state: 'down' }), 'down');
  });

  it('has role, timeline, whether it takes connections, and its own words', () => {
    assert.equal(describeInstance(OPEN), 'primary, timeline 3, accepting connections');
    assert.equal(
      describeInstance({ ...PRIMARY, bits: 0, timeline: 0, text: 'the instance is not running' }),
      'role unknown, not accepting connections, the instance is not running',
    );
  });
});
