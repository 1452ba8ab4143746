import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { attributeBits } from '../../../../src/core/protocol/attributes.js';
import { encodeConmgrMessage, MAX_FIRST_PHASE_BYTES } from '../../../../src/core/protocol/first-phase.js';
import { linkedCore, PRIMARY, tell, toldTo, WRITER } from './linked-core.js';

describe('candidates of a large set', () => {
  it('are as many as a client takes in one message', () => {
    const numbers = Array.from({ length: 100 }, (_none, number) => number);
    const core = linkedCore(...numbers);
    const standby = { ...PRIMARY, bits: attributeBits('accepting', 'standby') };
    for (const number of numbers) tell(core, number, standby, 0);
    const [, told] = toldTo(1, core.ask(1, { ...WRITER, target: 'any' }, 0));
    assert.ok(told?.kind === 'candidates');
    assert.equal(told.candidates.length, 31);
    assert.ok(encodeConmgrMessage(told).length <= MAX_FIRST_PHASE_BYTES);
  });
});
