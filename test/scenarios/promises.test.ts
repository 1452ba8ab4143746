import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Plan, planOf, RECOVERY } from '../support/simulation/plan.js';
import { PROMISES, type PromiseName } from '../support/simulation/promises.js';
import { type Breach, runPlan } from '../support/simulation/run.js';
import { play } from '../support/simulation/scenario.js';
import { scenarioOf, shrink } from '../support/simulation/shrink.js';
import { FLAWS, type Flaw } from '../support/simulation/world.js';

/** Which promise each planted defect breaks. */
const BREAKS: Readonly<Record<Flaw, PromiseName>> = {
  'silent-conmgr': 'detection',
  'slow-watchdog': 'crash',
  'data-path': 'data path',
  'deaf-probe': 'control plane',
  'hasty-watchdog': 'false alarm',
  'contagious-garbage': 'bad input',
  'boundless-terminator': 'wrong victim',
  'restart-as-stop': 'planned work',
  'every-primary': 'two primaries',
  'older-primary': 'newest primary',
  'no-reconnect': 'recovery',
};
const MOST_SEEDS = 60;

function withFlaw(seed: number, flaw: Flaw): Plan {
  const [first = '', ...rest] = planOf(seed);
  return [first, `flaw ${flaw}`, ...rest];
}

/** The first schedule in which a planted defect breaks a promise. */
function firstBreach(flaw: Flaw, promise: PromiseName): { readonly plan: Plan; readonly breach: Breach } {
  for (let seed = 1; seed <= MOST_SEEDS; seed += 1) {
    const plan = withFlaw(seed, flaw);
    const { breach } = runPlan(plan, { notes: false });
    if (breach?.promise === promise) return { plan, breach };
  }
  throw new Error(`${MOST_SEEDS} schedules with ${flaw} break no "${promise}"`);
}

describe('every promise can be seen to be broken', () => {
  it('there is a defect for each', () => {
    assert.deepEqual(Object.values(BREAKS).sort(), Object.keys(PROMISES).sort());
  });

  for (const flaw of FLAWS) {
    it(`${flaw} breaks "${BREAKS[flaw]}"`, () => {
      firstBreach(flaw, BREAKS[flaw]);
    });
  }
});

describe('a schedule that breaks a promise', () => {
  const { plan, breach } = firstBreach('every-primary', 'two primaries');
  const small = shrink(plan);

  it('is made small: two primaries need two servers, a conmgr and a promotion', () => {
    assert.ok(plan.length > 40, `${plan.length} lines are no random schedule`);
    assert.deepEqual(
      small.map((line) => line.split(' ')[0]).sort(),
      ['advance', 'conmgr', 'flaw', 'promises', 'promote', 'server', 'server'],
      small.join('\n'),
    );
  });

  it('still breaks the same promise, and not without each of its lines', () => {
    assert.equal(runPlan(small).breach?.promise, breach.promise);
    for (const at of small.keys()) {
      const without = small.filter((_, index) => index !== at);
      const left = (() => {
        try {
          return runPlan(without).breach?.promise;
        } catch {
          return undefined;
        }
      })();
      assert.notEqual(left, breach.promise, `it needs no "${small[at]}"`);
    }
  });

  it('is a scenario that fails in the same way when it is played', () => {
    const text = scenarioOf(small, 'Two primaries are offered.');
    assert.throws(() => play(text), /two primaries: app\d offers \d and \d/);
  });

  it('is a scenario that passes once the defect is mended', () => {
    const text = scenarioOf(
      small.filter((line) => !line.startsWith('flaw')),
      'One primary is offered.',
    );
    assert.equal(play(play(text)), play(text));
  });

  it('is made small in the same way again', () => {
    assert.deepEqual(shrink(plan), small);
  });

  it('that all recover: it keeps a fault, its mending and the time to recover', () => {
    const shrunk = shrink(firstBreach('no-reconnect', 'recovery').plan);
    assert.deepEqual(shrunk.slice(-RECOVERY.length), RECOVERY);
    const sound = shrunk.filter((line) => !line.startsWith('flaw'));
    assert.equal(runPlan(sound).breach, undefined, shrunk.join('\n'));
  });

  it('must break one', () => {
    assert.throws(() => shrink(planOf(1)), /breaks no promise/);
  });
});
