import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Machine, MissingRowError, missingRows, rowFor, rowsOf, step } from '../../../src/core/fsm.js';

type Phase = 'shut' | 'open';
type Event = { readonly type: 'push'; readonly force: number } | { readonly type: 'lock' };
interface Data {
  readonly pushes: number;
}
type Effect = { readonly do: 'creak'; readonly at: number };

const row = rowsOf<Phase, Data, Event, Effect>();

const DOOR: Machine<Phase, Data, Event, Effect> = {
  name: 'door',
  phases: ['shut', 'open'],
  events: ['push', 'lock'],
  rows: [
    row({
      from: ['shut'],
      on: 'push',
      to: 'open',
      why: 'A strong push opens it.',
      when: (_data, event) => event.force > 1,
      act: (data, _event, now) => ({
        data: { pushes: data.pushes + 1 },
        effects: [{ do: 'creak', at: now }],
      }),
    }),
    row({ from: ['shut', 'open'], on: 'push', to: 'same', why: 'A weak one does not.' }),
    row({ from: ['shut'], on: 'lock', to: 'same', why: 'A door that is shut can be locked.' }),
  ],
};

describe('interpreter of the state machines', () => {
  it('takes the first row that fits phase, event and condition', () => {
    const strong = step(DOOR, { phase: 'shut', data: { pushes: 0 } }, { type: 'push', force: 2 }, 7);
    assert.deepEqual(strong.state, { phase: 'open', data: { pushes: 1 } });
    assert.deepEqual(strong.effects, [{ do: 'creak', at: 7 }]);
    const weak = step(DOOR, { phase: 'shut', data: { pushes: 0 } }, { type: 'push', force: 1 }, 7);
    assert.equal(weak.state.phase, 'shut');
  });

  it('leaves data as they were and yields no effect where a row says nothing of them', () => {
    const data = { pushes: 3 };
    const after = step(DOOR, { phase: 'open', data }, { type: 'push', force: 9 }, 0);
    assert.equal(after.state.data, data);
    assert.deepEqual(after.effects, []);
  });

  it('never changes the state it was given', () => {
    const state = Object.freeze({ phase: 'shut' as const, data: Object.freeze({ pushes: 0 }) });
    step(DOOR, state, { type: 'push', force: 2 }, 0);
    assert.deepEqual(state, { phase: 'shut', data: { pushes: 0 } });
  });

  it('names machine, phase and event when the table has no row', () => {
    assert.throws(
      () => step(DOOR, { phase: 'open', data: { pushes: 0 } }, { type: 'lock' }, 0),
      (error) => error instanceof MissingRowError && /door: .*"lock".*"open"/.test(error.message),
    );
    assert.equal(rowFor(DOOR, { phase: 'open', data: { pushes: 0 } }, { type: 'lock' }, 0), undefined);
  });

  it('lists the pairs of phase and event for which no row could ever fit', () => {
    assert.deepEqual(missingRows(DOOR), ['open x lock']);
  });
});
