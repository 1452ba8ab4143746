import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Schedule } from '../support/simulation/schedule.js';

/** More than the usual number, and others than the usual ones, by environment: SCHEDULES=10000 SEED=77. */
const COUNT = Number(process.env['SCHEDULES'] ?? 150);
const FIRST_SEED = Number(process.env['SEED'] ?? 1);

describe('random misfortunes of a cluster', () => {
  it(`nobody is told or ended without a cause, the dead are found in time, and all recover (${COUNT} schedules)`, () => {
    // A violation names its seed and what came before it.
    for (let seed = FIRST_SEED; seed < FIRST_SEED + COUNT; seed += 1) new Schedule(seed).run();
  });

  it('the same seed gives the same history', () => {
    const history = () => {
      const schedule = new Schedule(4711);
      schedule.run();
      return schedule.world.notes;
    };
    assert.deepEqual(history(), history());
  });
});
