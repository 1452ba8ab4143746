import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { planOf } from '../support/simulation/plan.js';
import { runPlan } from '../support/simulation/run.js';
import { breachText, scenarioOf } from '../support/simulation/shrink.js';

/** `make simulate` plays more than these, and others by SEED. */
const COUNT = 150;

describe('random misfortunes of a cluster', () => {
  it(`break no promise, and all recover (${COUNT} schedules)`, () => {
    for (let seed = 1; seed <= COUNT; seed += 1) {
      const plan = planOf(seed);
      const { breach } = runPlan(plan, { notes: false });
      assert.equal(breach, undefined, breach && `${breachText(breach)}\n${scenarioOf(plan, `seed ${seed}`)}`);
    }
  });

  it('the same seed gives the same history', () => {
    const history = () => runPlan(planOf(4711)).notes;
    assert.deepEqual(history(), history());
  });
});
