import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { missingRows, rowFor } from '../../../../src/core/fsm.js';
import { LINK_MACHINE, stepLink } from '../../../../src/core/link/link-table.js';
import { EVENTS, inWords, STATES, type StateName } from './link-states.js';

type Outcome = readonly [phase: string, ...effects: readonly string[]];

const each = (names: readonly string[], outcome: Outcome): Readonly<Record<string, Outcome>> =>
  Object.fromEntries(names.map((name) => [name, outcome]));
const AFTER_CONNECT_TIMEOUT = ['woken after 2 s', 'woken after 3 s', 'woken after 3 s, late'];
const STRAY_MESSAGES = ['beat', 'attr', 'goodbye', 'goodbyeAck', 'hello', 'retime'];
const NEXT_ADDRESS: Outcome = ['connecting', 'disconnect', 'connect 10.0.0.2'];
const LAST_GOOD: Outcome = ['connecting', 'connect 10.0.0.9'];
const DONE: Outcome = ['stopped', 'disconnect'];
const failed = (text: string): Outcome => ['waiting', 'disconnect', `report failure first: ${text}`];
const LOST_BY_PROTOCOL: Outcome = ['waiting', 'report lost by protocol', 'disconnect'];

/** What each event does in each state. An event that is not listed changes neither phase nor has an effect. */
/** An attempt from its beginning. */
const AGAIN: Outcome = ['resolving', 'disconnect', 'resolve'];

const EXPECTED: Readonly<Record<StateName, Readonly<Record<string, Outcome>>>> = {
  stopped: { start: ['resolving', 'resolve'] },
  resolving: {
    stop: DONE,
    resolved: ['connecting', 'connect 10.0.0.5'],
    'resolved to nothing': ['waiting', 'report failure first: host name has no address'],
    'resolve failed': ['waiting', 'report failure first: unknown host'],
    ...each(AFTER_CONNECT_TIMEOUT, ['resolving', 'report failure first: host name resolution timed out']),
  },
  'resolving, address known': {
    stop: DONE,
    resolved: ['connecting', 'connect 10.0.0.5'],
    ...each(['resolved to nothing', 'resolve failed', ...AFTER_CONNECT_TIMEOUT], LAST_GOOD),
  },
  connecting: {
    stop: DONE,
    protected: AGAIN,
    connected: ['greeting', 'send hello'],
    closed: failed('connection reset'),
    violated: failed('frame length 0'),
    ...each(AFTER_CONNECT_TIMEOUT, failed('connection attempt timed out')),
  },
  'connecting, more addresses': {
    stop: DONE,
    protected: AGAIN,
    connected: ['greeting', 'send hello'],
    ...each(['closed', 'violated', ...AFTER_CONNECT_TIMEOUT], NEXT_ADDRESS),
  },
  greeting: {
    stop: DONE,
    protected: AGAIN,
    welcome: ['up', 'report up', 'send beat'],
    'welcome of another cluster': failed(
      'watchdog belongs to another cluster, with system identifier 7000000000000000002 instead of 7000000000000000001',
    ),
    'welcome with a version not offered': failed('watchdog speaks protocol version 2, which was not offered'),
    'reject limit': ['waiting', 'disconnect', 'report rejected limit'],
    'reject wrongCluster': ['waiting', 'disconnect', 'report rejected wrongCluster'],
    ...each(STRAY_MESSAGES, failed('watchdog answered the first packet with something else')),
    closed: failed('connection reset'),
    violated: failed('frame length 0'),
    ...each(AFTER_CONNECT_TIMEOUT, failed('watchdog did not answer the first packet in time')),
  },
  'greeting, more addresses': {
    stop: DONE,
    protected: AGAIN,
    welcome: ['up', 'report up', 'send beat'],
    'reject limit': ['waiting', 'disconnect', 'report rejected limit'],
    ...each(
      [
        'welcome of another cluster',
        'welcome with a version not offered',
        'reject wrongCluster',
        ...STRAY_MESSAGES,
        'closed',
        'violated',
        ...AFTER_CONNECT_TIMEOUT,
      ],
      NEXT_ADDRESS,
    ),
  },
  up: {
    stop: ['leaving', 'send goodbye'],
    attr: ['up', 'report up'],
    goodbye: ['waiting', 'send goodbyeAck', 'disconnect', 'report goodbye restart'],
    ...each(
      [
        'welcome',
        'welcome of another cluster',
        'welcome with a version not offered',
        'reject limit',
        'reject wrongCluster',
        'hello',
        'retime',
        'violated',
      ],
      LOST_BY_PROTOCOL,
    ),
    closed: ['waiting', 'report lost by closed', 'disconnect'],
    'woken after 1 s': ['up', 'send beat'],
    'woken after 2 s': ['up', 'send beat'],
    'woken after 3 s': ['waiting', 'report lost by timeout', 'disconnect'],
    'woken after 3 s, late': ['up', 'doubt 800'],
    configured: ['up', 'send retime'],
  },
  leaving: each(
    [
      'goodbye',
      'goodbyeAck',
      'closed',
      'violated',
      'woken after 500 ms',
      'woken after 1 s',
      ...AFTER_CONNECT_TIMEOUT,
    ],
    DONE,
  ),
  waiting: {
    stop: DONE,
    protected: AGAIN,
    ...each(['woken after 1 s', ...AFTER_CONNECT_TIMEOUT], ['resolving', 'resolve']),
  },
};

const NAMES = Object.keys(STATES) as StateName[];

describe('transition table of the link', () => {
  it('has a row for every event in every phase', () => {
    assert.deepEqual(missingRows(LINK_MACHINE), []);
  });

  it('is tested in every phase, with every event', () => {
    assert.deepEqual(
      [...new Set(NAMES.map((name) => STATES[name].phase))].sort(),
      [...LINK_MACHINE.phases].sort(),
    );
    assert.deepEqual(
      [...new Set(Object.values(EVENTS).map(([, event]) => event.type))].sort(),
      [...LINK_MACHINE.events].sort(),
    );
  });

  for (const name of NAMES) {
    for (const [what, [now, event]] of Object.entries(EVENTS)) {
      const [phase, ...effects] = EXPECTED[name][what] ?? [STATES[name].phase];
      const deeds = effects.length === 0 ? '' : ` (${effects.join('; ')})`;
      it(`${name}: ${what} -> ${phase}${deeds}`, () => {
        const stepped = stepLink(STATES[name], event, now);
        assert.equal(stepped.state.phase, phase);
        assert.deepEqual(stepped.effects.map(inWords), effects);
      });
    }
  }

  it('has no row that is never taken because another stands before it', () => {
    const taken = new Set(
      NAMES.flatMap((name) =>
        Object.values(EVENTS).map(([now, event]) => rowFor(LINK_MACHINE, STATES[name], event, now)),
      ),
    );
    const shadowed = LINK_MACHINE.rows.filter((row) => !taken.has(row));
    assert.deepEqual(
      shadowed.map(({ from, on, why }) => `${from.join(', ')} x ${on}: ${why}`),
      [],
    );
  });

  it('gives each row a reason that is a sentence', () => {
    for (const { why } of LINK_MACHINE.rows) assert.match(why, /^[A-Z].*\.$/);
  });
});
