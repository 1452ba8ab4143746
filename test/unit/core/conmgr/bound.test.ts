import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { linkedCore, PRIMARY, runOn, tell, toldTo, WRITER } from './linked-core.js';

describe('BOUND', () => {
  it('is judged for this session alone: its cost does not grow with the number of those attached', () => {
    const core = linkedCore(0);
    tell(core, 0, PRIMARY, 0);
    for (let id = 1; id <= 3; id += 1) core.ask(id, WRITER, 0);
    core.sessions.of = () => assert.fail('it looks at the sessions of the whole instance');
    for (let id = 1; id <= 3; id += 1) assert.deepEqual(toldTo(id, core.bound(id, 0, '127.0.0.1', id)), []);
    assert.equal(core.sessions.countOf(0), 3);
  });

  it('to a primary whose conflict with a newer one has been settled meanwhile is answered with DOWN', () => {
    const core = linkedCore(0, 1);
    tell(core, 0, PRIMARY, 0);
    core.ask(1, WRITER, 0);
    core.ask(2, WRITER, 0);
    core.bound(2, 0, '127.0.0.1', 2);
    tell(core, 1, { ...PRIMARY, timeline: 2 }, 1000);
    assert.deepEqual(toldTo(1, core.bound(1, 0, '127.0.0.1', 1)), []);
    for (let now = 5000; now <= 20_000; now += 5000) {
      tell(core, 0, PRIMARY, now);
      tell(core, 1, { ...PRIMARY, timeline: 2 }, now);
    }
    core.ask(3, { ...WRITER, attach: 0 }, 20_000);
    const ended = runOn(core, 21_000);
    assert.equal(toldTo(1, ended).length, 1);
    assert.equal(toldTo(2, ended).length, 1);
    const [down] = toldTo(3, core.bound(3, 0, '127.0.0.1', 3));
    assert.deepEqual(
      { ...down, view: 0, text: '' },
      {
        kind: 'down',
        view: 0,
        instance: 0,
        action: 'drop',
        reason: 'conflict with a newer primary',
        text: '',
      },
    );
  });
});
