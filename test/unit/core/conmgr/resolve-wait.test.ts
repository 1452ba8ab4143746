import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Session } from '../../../../src/core/conmgr/sessions.js';
import { configOf, linkedCore, WRITER } from './linked-core.js';

const WAIT_MS = 10_000;

describe('the end of resolve_wait', () => {
  it('refuses those who are due, in their order, and looks at no other but the next', () => {
    const core = linkedCore(0);
    core.reconfigure({ ...configOf(0), resolveWaitMs: WAIT_MS }, 0);
    for (let id = 1; id <= 5; id += 1) assert.deepEqual(core.ask(id, WRITER, id), [{ do: 'changed' }]);
    const looked: number[] = [];
    const waiting = core.sessions.waiting.bind(core.sessions);
    core.sessions.waiting = function* (): Generator<Session, void, void> {
      for (const session of waiting()) {
        looked.push(session.id);
        yield session;
      }
    };
    const refused = core
      .wake(WAIT_MS + 2)
      .flatMap((effect) => (effect.do === 'refuse' ? [effect.session] : []));
    assert.deepEqual(refused, [1, 2]);
    assert.deepEqual(looked, [1, 2, 3]);
    assert.deepEqual(
      [...core.sessions.all()].map(({ id }) => id),
      [3, 4, 5],
    );
  });
});
