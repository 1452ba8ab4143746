/** Transition table of the heartbeat link, conmgr's side (see link.ts for the data and the deeds). */
import { type Machine, type Row, rowsOf, step } from '../fsm.js';
import { GOODBYE_REASONS } from '../protocol/messages.js';
import type { MonotonicMs } from '../time.js';
import { NEVER } from '../time.js';
import {
  beat,
  beginAttempt,
  fail,
  GOODBYE_ACK_TIMEOUT_MS,
  goodbyeReason,
  grantTime,
  greet,
  LINK_EVENTS,
  LINK_PHASES,
  type LinkData,
  type LinkEffect,
  type LinkEvent,
  type LinkPhase,
  type LinkState,
  lose,
  objectionTo,
  REFUSES_ONE_ADDRESS,
  receive,
  refused,
  rejectCode,
  rise,
  tryNext,
} from './link.js';

const row = rowsOf<LinkPhase, LinkData, LinkEvent, LinkEffect>();
const every = LINK_PHASES;
const trying = ['connecting', 'greeting'] as const;

const ROWS: readonly Row<LinkPhase, LinkData, LinkEvent, LinkEffect>[] = [
  // Start, stop, reload
  row({
    from: ['stopped'],
    on: 'start',
    to: 'resolving',
    why: 'The name is resolved anew at every attempt.',
    act: (data, _event, now) => beginAttempt(data, now),
  }),
  row({ from: every, on: 'start', to: 'same', why: 'A running link needs no second start.' }),
  row({
    from: ['up'],
    on: 'stop',
    to: 'leaving',
    why: 'The watchdog is told why, so that it does not take a planned stop for a dead host.',
    act: (data, event, now) => ({
      data: { ...data, phaseEndsAt: now + GOODBYE_ACK_TIMEOUT_MS },
      effects: [
        {
          do: 'send',
          message: {
            name: 'goodbye',
            reason: GOODBYE_REASONS.indexOf(event.reason),
            retryAfterMs: event.retryAfterMs,
            text: '',
          },
        },
      ],
    }),
  }),
  row({
    from: ['resolving', 'connecting', 'greeting', 'waiting'],
    on: 'stop',
    to: 'stopped',
    why: 'Nobody has been welcomed, so nobody needs a goodbye.',
    act: (data) => ({
      data: { ...data, phaseEndsAt: NEVER, address: undefined, untried: [] },
      effects: [{ do: 'disconnect' }],
    }),
  }),
  row({ from: ['stopped', 'leaving'], on: 'stop', to: 'same', why: 'It is stopping already.' }),
  row({
    from: ['up'],
    on: 'configured',
    to: 'same',
    why: 'New timing holds from the next packet on and is announced to the watchdog.',
    act: (data, { settings }, now) => ({
      data: {
        ...data,
        settings,
        nextBeatAt: Math.min(data.nextBeatAt, now + settings.intervalMs),
        silentAt: Math.max(data.silentAt, data.lastReceivedAt + settings.timeoutMs),
      },
      effects: [
        {
          do: 'send',
          message: { name: 'retime', intervalMs: settings.intervalMs, timeoutMs: settings.timeoutMs },
        },
      ],
    }),
  }),
  row({
    from: every,
    on: 'configured',
    to: 'same',
    why: 'New timing holds from the next attempt on.',
    act: (data, { settings }) => ({ data: { ...data, settings } }),
  }),
  row({
    from: ['connecting', 'greeting', 'waiting'],
    on: 'protected',
    to: 'resolving',
    why: 'Whoever mends a secret or a certificate waits for the link, and a refusal of before says nothing of it.',
    act: (data, _event, now) => disconnectThen(beginAttempt(data, now)),
  }),
  row({
    from: every,
    on: 'protected',
    to: 'same',
    why: 'What is up stays; the next connection is protected in the new way.',
  }),
  row({
    from: every,
    on: 'expect',
    to: 'same',
    why: 'A name that leads to another host must not pass for this instance.',
    act: (data, { systemIdentifier, pinned }) => ({
      data: { ...data, expectedSystemIdentifier: systemIdentifier, pinned },
    }),
  }),

  // An attempt
  row({
    from: ['resolving'],
    on: 'resolved',
    to: 'connecting',
    why: 'All addresses are walked in order, one at a time.',
    when: (_data, event) => event.addresses.length > 0,
    act: (data, { addresses }, now) => tryNext({ ...data, untried: addresses }, now),
  }),
  row({
    from: ['resolving'],
    on: 'resolved',
    to: 'connecting',
    why: 'A name that has lost its addresses is no better than one that cannot be resolved.',
    when: (data) => data.lastGoodAddress !== undefined,
    act: (data, _event, now) => tryNext({ ...data, untried: [data.lastGoodAddress ?? ''] }, now),
  }),
  row({
    from: ['resolving'],
    on: 'resolved',
    to: 'waiting',
    why: 'A name without addresses cannot be reached.',
    act: (data, _event, now) => fail(data, 'host name has no address', now),
  }),
  row({
    from: ['resolving'],
    on: 'resolveFailed',
    to: 'connecting',
    why: 'When resolution fails, the last address that worked is tried.',
    when: (data) => data.lastGoodAddress !== undefined,
    act: (data, _event, now) => tryNext({ ...data, untried: [data.lastGoodAddress ?? ''] }, now),
  }),
  row({
    from: ['resolving'],
    on: 'resolveFailed',
    to: 'waiting',
    why: 'Without an address there is nothing to try.',
    act: (data, { text }, now) => fail(data, text, now),
  }),
  row({ from: every, on: 'resolved', to: 'same', why: 'An answer that comes too late is of no use.' }),
  row({ from: every, on: 'resolveFailed', to: 'same', why: 'An answer that comes too late is of no use.' }),
  row({
    from: ['resolving'],
    on: 'woke',
    to: 'connecting',
    why: 'A slow resolver must not keep the link down while an address is known.',
    when: (data, _event, now) => now >= data.phaseEndsAt && data.lastGoodAddress !== undefined,
    act: (data, _event, now) => tryNext({ ...data, untried: [data.lastGoodAddress ?? ''] }, now),
  }),
  row({
    from: ['resolving'],
    on: 'woke',
    to: 'same',
    why: 'Without an address there is nothing to try but to wait for the resolver; asking it again would not help.',
    when: (data, _event, now) => now >= data.phaseEndsAt,
    act: (data, _event, now) => fail(data, 'host name resolution timed out', now),
  }),
  row({
    from: ['connecting'],
    on: 'connected',
    to: 'greeting',
    why: 'The caller speaks first.',
    act: (data) => greet(data),
  }),
  row({
    from: every,
    on: 'connected',
    to: 'same',
    why: 'A connection that was given up is closed by the shell.',
  }),
  row({
    from: trying,
    on: 'woke',
    to: 'connecting',
    why: 'An address that does not answer within heartbeat_connect_timeout is left for the next one.',
    when: (data, _event, now) => now >= data.phaseEndsAt && data.untried.length > 0,
    act: (data, _event, now) => disconnectThen(tryNext(data, now)),
  }),
  row({
    from: ['connecting'],
    on: 'woke',
    to: 'waiting',
    why: 'TCP connect is part of the attempt that heartbeat_connect_timeout bounds.',
    when: (data, _event, now) => now >= data.phaseEndsAt,
    act: (data, _event, now) => disconnectThen(fail(data, 'connection attempt timed out', now)),
  }),
  row({
    from: ['greeting'],
    on: 'woke',
    to: 'waiting',
    why: 'The first packet and its answer are part of the attempt that heartbeat_connect_timeout bounds.',
    when: (data, _event, now) => now >= data.phaseEndsAt,
    act: (data, _event, now) =>
      disconnectThen(fail(data, 'watchdog did not answer the first packet in time', now)),
  }),
  row({
    from: trying,
    on: 'closed',
    to: 'connecting',
    why: 'The next address may be the one that works.',
    when: (data) => data.untried.length > 0,
    act: (data, _event, now) => disconnectThen(tryNext(data, now)),
  }),
  row({
    from: trying,
    on: 'closed',
    to: 'waiting',
    why: 'Every address has failed: pause for heartbeat_connect_interval.',
    act: (data, { text }, now) => disconnectThen(fail(data, text, now)),
  }),
  row({
    from: trying,
    on: 'violated',
    to: 'connecting',
    why: 'Whatever answers at this address is no watchdog; the next one may be.',
    when: (data) => data.untried.length > 0,
    act: (data, _event, now) => disconnectThen(tryNext(data, now)),
  }),
  row({
    from: trying,
    on: 'violated',
    to: 'waiting',
    why: 'Whatever answers there is no watchdog.',
    act: (data, { text }, now) => disconnectThen(fail(data, text, now)),
  }),

  // The answer to HELLO
  row({
    from: ['greeting'],
    on: 'received',
    to: 'up',
    why: 'The watchdog accepted the link.',
    when: (data, { message }) => message?.name === 'welcome' && objectionTo(data, message) === undefined,
    act: (data, { message }, now) => (message?.name === 'welcome' ? rise(data, message, now) : {}),
  }),
  row({
    from: ['greeting'],
    on: 'received',
    to: 'connecting',
    why: 'This address leads to another host than meant; the next one may be right.',
    when: (data, { message }) =>
      data.untried.length > 0 &&
      (message?.name === 'welcome' ||
        (message?.name === 'reject' && REFUSES_ONE_ADDRESS.has(rejectCode(message.code)))),
    act: (data, _event, now) => disconnectThen(tryNext(data, now)),
  }),
  row({
    from: ['greeting'],
    on: 'received',
    to: 'waiting',
    why: 'A watchdog of another cluster, or one that took no version offered, is not the one that is meant.',
    when: (_data, event) => event.message?.name === 'welcome',
    act: (data, { message }, now) =>
      message?.name === 'welcome' ? disconnectThen(fail(data, objectionTo(data, message) ?? '', now)) : {},
  }),
  row({
    from: ['greeting'],
    on: 'received',
    to: 'waiting',
    why: 'A refusal that speaks for the watchdog is final for this attempt and may ask for a longer pause.',
    when: (_data, event) => event.message?.name === 'reject',
    act: (data, { message }, now) =>
      message?.name === 'reject' ? disconnectThen(refused(data, message, now)) : {},
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
    to: 'connecting',
    why: 'Only WELCOME or REJECT may answer HELLO; the next address may do so.',
    when: (data) => data.untried.length > 0,
    act: (data, _event, now) => disconnectThen(tryNext(data, now)),
  }),
  row({
    from: ['greeting'],
    on: 'received',
    to: 'waiting',
    why: 'Only WELCOME or REJECT may answer HELLO.',
    act: (data, _event, now) =>
      disconnectThen(fail(data, 'watchdog answered the first packet with something else', now)),
  }),

  // Up
  row({
    from: ['up'],
    on: 'received',
    to: 'waiting',
    why: 'The watchdog ends the link on purpose and says why.',
    when: (_data, event) => event.message?.name === 'goodbye',
    act: (data, { message }, now) => {
      if (message?.name !== 'goodbye') return {};
      const reason = goodbyeReason(message.reason);
      return {
        data: {
          ...data,
          address: undefined,
          nextBeatAt: NEVER,
          silentAt: NEVER,
          failure: { text: message.text, since: now, attempts: 0, nextSummaryAt: now },
          phaseEndsAt: now + data.settings.connectIntervalMs,
        },
        effects: [
          { do: 'send', message: { name: 'goodbyeAck' } },
          { do: 'disconnect' },
          { do: 'reportGoodbye', reason, graceMs: message.retryAfterMs, text: message.text },
        ],
      };
    },
  }),
  row({
    from: ['up'],
    on: 'received',
    to: 'waiting',
    why: 'A message of the caller or of the greeting has no place on a link that is up.',
    when: (_data, event) =>
      ['hello', 'welcome', 'reject', 'retime', 'sessions'].includes(event.message?.name ?? ''),
    act: (data, { message }, now) => lose(data, 'protocol', `unexpected message ${message?.name}`, now),
  }),
  row({
    from: ['up'],
    on: 'received',
    to: 'same',
    why: 'Any complete packet is a sign of life.',
    act: (data, { message }, now) => receive(data, message, now),
  }),
  row({
    from: ['up'],
    on: 'closed',
    to: 'waiting',
    why: 'The connection ended without a goodbye.',
    act: (data, { text }, now) => lose(data, 'closed', text, now),
  }),
  row({
    from: ['up'],
    on: 'violated',
    to: 'waiting',
    why: 'A peer that breaks the protocol loses its link.',
    act: (data, { text }, now) => lose(data, 'protocol', text, now),
  }),
  row({
    from: ['up'],
    on: 'woke',
    to: 'same',
    why: 'A process that was itself late doubts itself first: it has read what arrived and gives the peer that time, once.',
    when: (data, event, now) =>
      now >= data.silentAt && !data.doubted && event.lateMs > data.settings.timeoutMs / 4,
    act: (data, { lateMs }, now) => grantTime(data, lateMs, now),
  }),
  row({
    from: ['up'],
    on: 'woke',
    to: 'waiting',
    why: 'No packet for longer than heartbeat_timeout.',
    when: (data, _event, now) => now >= data.silentAt,
    act: (data, _event, now) =>
      lose(data, 'timeout', `no packet for ${Math.round(now - data.lastReceivedAt)} ms`, now),
  }),
  row({
    from: ['up'],
    on: 'woke',
    to: 'same',
    why: 'A packet is sent every heartbeat_interval, whatever else flows.',
    when: (data, _event, now) => now >= data.nextBeatAt,
    act: (data, _event, now) => beat(data, now),
  }),

  // The end, and what comes too late
  row({
    from: ['waiting'],
    on: 'woke',
    to: 'resolving',
    why: 'The link is set up again, heartbeat_connect_interval after the last failure.',
    when: (data, _event, now) => now >= data.phaseEndsAt,
    act: (data, _event, now) => beginAttempt(data, now),
  }),
  row({
    from: ['leaving'],
    on: 'received',
    to: 'stopped',
    why: 'The goodbye was read.',
    when: (_data, event) => event.message?.name === 'goodbyeAck' || event.message?.name === 'goodbye',
    act: finish,
  }),
  row({
    from: ['leaving'],
    on: 'closed',
    to: 'stopped',
    why: 'The other end closed after the goodbye.',
    act: finish,
  }),
  row({ from: ['leaving'], on: 'violated', to: 'stopped', why: 'The link is ending anyway.', act: finish }),
  row({
    from: ['leaving'],
    on: 'woke',
    to: 'stopped',
    why: 'A goodbye does not wait for a peer that no longer reads.',
    when: (data, _event, now) => now >= data.phaseEndsAt,
    act: finish,
  }),
  row({
    from: ['leaving', 'waiting', 'stopped', 'resolving', 'connecting'],
    on: 'received',
    to: 'same',
    why: 'What is still in flight on an ended link means nothing.',
  }),
  row({
    from: ['waiting', 'stopped', 'resolving'],
    on: 'closed',
    to: 'same',
    why: 'The end of a connection that was given up.',
  }),
  row({
    from: ['waiting', 'stopped', 'resolving'],
    on: 'violated',
    to: 'same',
    why: 'The end of a connection that was given up.',
  }),
  row({ from: every, on: 'woke', to: 'same', why: 'Woken early: nothing is due yet.' }),
];

function finish(data: LinkData) {
  return {
    data: { ...data, phaseEndsAt: NEVER, address: undefined },
    effects: [{ do: 'disconnect' } as const],
  };
}

function disconnectThen(outcome: ReturnType<typeof fail>): ReturnType<typeof fail> {
  return { ...outcome, effects: [{ do: 'disconnect' }, ...(outcome.effects ?? [])] };
}

export const LINK_MACHINE: Machine<LinkPhase, LinkData, LinkEvent, LinkEffect> = {
  name: 'link',
  phases: LINK_PHASES,
  events: LINK_EVENTS,
  rows: ROWS,
};

/** One step of the link. */
export function stepLink(state: LinkState, event: LinkEvent, now: MonotonicMs) {
  return step(LINK_MACHINE, state, event, now);
}
