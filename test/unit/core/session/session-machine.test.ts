import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { missingRows } from '../../../../src/core/fsm.js';
import {
  GOODBYE_REASONS,
  HEARTBEAT_MAGIC,
  HEARTBEAT_MESSAGES,
  HELLO_TIMEOUT_MS,
  type HeartbeatMessage,
  type HeartbeatMessageOf,
} from '../../../../src/core/protocol/messages.js';
import {
  isLive,
  newSession,
  type SessionEffect,
  type SessionEvent,
  type SessionState,
  sessionWakeAt,
} from '../../../../src/core/session/session.js';
import { SESSION_MACHINE, stepSession } from '../../../../src/core/session/session-table.js';
import { type MonotonicMs, NEVER } from '../../../../src/core/time.js';

const ID = 'a'.repeat(32);
const TELLING = { serial: 5, version: 2 };

const HELLO: HeartbeatMessageOf<'hello'> = {
  name: 'hello',
  magic: HEARTBEAT_MAGIC,
  versionMin: 1,
  versionMax: 1,
  intervalMs: 1000,
  timeoutMs: 3000,
  conmgrId: ID,
  bootId: ID,
  systemIdentifier: 0n,
  software: 's',
  label: 'l',
};
const WELCOME: HeartbeatMessageOf<'welcome'> = {
  name: 'welcome',
  version: 1,
  intervalMs: 1000,
  timeoutMs: 3000,
  restartGraceMs: 10_000,
  bootId: ID,
  systemIdentifier: 1n,
  maxFrame: 4096,
  software: 'w',
};
const beatMessage = (seq: number, echoSeq = 0, echoDelayUs = 0): HeartbeatMessage => ({
  name: 'beat',
  seq,
  echoSeq,
  echoDelayUs,
  attrVersion: 0,
});
const goodbyeMessage = (reason: (typeof GOODBYE_REASONS)[number]): HeartbeatMessage => ({
  name: 'goodbye',
  reason: GOODBYE_REASONS.indexOf(reason),
  retryAfterMs: 0,
  text: 'why',
});
const received = (message: HeartbeatMessage | undefined): SessionEvent => ({ type: 'received', message });
const woke = (lateMs = 0): SessionEvent => ({ type: 'woke', lateMs, telling: TELLING });

const ADMITTED: SessionEvent = { type: 'admitted', welcome: WELCOME, telling: TELLING, priorBeats: 0 };

/** Events in words; one for each way a row of the table distinguishes. */
const EVENTS: Readonly<Record<string, SessionEvent>> = {
  HELLO: received(HELLO),
  'HELLO with a wrong magic': received({ ...HELLO, magic: 1 }),
  BEAT: received(beatMessage(1)),
  'unknown message': received(undefined),
  WELCOME: received(WELCOME),
  GOODBYE_ACK: received({ name: 'goodbyeAck' }),
  'GOODBYE stop': received(goodbyeMessage('stop')),
  'GOODBYE restart': received(goodbyeMessage('restart')),
  'GOODBYE hostShutdown': received(goodbyeMessage('hostShutdown')),
  'GOODBYE released': received(goodbyeMessage('released')),
  'GOODBYE protocol': received(goodbyeMessage('protocol')),
  RETIME: received({ name: 'retime', intervalMs: 500, timeoutMs: 900 }),
  'RETIME out of bounds': received({ name: 'retime', intervalMs: 1, timeoutMs: 900 }),
  SESSIONS: received({ name: 'sessions', part: 0, address: '0'.repeat(32), list: Buffer.alloc(0) }),
  WANT_SESSIONS: received({ name: 'wantSessions', wanted: 1 }),
  want: { type: 'want', wanted: true },
  closed: { type: 'closed', text: 'reset' },
  violated: { type: 'violated', text: 'bad' },
  woke: woke(),
  'woke late': woke(2000),
  admitted: ADMITTED,
  refused: { type: 'refused', code: 'limit', retryAfterMs: 5, text: 'full' },
  changed: { type: 'changed', telling: TELLING },
  replaced: { type: 'replaced', text: 'by' },
  stop: { type: 'stop', reason: 'restart', retryAfterMs: 7, text: 'bye' },
};

function after(
  state: SessionState,
  ...events: readonly (readonly [SessionEvent, MonotonicMs])[]
): SessionState {
  return events.reduce((now, [event, at]) => stepSession(now, event, at).state, state);
}

const UP = after(newSession(0), [received(HELLO), 0], [ADMITTED, 0]);

/** States in words, with the moment at which the event comes. */
const STATES: Readonly<Record<string, readonly [SessionState, MonotonicMs]>> = {
  greeting: [newSession(0), 100],
  'greeting, too long': [newSession(0), HELLO_TIMEOUT_MS],
  judged: [after(newSession(0), [received(HELLO), 0]), 100],
  up: [UP, 100],
  'up, beat due': [UP, 1000],
  'up, silent': [UP, 3000],
  leaving: [after(UP, [EVENTS['stop']!, 50]), 100],
  'leaving, too long': [after(UP, [EVENTS['stop']!, 0]), 500],
  ended: [after(UP, [EVENTS['closed']!, 50]), 100],
};

function inWords(effect: SessionEffect): string {
  switch (effect.do) {
    case 'send':
      return `send ${effect.message.name}`;
    case 'reportGone':
      return `gone: ${effect.departure}`;
    case 'reportRefused':
      return `refused: ${effect.code}`;
    case 'reportStray':
      return 'stray';
    default:
      return effect.do;
  }
}

type Outcome = readonly [phase: string, ...effects: readonly string[]];
const each = (names: readonly string[], outcome: Outcome): Readonly<Record<string, Outcome>> =>
  Object.fromEntries(names.map((name) => [name, outcome]));

const MESSAGES = Object.keys(EVENTS).filter((name) => /^[A-Z]/.test(name));
const PROTOCOL: Outcome = ['ended', 'send goodbye', 'end', 'gone: protocol'];
const STRAY: Outcome = ['ended', 'destroy', 'stray'];
const REJECTED: Outcome = ['ended', 'send reject', 'end'];
const FINISHED: Outcome = ['ended', 'end'];

const GREETING: Readonly<Record<string, Outcome>> = {
  ...each(MESSAGES, STRAY),
  HELLO: ['judged', 'judge'],
  violated: STRAY,
  closed: ['ended'],
  stop: REJECTED,
};
const WHILE_UP: Readonly<Record<string, Outcome>> = {
  ...each(
    ['HELLO', 'HELLO with a wrong magic', 'WELCOME', 'WANT_SESSIONS', 'RETIME out of bounds'],
    PROTOCOL,
  ),
  SESSIONS: ['up', 'reportSessions'],
  want: ['up', 'send wantSessions'],
  'GOODBYE stop': ['ended', 'send goodbyeAck', 'end', 'gone: stop'],
  'GOODBYE restart': ['ended', 'send goodbyeAck', 'end', 'gone: restart'],
  'GOODBYE hostShutdown': ['ended', 'send goodbyeAck', 'end', 'gone: hostShutdown'],
  'GOODBYE released': ['ended', 'send goodbyeAck', 'end', 'gone: released'],
  'GOODBYE protocol': ['ended', 'send goodbyeAck', 'end', 'gone: protocol'],
  RETIME: ['up', 'reportRetimed'],
  closed: ['ended', 'gone: closed'],
  violated: PROTOCOL,
  changed: ['up', 'sendAttributes'],
  replaced: ['ended', 'destroy', 'gone: replaced'],
  stop: ['leaving', 'send goodbye'],
};
const LEAVING: Readonly<Record<string, Outcome>> = {
  ...each([...MESSAGES.filter((name) => name.startsWith('GOODBYE')), 'closed', 'violated'], FINISHED),
};

/** What each event does in each state. An event that is not listed changes neither phase nor has an effect. */
const EXPECTED: Readonly<Record<string, Readonly<Record<string, Outcome>>>> = {
  greeting: GREETING,
  'greeting, too long': { ...GREETING, ...each(['woke', 'woke late'], STRAY) },
  judged: {
    ...each([...MESSAGES, 'unknown message', 'violated'], STRAY),
    closed: ['ended'],
    admitted: ['up', 'send welcome', 'sendAttributes', 'send beat', 'reportUp'],
    refused: ['ended', 'send reject', 'end', 'refused: limit'],
    stop: REJECTED,
  },
  up: WHILE_UP,
  'up, beat due': { ...WHILE_UP, ...each(['woke', 'woke late'], ['up', 'send beat']) },
  'up, silent': {
    ...WHILE_UP,
    woke: ['ended', 'destroy', 'gone: timeout'],
    'woke late': ['up', 'reportDoubt'],
  },
  leaving: LEAVING,
  'leaving, too long': { ...LEAVING, ...each(['woke', 'woke late'], FINISHED) },
  ended: {},
};

describe("the watchdog's side of a link", () => {
  it('has a row for every state and event', () => {
    assert.deepEqual(missingRows(SESSION_MACHINE), []);
  });

  for (const [stateName, [state, now]] of Object.entries(STATES)) {
    for (const [eventName, event] of Object.entries(EVENTS)) {
      const expected = EXPECTED[stateName]?.[eventName] ?? [state.phase];
      it(`${stateName} x ${eventName}: ${expected.join(', ')}`, () => {
        const next = stepSession(state, event, now);
        assert.deepEqual([next.state.phase, ...next.effects.map(inWords)], expected);
      });
    }
  }

  it('answers everything a conmgr may send, whatever the phase', () => {
    const fromConmgr = Object.entries(HEARTBEAT_MESSAGES).filter(([, row]) => row.from !== 'watchdog');
    const tested = Object.values(EVENTS).flatMap((event) =>
      event.type === 'received' && event.message !== undefined ? [event.message.name as string] : [],
    );
    for (const [name] of fromConmgr) assert.ok(tested.includes(name), name);
  });
});

describe('timing of a link', () => {
  it('beats keep their spacing, and a late process sends no burst', () => {
    let state = UP;
    const sent: number[] = [];
    for (const now of [1000, 2003, 3000, 9500, 10_500]) {
      // The peer is heard all along.
      state = after(state, [EVENTS['BEAT']!, now]);
      const next = stepSession(state, woke(), now);
      state = next.state;
      sent.push(next.effects.filter((effect) => effect.do === 'send').length, state.data.nextBeatAt);
    }
    assert.deepEqual(sent, [1, 2000, 1, 3000, 1, 4000, 1, 10_500, 1, 11_500]);
  });

  it('positions travel with the BEAT when they moved since the link heard them last', () => {
    const moved = stepSession(UP, { type: 'woke', lateMs: 0, telling: { serial: 6, version: 2 } }, 1000);
    assert.deepEqual(moved.effects.map(inWords), ['sendAttributes', 'send beat']);
    const still = stepSession(
      moved.state,
      { type: 'woke', lateMs: 0, telling: { serial: 6, version: 2 } },
      2000,
    );
    assert.deepEqual(still.effects.map(inWords), ['send beat']);
  });

  it('a BEAT carries the version of the attributes sent last and echoes the last one heard', () => {
    const heard = after(UP, [received(beatMessage(41)), 400]);
    const [effect] = stepSession(heard, woke(), 1000).effects;
    assert.deepEqual(effect, {
      do: 'send',
      message: { name: 'beat', seq: 2, echoSeq: 41, echoDelayUs: 600_000, attrVersion: 2 },
    });
  });

  it('the round trip is the time since our BEAT less what the peer held it', () => {
    const state = after(UP, [received(beatMessage(1, 1, 20_000)), 50]);
    assert.equal(state.data.rttMs, 30);
  });

  it('doubt is granted once, and only as much as the process was late', () => {
    const doubting = stepSession(UP, woke(900), 3000);
    assert.equal(doubting.state.data.silentAt, 3900);
    const again = stepSession(doubting.state, woke(900), 3900);
    assert.deepEqual(again.effects.map(inWords), ['destroy', 'gone: timeout']);
    const heard = after(doubting.state, [EVENTS['BEAT']!, 3100]);
    assert.deepEqual(stepSession(heard, woke(900), 6100).effects.map(inWords), ['reportDoubt']);
  });

  it('BEATs of the link before count on, so that a conmgr that reconnects need not prove itself again', () => {
    const again = after(newSession(0), [received(HELLO), 0], [{ ...ADMITTED, priorBeats: 7 }, 0]);
    assert.equal(after(again, [EVENTS['BEAT']!, 10]).data.beats, 8);
  });

  it('a link is live until its own time-out has passed since its last packet', () => {
    assert.ok(isLive(UP, 3000));
    assert.ok(!isLive(UP, 3001));
    assert.ok(!isLive(STATES['leaving']![0], 100));
  });

  it('whatever happens, an ended link asks for nothing more and reports its end once', () => {
    const events = fc.array(fc.tuple(fc.constantFrom(...Object.keys(EVENTS)), fc.nat(1500)), {
      maxLength: 60,
    });
    fc.assert(
      fc.property(events, (schedule) => {
        let state = newSession(0);
        let now = 0;
        let ends = 0;
        let ups = 0;
        for (const [name, passed] of schedule) {
          now += passed;
          const next = stepSession(state, EVENTS[name]!, now);
          state = next.state;
          ups += next.effects.filter((effect) => effect.do === 'reportUp').length;
          ends += next.effects.filter((effect) => effect.do === 'reportGone').length;
          if (state.phase === 'up') assert.ok(sessionWakeAt(state) < NEVER);
        }
        assert.ok(ups <= 1 && ends <= ups);
        if (state.phase === 'ended') assert.equal(sessionWakeAt(state), NEVER);
      }),
    );
  });
});
