import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { missingRows } from '../../../../src/core/fsm.js';
import {
  type LossEffect,
  type LossEvent,
  type LossSettings,
  type LossState,
  lossWakeAt,
  newLoss,
} from '../../../../src/core/terminator/loss.js';
import { LOSS_MACHINE, stepLoss } from '../../../../src/core/terminator/loss-table.js';
import type { PassResult, SqlSession } from '../../../../src/core/terminator/pass.js';
import { type MonotonicMs, NEVER } from '../../../../src/core/time.js';

const GRACE_MS = 10_000;
const REPEAT_MS = 60_000;
const SETTINGS: LossSettings = {
  conmgrId: 'a'.repeat(32),
  address: '10.0.0.1',
  departure: 'closed',
  text: 'reset',
  graceMs: GRACE_MS,
  logOnly: false,
  repeatForMs: REPEAT_MS,
};

function session(pid: number, fields: Partial<SqlSession> = {}): SqlSession {
  return {
    pid,
    backendStart: '2026-11-21 09:30:00+00',
    clientAddr: '10.0.0.1',
    clientPort: 40_000,
    user: 'app',
    database: 'shop',
    application: 'psql',
    backendType: 'client backend',
    waitEvent: undefined,
    superuser: false,
    stateAgeMs: 1000,
    ...fields,
  };
}

const NOTHING: PassResult = {
  serverTime: '2026-11-21 09:31:00+00',
  ended: [],
  deferred: [],
  replication: [],
  forbidden: [],
  prepared: 0,
};
const WAITING = session(7, { waitEvent: 'SyncRep' });

const woke = (fields: Partial<Extract<LossEvent, { type: 'woke' }>> = {}): LossEvent => ({
  type: 'woke',
  lateMs: 0,
  paused: false,
  otherLink: false,
  ...fields,
});

const EVENTS: Readonly<Record<string, LossEvent>> = {
  woke: woke(),
  'woke late': woke({ lateMs: GRACE_MS / 2 }),
  'woke, another link alive': woke({ otherLink: true }),
  'woke, paused': woke({ paused: true }),
  resumed: { type: 'resumed' },
  back: { type: 'back' },
  'address back': { type: 'addressBack' },
  passed: { type: 'passed', result: { ...NOTHING, ended: [session(1)] } },
  'passed, one waits': { type: 'passed', result: { ...NOTHING, deferred: [WAITING] } },
  'pass failed': { type: 'passFailed', text: 'no connection' },
  'instance down': { type: 'instanceDown' },
};

function after(state: LossState, ...events: readonly (readonly [LossEvent, MonotonicMs])[]): LossState {
  return events.reduce((now, [event, at]) => stepLoss(now, event, at).state, state);
}

const FINAL = newLoss({ ...SETTINGS, graceMs: 0 }, 0);
const PASSING = after(FINAL, [woke(), 0]);
const RESTING = after(PASSING, [EVENTS['passed']!, 10]);
const RESTING_DEFERRED = after(PASSING, [EVENTS['passed, one waits']!, 10]);
const HELD = after(FINAL, [woke({ paused: true }), 0]);

/** States in words, with the moment at which the event comes. */
const STATES: Readonly<Record<string, readonly [LossState, MonotonicMs]>> = {
  'in grace': [newLoss(SETTINGS, 0), 100],
  'grace over': [newLoss(SETTINGS, 0), GRACE_MS],
  final: [FINAL, 0],
  'final, log only': [newLoss({ ...SETTINGS, graceMs: 0, logOnly: true }, 0), 0],
  held: [HELD, 500],
  'first pass': [PASSING, 10],
  'narrow pass': [after(PASSING, [EVENTS['back']!, 5]), 10],
  resting: [RESTING, 500],
  'resting, pass due': [RESTING, 1010],
  'resting, nobody can be left': [RESTING, 10 + REPEAT_MS],
  'resting, one waits': [RESTING_DEFERRED, 500],
  'resting, one waits, pass due': [RESTING_DEFERRED, 1010],
  'resting, only those who wait': [RESTING_DEFERRED, 10 + REPEAT_MS],
  over: [after(RESTING, [EVENTS['back']!, 20]), 100],
};

function inWords(effect: LossEffect): string {
  if (effect.do !== 'pass') return effect.do;
  return effect.only === undefined ? 'pass over all' : `pass over ${effect.only.size}`;
}

type Outcome = readonly [phase: string, ...effects: readonly string[]];

const OVER: Outcome = ['over', 'reportOver'];
const NARROW_IN_PASS: Readonly<Record<string, Outcome>> = {
  passed: ['over', 'reportPass', 'reportOver'],
  'passed, one waits': ['resting', 'reportPass', 'reportDeferred'],
  'pass failed': ['resting', 'reportFailure'],
  'instance down': OVER,
};
const DUE: Readonly<Record<string, Outcome>> = {
  woke: ['passing', 'pass over all'],
  'woke late': ['passing', 'pass over all'],
  'woke, another link alive': ['over', 'reportOmitted'],
  'woke, paused': ['waiting', 'reportHeld'],
  back: ['over', 'reportBack'],
};
const WAKES = ['woke', 'woke late', 'woke, another link alive'];
const each = (names: readonly string[], outcome: Outcome): Readonly<Record<string, Outcome>> =>
  Object.fromEntries(names.map((name) => [name, outcome]));

/** What each event does in each state. An event that is not listed changes neither phase nor has an effect. */
const EXPECTED: Readonly<Record<string, Readonly<Record<string, Outcome>>>> = {
  'in grace': { back: ['over', 'reportBack'] },
  'grace over': { ...DUE, 'woke late': ['waiting', 'reportDoubt'] },
  final: DUE,
  'final, log only': {
    ...DUE,
    ...each(['woke', 'woke late', 'woke, paused'], ['over', 'reportLogOnly']),
  },
  held: { back: ['over', 'reportBack'] },
  'first pass': {
    ...NARROW_IN_PASS,
    passed: ['resting', 'reportPass'],
  },
  'narrow pass': NARROW_IN_PASS,
  resting: { ...each(['back', 'address back', 'instance down'], OVER) },
  'resting, pass due': {
    ...each(WAKES, ['passing', 'pass over all']),
    ...each(['back', 'address back', 'instance down'], OVER),
  },
  'resting, nobody can be left': {
    ...each([...WAKES, 'back', 'address back', 'instance down'], OVER),
  },
  'resting, one waits': { 'instance down': OVER },
  'resting, one waits, pass due': { ...each(WAKES, ['passing', 'pass over all']), 'instance down': OVER },
  'resting, only those who wait': { ...each(WAKES, ['passing', 'pass over 1']), 'instance down': OVER },
  over: {},
};

describe('a loss', () => {
  it('has a row for every state and event', () => {
    assert.deepEqual(missingRows(LOSS_MACHINE), []);
  });

  for (const [stateName, [state, now]] of Object.entries(STATES)) {
    for (const [eventName, event] of Object.entries(EVENTS)) {
      const expected = EXPECTED[stateName]?.[eventName] ?? [state.phase];
      it(`${stateName} x ${eventName}: ${expected.join(', ')}`, () => {
        const next = stepLoss(state, event, now);
        assert.deepEqual([next.state.phase, ...next.effects.map(inWords)], expected);
      });
    }
  }

  it('a final loss is due at once, one with grace when the grace is over', () => {
    assert.equal(lossWakeAt(newLoss({ ...SETTINGS, graceMs: 0 }, 50)), 50);
    assert.equal(lossWakeAt(newLoss(SETTINGS, 50)), 50 + GRACE_MS);
  });

  it('a late process gives the conmgr the time by which it was late, once', () => {
    const doubting = after(newLoss(SETTINGS, 0), [woke({ lateMs: 4000 }), GRACE_MS + 4000]);
    assert.equal(lossWakeAt(doubting), GRACE_MS + 8000);
    assert.equal(after(doubting, [woke({ lateMs: 4000 }), GRACE_MS + 8000]).phase, 'passing');
  });

  it('what was held is due when the terminator is resumed', () => {
    assert.equal(lossWakeAt(HELD), NEVER);
    const resumed = after(HELD, [{ type: 'resumed' }, 900]);
    assert.equal(lossWakeAt(resumed), 900);
    assert.equal(after(resumed, [woke(), 900]).phase, 'passing');
  });

  it('passes after the first leave sessions alone that began later than it', () => {
    const [first] = stepLoss(FINAL, woke(), 0).effects;
    assert.ok(first?.do === 'pass' && first.notAfter === undefined);
    const [second] = stepLoss(RESTING, woke(), 1010).effects;
    assert.ok(second?.do === 'pass' && second.notAfter === NOTHING.serverTime);
  });

  it('a session that waits is reported when it is found and once a minute', () => {
    let state = RESTING_DEFERRED;
    const reports: number[] = [];
    for (let now = 1010; now < 200_000; now += 1000) {
      state = after(state, [woke(), now]);
      const next = stepLoss(state, EVENTS['passed, one waits']!, now);
      if (next.effects.some((effect) => effect.do === 'reportDeferred')) reports.push(now);
      state = next.state;
    }
    assert.deepEqual(reports, [60_010, 120_010, 180_010]);
  });

  it('sessions of a role without name are authenticating and are not reported as forbidden', () => {
    const forbidden = [session(3), session(4, { user: undefined })];
    const event: LossEvent = { type: 'passed', result: { ...NOTHING, forbidden } };
    const first = stepLoss(PASSING, event, 10);
    const report = (effects: readonly LossEffect[]): readonly number[] =>
      effects.flatMap((effect) => (effect.do === 'reportPass' ? effect.forbidden.map(({ pid }) => pid) : []));
    assert.deepEqual(report(first.effects), [3]);
    const again = stepLoss(after(first.state, [woke(), 1010]), event, 1020);
    assert.deepEqual(report(again.effects), [], 'and each only once');
  });

  it('a failing pass is repeated every second and reported at once and once a minute', () => {
    let state = PASSING;
    const reports: number[] = [];
    for (let now = 0; now < 130_000; now += 1000) {
      const next = stepLoss(state, EVENTS['pass failed']!, now);
      if (next.effects.some((effect) => effect.do === 'reportFailure')) reports.push(now);
      assert.equal(lossWakeAt(next.state), now + 1000);
      state = after(next.state, [woke(), now + 1000]);
    }
    assert.deepEqual(reports, [0, 60_000, 120_000]);
  });

  it('whatever happens, no pass begins after the conmgr was back in its grace', () => {
    const events = fc.array(fc.tuple(fc.constantFrom(...Object.keys(EVENTS)), fc.nat(5000)), {
      maxLength: 50,
    });
    fc.assert(
      fc.property(events, (schedule) => {
        let now = 0;
        let state = after(newLoss(SETTINGS, 0), [{ type: 'back' }, 0]);
        for (const [name, passed] of schedule) {
          now += passed;
          const next = stepLoss(state, EVENTS[name]!, now);
          state = next.state;
          assert.deepEqual(next.effects, []);
        }
      }),
    );
  });

  it('whatever happens, a loss that is not over and not held wakes up again or awaits its pass', () => {
    const events = fc.array(fc.tuple(fc.constantFrom(...Object.keys(EVENTS)), fc.nat(30_000)), {
      maxLength: 60,
    });
    fc.assert(
      fc.property(events, (schedule) => {
        let now = 0;
        let state = newLoss(SETTINGS, 0);
        for (const [name, passed] of schedule) {
          now += passed;
          state = stepLoss(state, EVENTS[name]!, now).state;
          if (state.phase === 'resting' || (state.phase === 'waiting' && !state.data.held)) {
            assert.ok(lossWakeAt(state) < NEVER);
          }
        }
      }),
    );
  });
});
