import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { ConmgrCore } from '../../src/core/conmgr/core.js';
import type { ConmgrEffect } from '../../src/core/conmgr/effects.js';
import { kinds, linkedCore, PRIMARY, runOn, tell, toldTo, WRITER } from '../unit/core/conmgr/linked-core.js';

/** A core with a session that is bound to its one instance. */
function withSession(): ConmgrCore {
  const core = linkedCore(0);
  tell(core, 0, PRIMARY, 0);
  core.ask(1, WRITER, 0);
  core.bound(1, 0, '127.0.0.1', 4711);
  return core;
}

/** The effects of the step in which session 1 is told that its instance is lost. */
function lossOf(steps: readonly (readonly ConmgrEffect[])[]): readonly ConmgrEffect[] {
  const found = steps.find((effects) => toldTo(1, effects).some(({ kind }) => kind === 'down'));
  assert.ok(found !== undefined, 'the session is told');
  return found;
}

describe('a loss is told to the sessions before anything else is done', () => {
  it('when no packet comes any more: before the link is given up and before it is logged', () => {
    const core = withSession();
    const steps: (readonly ConmgrEffect[])[] = [];
    for (let at = core.wakeAt(); steps.length < 20; at = core.wakeAt()) steps.push(core.wake(at));
    const effects = lossOf(steps);
    assert.equal(effects[0]?.do, 'tell');
    assert.deepEqual(new Set(kinds(effects.slice(1))), new Set(['log', 'disconnect', 'changed']));
  });

  it('when the watchdog says that the instance is down: before it is logged', () => {
    const core = withSession();
    const effects = tell(core, 0, { ...PRIMARY, state: 'down', bits: 0 }, 100);
    const [first] = effects.filter((effect) => effect.do !== 'log' || effect.message !== 'roleChanged');
    assert.equal(first?.do, 'tell');
    assert.equal(toldTo(1, effects)[0]?.kind, 'down');
  });

  it('when neither watchdog nor postmaster answers: before anything is tried anew', () => {
    const core = withSession();
    core.link(0, { type: 'closed', text: 'connection reset by peer' }, 100);
    const effects = core.probed(0, false, 'connection refused', 110);
    assert.equal(effects[0]?.do, 'tell');
    assert.equal(toldTo(1, effects)[0]?.kind, 'down');
    assert.equal(toldTo(1, runOn(core, 60_000)).length, 0, 'once');
  });
});
