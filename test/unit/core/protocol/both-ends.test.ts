import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { missingRows, rowFor, step } from '../../../../src/core/fsm.js';
import { HEALTH_MACHINE } from '../../../../src/core/link/health.js';
import { type LinkState, newLink } from '../../../../src/core/link/link.js';
import { LINK_MACHINE, stepLink } from '../../../../src/core/link/link-table.js';
import {
  GOODBYE_REASONS,
  HEARTBEAT_MESSAGES,
  type HeartbeatMessage,
  type HeartbeatMessageName,
  REJECT_CODES,
} from '../../../../src/core/protocol/messages.js';
import { departureOf, newSession, type SessionState } from '../../../../src/core/session/session.js';
import { SESSION_MACHINE, stepSession } from '../../../../src/core/session/session-table.js';
import { DEPARTURE_VERDICTS } from '../../../../src/core/terminator/verdict.js';
import { EVENTS as HEALTH_EVENTS, STATES as HEALTH_STATES } from '../link/health-states.js';
import { EVENTS, IDENTITY, received, SETTINGS, STATES, welcome } from '../link/link-states.js';

const NAMES = Object.keys(HEARTBEAT_MESSAGES) as HeartbeatMessageName[];
const fromSide = (side: 'conmgr' | 'watchdog') =>
  NAMES.filter((name) => ['both', side].includes(HEARTBEAT_MESSAGES[name].from));

/** A message of each kind, all numbers 1. */
function sample(name: HeartbeatMessageName): HeartbeatMessage {
  const message: Record<string, unknown> = { name };
  for (const [field, type] of HEARTBEAT_MESSAGES[name].body)
    message[field] = type === 'u64' ? 1n : type === 'id' ? '11'.repeat(16) : 1;
  for (const [field] of HEARTBEAT_MESSAGES[name].texts) message[field] = '';
  if (name === 'sessions') message['list'] = Buffer.alloc(6, 1);
  if (name === 'hello') message['magic'] = 0x434d4842;
  if (name === 'retime' || name === 'welcome') Object.assign(message, { intervalMs: 1000, timeoutMs: 3000 });
  return message as unknown as HeartbeatMessage;
}

const TELLING = { serial: 1, version: 1 };

/** The watchdog's end in the phase in which it meets a message, for each phase. */
const SESSIONS: Readonly<Record<string, SessionState>> = (() => {
  const greeting = newSession(0);
  const judged = stepSession(greeting, { type: 'received', message: sample('hello') }, 10).state;
  const up = stepSession(
    judged,
    { type: 'admitted', welcome: welcome() as never, telling: TELLING, priorBeats: 0 },
    20,
  ).state;
  const leaving = stepSession(up, { type: 'stop', reason: 'restart', retryAfterMs: 1, text: '' }, 30).state;
  const ended = stepSession(up, { type: 'closed', text: '' }, 30).state;
  return { greeting, judged, up, leaving, ended };
})();

/** Where in the life of a link each message belongs. */
const PLACES: Readonly<Record<HeartbeatMessageName, readonly string[]>> = {
  hello: ['greeting'],
  welcome: ['greeting'],
  reject: ['greeting'],
  beat: ['up', 'leaving'],
  attr: ['up', 'leaving'],
  goodbye: ['up', 'leaving'],
  goodbyeAck: ['up', 'leaving'],
  retime: ['up', 'leaving'],
  sessions: ['up', 'leaving'],
  wantSessions: ['up', 'leaving'],
};

describe('what one end sends the other end has a row for', () => {
  it('no table lacks a row', () => {
    for (const machine of [LINK_MACHINE, HEALTH_MACHINE, SESSION_MACHINE])
      assert.deepEqual(missingRows(machine as never), []);
  });

  for (const name of fromSide('conmgr')) {
    it(`${name} from conmgr is taken by a watchdog where it belongs, and never for a violation there`, () => {
      for (const [phase, state] of Object.entries(SESSIONS)) {
        const { state: next, effects } = stepSession(state, { type: 'received', message: sample(name) }, 100);
        if (!PLACES[name].includes(phase)) continue;
        const gone = effects.find((effect) => effect.do === 'reportGone');
        assert.notEqual(gone?.departure, 'protocol', `${name} in ${phase}`);
        assert.ok(!effects.some((effect) => effect.do === 'reportStray'), `${name} in ${phase}`);
        if (phase === 'up') assert.equal(next.phase, name === 'goodbye' ? 'ended' : 'up');
      }
    });
  }

  for (const name of fromSide('watchdog')) {
    it(`${name} from a watchdog is taken by conmgr where it belongs, and never for a violation there`, () => {
      for (const state of Object.values(STATES) as LinkState[]) {
        const { effects } = stepLink(state, received(sample(name)), 200);
        if (!PLACES[name].includes(state.phase)) continue;
        assert.ok(
          !effects.some((effect) => effect.do === 'reportLost' || effect.do === 'reportFailure') ||
            name === 'welcome',
          `${name} in ${state.phase}`,
        );
      }
    });
  }

  it('a message of the wrong side ends the link', () => {
    for (const name of NAMES.filter((one) => HEARTBEAT_MESSAGES[one].from === 'watchdog')) {
      const { effects } = stepSession(SESSIONS['up']!, { type: 'received', message: sample(name) }, 100);
      assert.ok(
        effects.some((effect) => effect.do === 'reportGone' && effect.departure === 'protocol'),
        name,
      );
    }
    for (const name of NAMES.filter((one) => HEARTBEAT_MESSAGES[one].from === 'conmgr')) {
      const { effects } = stepLink(STATES.up, received(sample(name)), 200);
      assert.ok(
        effects.some((effect) => effect.do === 'reportLost' && effect.end === 'protocol'),
        name,
      );
    }
  });

  it('conmgr sends only what the table lets it send, whatever happens', () => {
    const allowed = new Set<string>(fromSide('conmgr'));
    for (const state of Object.values(STATES)) {
      for (const [now, event] of Object.values(EVENTS)) {
        for (const effect of stepLink(state, event, now).effects)
          if (effect.do === 'send') assert.ok(allowed.has(effect.message.name), effect.message.name);
      }
    }
  });

  it('a watchdog sends only what the table lets it send, whatever arrives', () => {
    const allowed = new Set<string>(fromSide('watchdog'));
    for (const state of Object.values(SESSIONS)) {
      for (const name of NAMES) {
        const { effects } = stepSession(state, { type: 'received', message: sample(name) }, 100);
        for (const effect of effects)
          if (effect.do === 'send') assert.ok(allowed.has(effect.message.name), effect.message.name);
      }
    }
  });

  it('every reason of a goodbye has an answer at both ends', () => {
    for (const reason of GOODBYE_REASONS) {
      const event = HEALTH_EVENTS[`goodbye ${reason}`]!;
      for (const state of Object.values(HEALTH_STATES))
        assert.ok(rowFor(HEALTH_MACHINE, state, event[1], event[0]), reason);
      const message = { ...sample('goodbye'), reason: GOODBYE_REASONS.indexOf(reason) };
      assert.ok(DEPARTURE_VERDICTS[departureOf(message as never)], reason);
    }
  });

  it('an instance that merely leaves the configuration of a conmgr costs nobody a session', () => {
    const message = { ...sample('goodbye'), reason: GOODBYE_REASONS.indexOf('released') };
    const { any, lost } = DEPARTURE_VERDICTS[departureOf(message as never)];
    assert.deepEqual([any, lost], ['spare', 'spare']);
  });

  it('every refusal, also one of a later version, makes conmgr pause and come back', () => {
    const greeting = STATES.greeting;
    for (let code = 0; code <= REJECT_CODES.length; code += 1) {
      const message: HeartbeatMessage = { name: 'reject', code, retryAfterMs: 0, text: '' };
      const { state } = step(LINK_MACHINE, greeting, received(message), 200);
      assert.equal(state.phase, 'waiting');
    }
  });
});

describe('a link between both ends', () => {
  it('comes up, beats and says goodbye in words that the other end takes', () => {
    let conmgr: LinkState = newLink(SETTINGS, IDENTITY);
    let watchdog: SessionState = newSession(0);
    const toWatchdog: HeartbeatMessage[] = [];
    const toConmgr: HeartbeatMessage[] = [];
    const step1 = (event: Parameters<typeof stepLink>[1], now: number) => {
      const stepped = stepLink(conmgr, event, now);
      conmgr = stepped.state;
      for (const effect of stepped.effects) if (effect.do === 'send') toWatchdog.push(effect.message);
    };
    const step2 = (event: Parameters<typeof stepSession>[1], now: number) => {
      const stepped = stepSession(watchdog, event, now);
      watchdog = stepped.state;
      for (const effect of stepped.effects) {
        if (effect.do === 'send') toConmgr.push(effect.message);
        if (effect.do === 'sendAttributes') toConmgr.push(sample('attr'));
        if (effect.do === 'judge') {
          const { intervalMs, timeoutMs } = effect.hello;
          const answer = { ...sample('welcome'), intervalMs, timeoutMs } as never;
          step2({ type: 'admitted', welcome: answer, telling: TELLING, priorBeats: 0 }, now);
        }
      }
    };
    const exchange = (now: number) => {
      for (;;) {
        const [up] = toWatchdog.splice(0, 1);
        if (up !== undefined) step2({ type: 'received', message: up }, now);
        const [down] = toConmgr.splice(0, 1);
        if (down !== undefined) step1(received(down), now);
        if (up === undefined && down === undefined) return;
      }
    };
    step1({ type: 'start' }, 0);
    step1({ type: 'resolved', addresses: ['a'] }, 0);
    step1({ type: 'connected' }, 0);
    exchange(1);
    assert.deepEqual([conmgr.phase, watchdog.phase], ['up', 'up']);
    for (let now = 1001; now < 20_000; now += 1000) {
      step1({ type: 'woke', lateMs: 0 }, now);
      step2({ type: 'woke', lateMs: 0, telling: TELLING }, now);
      exchange(now + 5);
    }
    assert.equal(conmgr.data.rttMs, 10);
    assert.equal(watchdog.data.rttMs, 10);
    step1({ type: 'stop', reason: 'restart', retryAfterMs: 100 }, 20_000);
    exchange(20_001);
    assert.deepEqual([conmgr.phase, watchdog.phase], ['stopped', 'ended']);
  });
});
