import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { missingRows, rowFor } from '../../../../src/core/fsm.js';
import {
  CHECK_TIMEOUT_MS,
  HEALTH_MACHINE,
  type HealthState,
  healthWakeAt,
  stepHealth,
} from '../../../../src/core/link/health.js';
import { HEALTH_MEANING } from '../../../../src/core/link/health-meaning.js';
import { type MonotonicMs, NEVER } from '../../../../src/core/time.js';
import {
  drive,
  EVENTS,
  goodbyeOf,
  inWords,
  linkLost,
  probed,
  SETTINGS,
  STATES,
  type StateName,
  WOKE,
} from './health-states.js';

type Outcome = readonly [phase: string, ...effects: readonly string[]];

const each = (names: readonly string[], outcome: Outcome): Readonly<Record<string, Outcome>> =>
  Object.fromEntries(names.map((name) => [name, outcome]));
const BACK: Readonly<Record<string, Outcome>> = { 'link up': ['monitored'] };
const ADOPTED: Readonly<Record<string, Outcome>> = { adopted: ['unmonitored'] };
const PROBE = 'probe within 1000';
const CHECK: Outcome = ['checking', PROBE];
const TIMED_OUT: Outcome = ['lost', 'drop sessions: heartbeat timeout', 'report lost: reset'];
/** Goodbyes that mean: the watchdog alone goes. */
const WATCHDOG_ALONE = ['stop', 'protocol', 'limit', 'instanceStopping', 'released'].map(
  (reason) => `goodbye ${reason}`,
);
const GOODBYES: Readonly<Record<string, Outcome>> = {
  ...each(WATCHDOG_ALONE, CHECK),
  'goodbye restart': ['grace', 'reportGrace'],
  'goodbye hostShutdown': ['leaving', 'reportLeaving', PROBE],
};
const AFTER_A_SECOND = [
  'woken after 1 s',
  'woken after 2 s',
  'woken after 2.5 s',
  'woken after 3 s',
  'woken after 60 s',
];
const silent = (phase: string, text: string): Readonly<Record<string, Outcome>> => ({
  ...BACK,
  'woken after 3 s': ['lost', 'drop sessions: heartbeat timeout', `report lost: ${text}`],
  'woken after 60 s': [phase, PROBE],
});

/** What each event does in each state. An event that is not listed changes neither phase nor has an effect. */
const EXPECTED: Readonly<Record<StateName, Readonly<Record<string, Outcome>>>> = {
  'not started': { ...BACK, ...ADOPTED },
  unseen: { ...BACK, ...ADOPTED, ...each(AFTER_A_SECOND, ['unseen', PROBE]) },
  'unseen, silent': { ...silent('unseen', 'neither watchdog nor postmaster answers'), ...ADOPTED },
  monitored: {
    ...GOODBYES,
    'link timed out': TIMED_OUT,
    'link closed': CHECK,
    'link broken by protocol': CHECK,
    'instance down': ['down', 'drop sessions: instance down', 'reportDown'],
  },
  down: {
    ...GOODBYES,
    'link timed out': TIMED_OUT,
    'link closed': ['lost', 'report lost: reset'],
    'link broken by protocol': ['lost', 'report lost: reset'],
    'instance runs': ['monitored', 'reportBack'],
  },
  checking: {
    ...BACK,
    'probe answered': ['unmonitored', 'reportUnmonitored'],
    'probe unanswered': ['lost', 'drop sessions: link closed', 'report lost: reset; refused'],
    'probe unanswered after 1 s': CHECK,
    ...each(AFTER_A_SECOND, CHECK),
  },
  'checking, nearly over': {
    ...BACK,
    'probe answered': ['unmonitored', 'reportUnmonitored'],
    'probe unanswered': ['lost', 'drop sessions: link closed', 'report lost: reset; refused'],
    'probe unanswered after 1 s': ['lost', 'drop sessions: link closed', 'report lost: reset; refused'],
    'woken after 1 s': [
      'lost',
      'drop sessions: link closed',
      'report lost: reset; postmaster did not answer',
    ],
    ...each(['woken after 2 s', 'woken after 2.5 s', 'woken after 3 s', 'woken after 60 s'], CHECK),
  },
  grace: {
    ...BACK,
    ...each(AFTER_A_SECOND, ['grace', PROBE]),
  },
  'grace, nearly over': {
    ...BACK,
    'woken after 2.5 s': CHECK,
    'woken after 3 s': CHECK,
    'woken after 60 s': ['grace', PROBE],
  },
  'grace, silent': silent('grace', 'postmaster did not answer while its watchdog was away'),
  unmonitored: { ...BACK, ...each(AFTER_A_SECOND, ['unmonitored', PROBE]) },
  'unmonitored, silent': silent('unmonitored', 'postmaster did not answer while its watchdog was away'),
  leaving: {
    ...BACK,
    'probe unanswered': ['lost', 'drop sessions: instance shutting down', 'report lost: bye'],
    'probe unanswered after 1 s': ['lost', 'drop sessions: instance shutting down', 'report lost: bye'],
  },
  'leaving, answered': {
    ...BACK,
    'probe unanswered': ['lost', 'drop sessions: instance shutting down', 'report lost: bye'],
    'probe unanswered after 1 s': ['lost', 'drop sessions: instance shutting down', 'report lost: bye'],
    ...each(['woken after 250 ms', ...AFTER_A_SECOND], ['leaving', PROBE]),
  },
  lost: BACK,
};

const NAMES = Object.keys(STATES) as StateName[];

describe('transition table of the health of an instance', () => {
  it('has a row for every event in every phase', () => {
    assert.deepEqual(missingRows(HEALTH_MACHINE), []);
  });

  it('is tested in every phase, with every event', () => {
    assert.deepEqual(
      [...new Set(NAMES.map((name) => STATES[name].phase))].sort(),
      [...HEALTH_MACHINE.phases].sort(),
    );
    assert.deepEqual(
      [...new Set(Object.values(EVENTS).map(([, event]) => event.type))].sort(),
      [...HEALTH_MACHINE.events].sort(),
    );
  });

  for (const name of NAMES) {
    for (const [what, [now, event]] of Object.entries(EVENTS)) {
      const [phase, ...effects] = EXPECTED[name][what] ?? [STATES[name].phase];
      const deeds = effects.length === 0 ? '' : ` (${effects.join('; ')})`;
      it(`${name}: ${what} -> ${phase}${deeds}`, () => {
        const stepped = stepHealth(STATES[name], event, now);
        assert.equal(stepped.state.phase, phase);
        assert.deepEqual(stepped.effects.map(inWords), effects);
      });
    }
  }

  it('has no row that is never taken because another stands before it', () => {
    const taken = new Set(
      NAMES.flatMap((name) =>
        Object.values(EVENTS).map(([now, event]) => rowFor(HEALTH_MACHINE, STATES[name], event, now)),
      ),
    );
    const shadowed = HEALTH_MACHINE.rows.filter((row) => !taken.has(row));
    assert.deepEqual(
      shadowed.map(({ from, on, why }) => `${from.join(', ')} x ${on}: ${why}`),
      [],
    );
  });

  it('gives each row a reason that is a sentence', () => {
    for (const { why } of HEALTH_MACHINE.rows) assert.match(why, /^[A-Z].*\.$/);
  });
});

/** Wakes a machine whenever it asks for it; a probe that goes out is answered after 10 ms, or never. */
function live(state: HealthState, to: MonotonicMs, answersUntil: MonotonicMs) {
  let current = state;
  let answerAt = NEVER;
  const log: string[] = [];
  for (;;) {
    const at = Math.min(healthWakeAt(current), answerAt);
    if (at > to) return { state: current, log };
    const event = at === answerAt ? probed(true) : WOKE;
    if (at === answerAt) answerAt = NEVER;
    const stepped = stepHealth(current, event, at);
    for (const effect of stepped.effects) {
      log.push(`${at} ${inWords(effect)}`);
      if (effect.do === 'probe' && at + 10 <= answersUntil) answerAt = at + 10;
    }
    current = stepped.state;
  }
}

describe('while the link is not up', () => {
  it('the postmaster is asked every heartbeat_interval, and answers keep the sessions', () => {
    const { state, log } = live(STATES.unmonitored, 60_000, NEVER);
    assert.equal(state.phase, 'unmonitored');
    assert.equal(log.length, 59);
    assert.deepEqual(log.slice(0, 3), [
      '1100 probe within 1000',
      '2100 probe within 1000',
      '3100 probe within 1000',
    ]);
  });

  it('heartbeat_timeout without an answer is the loss', () => {
    const { state, log } = live(STATES.unmonitored, 60_000, 5000);
    assert.equal(state.phase, 'lost');
    // The last answer came at 4110.
    assert.equal(log.at(-2), '7110 drop sessions: heartbeat timeout');
  });

  it('one refused probe is not yet a loss', () => {
    const { state } = drive(STATES.unmonitored, [1100, WOKE], [1110, probed(false)]);
    assert.equal(state.phase, 'unmonitored');
    assert.equal(healthWakeAt(state), 2100);
  });

  it('a probe may take as long as heartbeat_interval when that is more than a second', () => {
    const slow = {
      ...STATES.unmonitored,
      data: { ...STATES.unmonitored.data, settings: { intervalMs: 10_000, timeoutMs: 20_000 } },
    };
    assert.deepEqual(stepHealth(slow, WOKE, 1100).effects, [{ do: 'probe', timeoutMs: 10_000 }]);
  });

  it('a watchdog that is not back within its grace counts as gone, and the postmaster is asked', () => {
    const { state, log } = live(STATES.grace, 60_000, NEVER);
    assert.equal(state.phase, 'unmonitored');
    assert.ok(log.includes('2600 probe within 1000'));
    assert.ok(log.includes('2610 reportUnmonitored'));
    assert.ok(!log.some((line) => line.includes('drop')));
  });

  it('the end of a host that shuts down is seen within a quarter of a second', () => {
    const { log } = live(STATES.leaving, 1200, NEVER);
    assert.deepEqual(log, []);
    const answered = live(STATES['leaving, answered'], 1200, NEVER);
    assert.equal(answered.log.length, 4);
  });
});

describe('a process that was itself late, while the link is not up', () => {
  for (const name of ['unseen', 'grace', 'unmonitored'] as const) {
    it(`${name}: asks the postmaster anew and gives it a second, once`, () => {
      const doubting = stepHealth(STATES[name], WOKE, 3200);
      assert.deepEqual(doubting.effects.map(inWords), [PROBE]);
      assert.equal(doubting.state.phase, name);
      assert.equal(doubting.state.data.silentAt, 3200 + CHECK_TIMEOUT_MS);
      assert.equal(stepHealth(doubting.state, WOKE, 4200 + 5000).state.phase, 'lost');
    });
  }

  it('shortly before its deadline it does the same, because an answer could not come in time', () => {
    const { state, effects } = drive(STATES.unmonitored, [3050, WOKE]);
    assert.deepEqual(effects.map(inWords), [PROBE]);
    assert.equal(state.data.silentAt, 3050 + CHECK_TIMEOUT_MS);
  });

  it('an answer after the doubt counts in full, and a later delay may be doubted again', () => {
    const { state } = drive(STATES.unmonitored, [9000, WOKE], [9010, probed(true)]);
    assert.equal(state.data.silentAt, 9010 + SETTINGS.timeoutMs);
    assert.deepEqual(stepHealth(state, WOKE, 20_000).effects.map(inWords), [PROBE]);
  });

  it('checking: who slept through a part of the second does not count it, also where no deadline passed meanwhile', () => {
    // Asleep from the beginning until shortly before the end, and awake to be told that there was no answer.
    const { state, effects } = drive(STATES.checking, [1050, WOKE]);
    assert.deepEqual(effects.map(inWords), [PROBE]);
    assert.equal(stepHealth(state, WOKE, 1100).state.phase, 'checking');
    assert.equal(stepHealth(state, probed(true), 1200).state.phase, 'unmonitored');
    assert.equal(drive(state, [1300, WOKE], [1550, WOKE], [1800, WOKE], [2050, WOKE]).state.phase, 'lost');
    // The time-out of the probe itself may be heard first.
    assert.deepEqual(drive(STATES.checking, [1101, probed(false)]).effects.map(inWords), [PROBE]);
  });

  it('checking: the process looks at itself four times a second', () => {
    assert.equal(healthWakeAt(STATES.checking), 100 + CHECK_TIMEOUT_MS / 4);
  });

  it('checking: an answer that may lie unread is not taken for none', () => {
    const { state, effects } = drive(STATES.checking, [1400, WOKE]);
    assert.deepEqual(effects.map(inWords), [PROBE]);
    assert.equal(stepHealth(state, probed(true), 1410).state.phase, 'unmonitored');
    assert.equal(stepHealth(state, WOKE, 2400).state.phase, 'lost');
  });
});

describe('what a loss means for sessions and offers', () => {
  it('a silent host ends its sessions at once, a watchdog that merely went away does not', () => {
    const ends = (end: 'timeout' | 'closed' | 'protocol') =>
      stepHealth(STATES.monitored, linkLost(end), 200).effects.some((one) => one.do === 'dropSessions');
    assert.deepEqual([ends('timeout'), ends('closed'), ends('protocol')], [true, false, false]);
  });

  it('sessions are told before anything is reported', () => {
    for (const [state, event] of [
      [STATES.monitored, linkLost('timeout')],
      [STATES.monitored, { type: 'instanceDown', text: '' }],
      [STATES.checking, probed(false)],
      [STATES.leaving, probed(false)],
    ] as const) {
      assert.equal(stepHealth(state, event, 200).effects[0]?.do, 'dropSessions');
    }
  });

  it('a host that shuts down is not offered from its goodbye on, its sessions stay while the postmaster answers', () => {
    const { state, effects } = drive(STATES.monitored, [200, goodbyeOf('hostShutdown')]);
    assert.equal(HEALTH_MEANING[state.phase].offered, false);
    assert.ok(!effects.some((effect) => effect.do === 'dropSessions'));
    const later = live(stepHealth(state, probed(true), 201).state, 30_000, NEVER);
    assert.equal(later.state.phase, 'leaving');
  });

  it('attributes are stale in every phase without a link', () => {
    for (const phase of HEALTH_MACHINE.phases)
      assert.equal(HEALTH_MEANING[phase].stale, !HEALTH_MEANING[phase].linked, phase);
  });

  it('an instance is offered only while it is monitored or its postmaster is known or asked to answer', () => {
    const offered = HEALTH_MACHINE.phases.filter((phase) => HEALTH_MEANING[phase].offered);
    assert.deepEqual(offered, ['monitored', 'checking', 'grace', 'unmonitored']);
  });

  it('an instance that is not watched wakes nobody', () => {
    for (const name of ['not started', 'monitored', 'down', 'lost'] as const)
      assert.equal(healthWakeAt(STATES[name]), NEVER, name);
  });

  it('new timing holds from the next deadline on', () => {
    const { state } = drive(
      STATES.unmonitored,
      [200, { type: 'configured', settings: { intervalMs: 500, timeoutMs: 1500 } }],
      [1100, WOKE],
      [1110, probed(true)],
    );
    assert.deepEqual([state.data.nextProbeAt, state.data.silentAt], [1600, 2610]);
  });
});
