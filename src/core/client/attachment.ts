/**
 * The life of a client's attachment to conmgr: from the offer of candidates over BOUND, a loss or a restart of
 * conmgr, to the end of the SQL connection.
 */

import { type Machine, type MachineState, rowsOf } from '../fsm.js';
import type { ByeKind, DownReason } from '../protocol/first-phase.js';
import { earliest, type MonotonicMs } from '../time.js';

/** Back-off between attempts to re-attach: doubled from the first to the last value, each drawn from its upper half. */
export const REATTACH_FIRST_MS = 100;
export const REATTACH_LAST_MS = 2000;
/** Longest grace that is believed; a wrong HELLO must not keep a client waiting for days. */
export const LONGEST_GRACE_MS = 60 * 60_000;

/** Why a session ends: conmgr's word, or that conmgr itself is gone. */
export type LossReason = DownReason | 'conmgr stopped' | 'conmgr gone';

export const ATTACHMENT_PHASES = [
  'offered',
  'orphaned',
  'bound',
  'reattaching',
  'unwatched',
  'over',
] as const;
/** orphaned: conmgr left before the SQL connection was there; unwatched: kept without a conmgr. */
export type AttachmentPhase = (typeof ATTACHMENT_PHASES)[number];

export const ATTACHMENT_EVENTS = [
  'bind',
  'down',
  'bye',
  'closed',
  'timer',
  'reattached',
  'reattach-failed',
  'end',
] as const;
export type AttachmentEvent =
  /** The SQL connection to this instance stands. */
  | { readonly type: 'bind'; readonly instance: number }
  | {
      readonly type: 'down';
      readonly instance: number;
      readonly action: 'drop' | 'advice';
      readonly reason: DownReason;
      readonly text: string;
    }
  | { readonly type: 'bye'; readonly bye: ByeKind; readonly graceMs: number }
  /** The connection to conmgr is gone: closed, reset, or given up because of what came over it. */
  | { readonly type: 'closed' }
  /** The wait that was asked for is over. */
  | { readonly type: 'timer' }
  | { readonly type: 'reattached'; readonly graceMs: number }
  | { readonly type: 'reattach-failed' }
  /** The SQL connection is at its end. */
  | { readonly type: 'end' };

export type AttachmentEffect =
  | { readonly type: 'send-bound'; readonly instance: number }
  /** Do not wait for a connection to this instance any longer. */
  | {
      readonly type: 'doubt';
      readonly instance: number;
      readonly reason: DownReason;
      readonly text: string;
    }
  /** End the SQL connection with an error. */
  | { readonly type: 'lose'; readonly reason: LossReason; readonly text: string }
  /** Close the connection to conmgr, if there is one. */
  | { readonly type: 'close' }
  /** Draw a wait from this span, then report 'timer'. */
  | { readonly type: 'wait'; readonly fromMs: number; readonly toMs: number }
  | { readonly type: 'reattach'; readonly instance: number };

export interface AttachmentData {
  readonly instance: number;
  readonly graceMs: number;
  /** conmgrLost: 'keep': a session outlives its conmgr. */
  readonly keep: boolean;
  /** What conmgr said before it left; undefined when nothing. Its grace, if not 0, stands above that of HELLO. */
  readonly bye: { readonly kind: ByeKind; readonly graceMs: number } | undefined;
  readonly deadline: MonotonicMs;
  readonly attempts: number;
}

export type AttachmentState = MachineState<AttachmentPhase, AttachmentData>;

/** An attachment whose candidates have just been told. */
export function newAttachment(graceMs: number, keep: boolean): AttachmentState {
  return {
    phase: 'offered',
    data: { instance: -1, graceMs, keep, bye: undefined, deadline: 0, attempts: 0 },
  };
}

type Step = { readonly data: AttachmentData; readonly effects: readonly AttachmentEffect[] };

const saidRestart = (data: AttachmentData) => data.bye?.kind === 'restart';
const mayReturn = (data: AttachmentData) => saidRestart(data) || data.keep;
const isFinalBye = (bye: ByeKind) => bye !== 'restart';

function lose(reason: LossReason, text = ''): { readonly effects: readonly AttachmentEffect[] } {
  return { effects: [{ type: 'lose', reason, text }, { type: 'close' }] };
}

function startReattaching(data: AttachmentData, now: MonotonicMs): Step {
  const graceMs = Math.min(data.bye?.graceMs || data.graceMs, LONGEST_GRACE_MS);
  return {
    data: { ...data, deadline: now + graceMs, attempts: 1 },
    effects: [{ type: 'close' }, { type: 'wait', fromMs: REATTACH_FIRST_MS / 2, toMs: REATTACH_FIRST_MS }],
  };
}

/** The last wait ends at the deadline, so that the whole grace is used before conmgr is given up. */
function waitAgain(data: AttachmentData, now: MonotonicMs): Step {
  const longest = Math.min(REATTACH_FIRST_MS * 2 ** data.attempts, REATTACH_LAST_MS);
  const leftMs = data.deadline - now;
  return {
    data: { ...data, attempts: Math.min(data.attempts + 1, 16) },
    effects: [{ type: 'wait', fromMs: earliest(longest / 2, leftMs), toMs: earliest(longest, leftMs) }],
  };
}

const row = rowsOf<AttachmentPhase, AttachmentData, AttachmentEvent, AttachmentEffect>();

export const ATTACHMENT: Machine<AttachmentPhase, AttachmentData, AttachmentEvent, AttachmentEffect> = {
  name: 'attachment to conmgr',
  phases: ATTACHMENT_PHASES,
  events: ATTACHMENT_EVENTS,
  rows: [
    row({
      from: ['offered'],
      on: 'bind',
      to: 'bound',
      why: 'conmgr is told where the SQL connection goes, so that it can tell of a loss.',
      act: (data, event) => ({
        data: { ...data, instance: event.instance },
        effects: [{ type: 'send-bound', instance: event.instance }],
      }),
    }),
    row({
      from: ['offered'],
      on: 'down',
      to: 'same',
      why: 'A connection that is being made to a dead server would hang: it is given up at once.',
      when: (_data, event) => event.action === 'drop',
      act: (_data, event) => ({
        effects: [{ type: 'doubt', instance: event.instance, reason: event.reason, text: event.text }],
      }),
    }),
    row({
      from: ['offered', 'bound'],
      on: 'bye',
      to: 'same',
      why: 'A restarting conmgr will be back: the SQL connection stays.',
      when: (_data, event) => !isFinalBye(event.bye),
      act: (data, event) => ({
        data: { ...data, bye: { kind: event.bye, graceMs: event.graceMs } },
      }),
    }),
    row({
      from: ['offered'],
      on: 'bye',
      to: 'same',
      why: 'What conmgr said counts once the SQL connection stands and conmgr has closed.',
      act: (data, event) => ({
        data: { ...data, bye: { kind: event.bye, graceMs: event.graceMs } },
      }),
    }),
    row({
      from: ['offered'],
      on: 'closed',
      to: 'orphaned',
      why: 'conmgr left while the SQL connection was being made; it is judged when that stands.',
      act: () => ({ effects: [{ type: 'close' }] }),
    }),
    row({
      from: ['orphaned'],
      on: 'bind',
      to: 'reattaching',
      why: 'A conmgr that restarts, or whose loss is forgiven, is sought for its grace.',
      when: mayReturn,
      act: (data, event, now) => startReattaching({ ...data, instance: event.instance }, now),
    }),
    row({
      from: ['orphaned'],
      on: 'bind',
      to: 'over',
      why: 'Without a conmgr nobody would tell of a loss: the session is not begun.',
      act: (data) => lose(data.bye === undefined ? 'conmgr gone' : 'conmgr stopped'),
    }),
    row({
      from: ['bound'],
      on: 'down',
      to: 'over',
      why: 'conmgr told that this instance is not to be used any more.',
      when: (data, event) => event.action === 'drop' && event.instance === data.instance,
      act: (_data, event) => lose(event.reason, event.text),
    }),
    row({
      from: ['bound'],
      on: 'down',
      to: 'same',
      why: 'Advice, or an instance that this session does not use.',
    }),
    row({
      from: ['bound'],
      on: 'bye',
      to: 'unwatched',
      why: 'conmgr stops for good, and the application wants to keep its session.',
      when: (data) => data.keep,
      act: () => ({ effects: [{ type: 'close' }] }),
    }),
    row({
      from: ['bound'],
      on: 'bye',
      to: 'over',
      why: 'A conmgr that stops ends the sessions it watched.',
      act: () => lose('conmgr stopped'),
    }),
    row({
      from: ['bound'],
      on: 'closed',
      to: 'reattaching',
      why: 'A conmgr that restarts, or whose loss is forgiven, is sought for its grace.',
      when: mayReturn,
      act: (data, _event, now) => startReattaching(data, now),
    }),
    row({
      from: ['bound'],
      on: 'closed',
      to: 'over',
      why: 'conmgr vanished without a word: an error as if the instance had gone down.',
      act: () => lose('conmgr gone'),
    }),
    row({
      from: ['reattaching'],
      on: 'timer',
      to: 'same',
      why: 'The wait is over: knock again.',
      act: (data) => ({ effects: [{ type: 'reattach', instance: data.instance }] }),
    }),
    row({
      from: ['reattaching'],
      on: 'reattached',
      to: 'bound',
      why: 'conmgr is back and is told where the SQL connection goes.',
      act: (data, event) => ({
        data: { ...data, graceMs: event.graceMs, bye: undefined },
        effects: [{ type: 'send-bound', instance: data.instance }],
      }),
    }),
    row({
      from: ['reattaching'],
      on: 'reattach-failed',
      to: 'same',
      why: 'The grace is not over.',
      when: (data, _event, now) => now < data.deadline,
      act: (data, _event, now) => waitAgain(data, now),
    }),
    row({
      from: ['reattaching'],
      on: 'reattach-failed',
      to: 'unwatched',
      why: 'conmgr is gone for good, and the application wants to keep its session.',
      when: (data) => data.keep,
    }),
    row({
      from: ['reattaching'],
      on: 'reattach-failed',
      to: 'over',
      why: 'conmgr is gone for good: an error as if the instance had gone down.',
      act: () => lose('conmgr gone'),
    }),
    row({
      from: ['offered', 'orphaned', 'bound', 'reattaching', 'unwatched'],
      on: 'end',
      to: 'over',
      why: 'Nothing is left to be watched.',
      act: () => ({ effects: [{ type: 'close' }] }),
    }),
    row({
      from: ['over'],
      on: 'reattached',
      to: 'same',
      why: 'conmgr came back to a session that is over.',
      act: () => ({ effects: [{ type: 'close' }] }),
    }),
    ...ATTACHMENT_EVENTS.map((on) =>
      row({
        from: ['offered', 'orphaned', 'bound', 'reattaching', 'unwatched', 'over'],
        on,
        to: 'same',
        why: 'Too late or too early to mean anything.',
      }),
    ),
  ],
};
