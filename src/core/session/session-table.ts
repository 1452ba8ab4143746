/** Transition table of the heartbeat link, the watchdog's side (see session.ts for the data and the deeds). */
import { type Machine, type Row, rowsOf, step } from '../fsm.js';
import { HEARTBEAT_MAGIC } from '../protocol/messages.js';
import { type MonotonicMs, NEVER } from '../time.js';
import {
  alive,
  beat,
  callerOf,
  depart,
  departureOf,
  goodbye,
  grantTime,
  hear,
  leave,
  reject,
  retime,
  rise,
  SESSION_EVENTS,
  SESSION_PHASES,
  type SessionData,
  type SessionEffect,
  type SessionEvent,
  type SessionPhase,
  type SessionState,
  timingInBounds,
} from './session.js';

const row = rowsOf<SessionPhase, SessionData, SessionEvent, SessionEffect>();
const every = SESSION_PHASES;

// The rows of a link that is up come first: they are taken ten thousand times a second where many conmgr connect.
const ROWS: readonly Row<SessionPhase, SessionData, SessionEvent, SessionEffect>[] = [
  row({
    from: ['up'],
    on: 'received',
    to: 'same',
    why: 'A BEAT is a sign of life and measures the round trip.',
    when: (_data, event) => event.message?.name === 'beat',
    act: (data, { message }, now) => (message?.name === 'beat' ? { data: hear(data, message, now) } : {}),
  }),
  row({
    from: ['up'],
    on: 'woke',
    to: 'same',
    why: 'A process that was itself late doubts itself first: it has read what arrived and gives the peer that time, once.',
    when: (data, event, now) => now >= data.silentAt && !data.doubted && event.lateMs > data.timeoutMs / 4,
    act: (data, { lateMs }, now) => grantTime(data, lateMs, now),
  }),
  row({
    from: ['up'],
    on: 'woke',
    to: 'ended',
    why: 'No packet for longer than the time-out of this link.',
    when: (data, _event, now) => now >= data.silentAt,
    act: (data, _event, now) =>
      depart(data, 'timeout', `no packet for ${Math.round(now - data.lastReceivedAt)} ms`, [
        { do: 'destroy' },
      ]),
  }),
  row({
    from: ['up'],
    on: 'woke',
    to: 'same',
    why: "A packet is sent at this link's interval, whatever else flows.",
    when: (data, _event, now) => now >= data.nextBeatAt,
    act: (data, { telling }, now) => beat(data, telling, now),
  }),
  row({
    from: ['up'],
    on: 'changed',
    to: 'same',
    why: 'Every change of the instance is told at once.',
    act: (data, { telling }) => ({
      data: { ...data, told: telling },
      effects: [{ do: 'sendAttributes' }],
    }),
  }),
  row({
    from: ['up'],
    on: 'received',
    to: 'ended',
    why: 'The conmgr ends the link on purpose and says why.',
    when: (_data, event) => event.message?.name === 'goodbye',
    act: (data, { message }) =>
      message?.name === 'goodbye'
        ? depart(data, departureOf(message), message.text, [
            { do: 'send', message: { name: 'goodbyeAck' } },
            { do: 'end' },
          ])
        : {},
  }),
  row({
    from: ['up'],
    on: 'received',
    to: 'same',
    why: 'New timing after a reload of the conmgr holds from here on.',
    when: (_data, { message }) =>
      message?.name === 'retime' && timingInBounds(message.intervalMs, message.timeoutMs),
    act: (data, { message }, now) => (message?.name === 'retime' ? retime(data, message, now) : {}),
  }),
  row({
    from: ['up'],
    on: 'received',
    to: 'same',
    why: 'The sessions that the conmgr watches are kept for the day it is lost.',
    when: (_data, { message }) => message?.name === 'sessions',
    act: (data, { message }, now) =>
      message?.name === 'sessions'
        ? { data: alive(data, now), effects: [{ do: 'reportSessions', message }] }
        : {},
  }),
  row({
    from: ['up'],
    on: 'want',
    to: 'same',
    why: 'Sessions are reported only where they decide what is ended.',
    act: (_data, { wanted }) => ({
      effects: [{ do: 'send', message: { name: 'wantSessions', wanted: wanted ? 1 : 0 } }],
    }),
  }),
  row({ from: every, on: 'want', to: 'same', why: 'It is asked when the link is up.' }),
  row({
    from: ['up'],
    on: 'received',
    to: 'ended',
    why: 'A message of the greeting, of the watchdog, or with timing out of bounds has no place on a link that is up.',
    when: (_data, event) =>
      ['hello', 'welcome', 'reject', 'attr', 'retime', 'wantSessions'].includes(event.message?.name ?? ''),
    act: (data, { message }) => {
      const text = `unexpected message ${message?.name}`;
      return depart(data, 'protocol', text, [
        { do: 'send', message: goodbye('protocol', text) },
        { do: 'end' },
      ]);
    },
  }),
  row({
    from: ['up'],
    on: 'received',
    to: 'same',
    why: 'Any complete packet is a sign of life.',
    act: (data, _event, now) => ({ data: alive(data, now) }),
  }),
  row({
    from: ['up'],
    on: 'closed',
    to: 'ended',
    why: 'The connection ended without a goodbye.',
    act: (data, { text }) => depart(data, 'closed', text, []),
  }),
  row({
    from: ['up'],
    on: 'violated',
    to: 'ended',
    why: 'A peer that breaks the protocol loses its own connection.',
    act: (data, { text }) =>
      depart(data, 'protocol', text, [{ do: 'send', message: goodbye('protocol', text) }, { do: 'end' }]),
  }),
  row({
    from: ['up'],
    on: 'replaced',
    to: 'ended',
    why: 'The same conmgr has connected anew, so nothing is lost.',
    act: (data, { text }) => depart(data, 'replaced', text, [{ do: 'destroy' }]),
  }),
  row({
    from: ['up'],
    on: 'stop',
    to: 'leaving',
    why: 'The conmgr is told why, so that it does not take a planned stop for a dead host.',
    act: (data, event, now) => leave(data, event, now),
  }),

  // The greeting
  row({
    from: ['greeting'],
    on: 'received',
    to: 'judged',
    why: 'Whether this conmgr is accepted depends on the other links.',
    when: (_data, { message }) => message?.name === 'hello' && message.magic === HEARTBEAT_MAGIC,
    act: (data, { message }) =>
      message?.name === 'hello'
        ? { data: { ...data, caller: callerOf(message) }, effects: [{ do: 'judge', hello: message }] }
        : {},
  }),
  row({
    from: ['greeting'],
    on: 'received',
    to: 'same',
    why: 'Messages that need not be understood are skipped.',
    when: (_data, event) => event.message === undefined,
  }),
  row({
    from: ['greeting'],
    on: 'received',
    to: 'ended',
    why: 'The first message must be HELLO.',
    act: (data) => stray(data, 'the first message is not HELLO'),
  }),
  row({
    from: ['greeting'],
    on: 'violated',
    to: 'ended',
    why: 'Whoever connects here and speaks something else is closed at once.',
    act: (data, { text }) => stray(data, text),
  }),
  row({
    from: ['greeting'],
    on: 'woke',
    to: 'ended',
    why: 'HELLO must have come within its time, so that half-open connections cannot pile up.',
    when: (data, _event, now) => now >= data.phaseEndsAt,
    act: (data) => stray(data, 'no HELLO in time'),
  }),
  row({
    from: ['greeting', 'judged'],
    on: 'closed',
    to: 'ended',
    why: 'Who connects and says nothing, as a port check does, is not worth a word.',
    act: (data) => ({ data: { ...data, phaseEndsAt: NEVER } }),
  }),
  row({
    from: ['greeting', 'judged'],
    on: 'stop',
    to: 'ended',
    why: 'A watchdog that stops takes no new link.',
    act: (data, { retryAfterMs, text }) => ({
      data: { ...data, phaseEndsAt: NEVER },
      effects: [{ do: 'send', message: reject('stopping', retryAfterMs, text) }, { do: 'end' }],
    }),
  }),
  row({
    from: ['judged'],
    on: 'admitted',
    to: 'up',
    why: 'The link is accepted; attributes and the first BEAT follow right away.',
    act: (data, { welcome, telling, priorBeats, spread = 1 }, now) =>
      rise(data, welcome, telling, priorBeats, spread, now),
  }),
  row({
    from: ['judged'],
    on: 'refused',
    to: 'ended',
    why: 'A refusal names its reason before the connection is closed.',
    act: (data, { code, retryAfterMs, text }) => ({
      data: { ...data, phaseEndsAt: NEVER },
      effects: [
        { do: 'send', message: reject(code, retryAfterMs, text) },
        { do: 'end' },
        { do: 'reportRefused', code, text },
      ],
    }),
  }),
  row({
    from: ['judged'],
    on: 'received',
    to: 'ended',
    why: 'The caller must wait for the answer to HELLO.',
    act: (data) => stray(data, 'a message before the answer to HELLO'),
  }),
  row({
    from: ['judged'],
    on: 'violated',
    to: 'ended',
    why: 'A peer that breaks the protocol loses its own connection.',
    act: (data, { text }) => stray(data, text),
  }),

  // The watchdog's own goodbye
  row({
    from: ['leaving'],
    on: 'received',
    to: 'ended',
    why: 'The goodbye was read.',
    when: (_data, { message }) => message?.name === 'goodbyeAck' || message?.name === 'goodbye',
    act: finish,
  }),
  row({
    from: ['leaving'],
    on: 'woke',
    to: 'ended',
    why: 'A goodbye does not wait for a peer that no longer reads.',
    when: (data, _event, now) => now >= data.phaseEndsAt,
    act: finish,
  }),
  row({
    from: ['leaving'],
    on: 'closed',
    to: 'ended',
    why: 'The peer closed after the goodbye.',
    act: finish,
  }),
  row({ from: ['leaving'], on: 'violated', to: 'ended', why: 'The link is ending anyway.', act: finish }),
  row({
    from: ['leaving', 'ended'],
    on: 'received',
    to: 'same',
    why: 'What is still in flight on a link that ends means nothing.',
  }),

  // What has no meaning in a phase
  row({ from: ['ended'], on: 'closed', to: 'same', why: 'The end of a connection that was given up.' }),
  row({ from: ['ended'], on: 'violated', to: 'same', why: 'The end of a connection that was given up.' }),
  row({ from: ['leaving', 'ended'], on: 'stop', to: 'same', why: 'It is ending already.' }),
  row({ from: every, on: 'woke', to: 'same', why: 'Woken early: nothing is due yet.' }),
  row({ from: every, on: 'changed', to: 'same', why: 'Only links that are up hear of the instance.' }),
  row({ from: every, on: 'replaced', to: 'same', why: 'Only a link that is up can be replaced.' }),
  row({ from: every, on: 'admitted', to: 'same', why: 'The connection ended before it was accepted.' }),
  row({ from: every, on: 'refused', to: 'same', why: 'The connection ended before it was refused.' }),
];

function stray(data: SessionData, text: string) {
  return {
    data: { ...data, phaseEndsAt: NEVER },
    effects: [{ do: 'destroy' } as const, { do: 'reportStray', text } as const],
  };
}

function finish(data: SessionData) {
  return {
    data: { ...data, nextBeatAt: NEVER, silentAt: NEVER, phaseEndsAt: NEVER },
    effects: [{ do: 'end' } as const],
  };
}

export const SESSION_MACHINE: Machine<SessionPhase, SessionData, SessionEvent, SessionEffect> = {
  name: 'session',
  phases: SESSION_PHASES,
  events: SESSION_EVENTS,
  rows: ROWS,
};

/** One step of a link. */
export function stepSession(state: SessionState, event: SessionEvent, now: MonotonicMs) {
  return step(SESSION_MACHINE, state, event, now);
}
