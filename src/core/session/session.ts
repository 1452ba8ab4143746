/**
 * The watchdog's side of one heartbeat link: its greeting, its life and the way it went.
 *
 * One machine per connection, stepped by the shell with what happened and the present moment. Whether a HELLO is
 * accepted is decided in admission.ts, what the end of a link means for SQL sessions in core/terminator.
 */

import type { MachineState, Outcome } from '../fsm.js';
import { GOODBYE_ACK_TIMEOUT_MS, goodbyeReason, MINIMUM_DOUBT_MS } from '../link/link.js';
import { noteBeat, roundTripMs, type SentBeat } from '../link/round-trip.js';
import type { HeartbeatMessage, HeartbeatMessageOf, RejectCode } from '../protocol/messages.js';
import {
  GOODBYE_REASONS,
  type GoodbyeReason,
  HELLO_TIMEOUT_MS,
  REJECT_CODES,
  TIMING_BOUNDS,
} from '../protocol/messages.js';
import { type MonotonicMs, NEVER } from '../time.js';

/**
 * greeting: accepted, HELLO awaited · judged: HELLO has come, admission is being decided · up · leaving: the
 * watchdog has said goodbye · ended.
 */
export const SESSION_PHASES = ['greeting', 'judged', 'up', 'leaving', 'ended'] as const;
export type SessionPhase = (typeof SESSION_PHASES)[number];

/** How a link that was up came to its end. */
export const DEPARTURES = [
  /** No packet for longer than heartbeat_timeout. */
  'timeout',
  /** FIN or RST without a goodbye. */
  'closed',
  /** The peer broke the protocol. */
  'protocol',
  /** Goodbye: it is being restarted. */
  'restart',
  /** Goodbye: it stops. */
  'stop',
  /** Goodbye: its host shuts down. */
  'hostShutdown',
  /** Goodbye: this instance has left the configuration of the conmgr. */
  'released',
  /** A newer connection of the same conmgr took its place. */
  'replaced',
] as const;
export type Departure = (typeof DEPARTURES)[number];

/** Which telling of the attributes is the present one: `serial` grows with every difference, positions included. */
export interface Telling {
  readonly serial: number;
  /** `version` of the ATTR. */
  readonly version: number;
}

/** What is kept of a HELLO. */
export type Caller = Pick<HeartbeatMessageOf<'hello'>, 'conmgrId' | 'software' | 'label'>;

export interface SessionData {
  /** When the present phase has lasted too long (greeting, leaving). */
  readonly phaseEndsAt: MonotonicMs;
  /** Undefined before HELLO. */
  readonly caller: Caller | undefined;
  readonly intervalMs: number;
  readonly timeoutMs: number;
  readonly upSince: MonotonicMs;
  readonly nextBeatAt: MonotonicMs;
  readonly lastReceivedAt: MonotonicMs;
  /** The peer is silent too long when this passes. */
  readonly silentAt: MonotonicMs;
  /** The peer was once given time for our own lateness since its last packet. */
  readonly doubted: boolean;
  readonly seq: number;
  readonly echoSeq: number;
  readonly echoAt: MonotonicMs;
  /** Beats sent last, for measuring the round trip. */
  readonly sent: readonly SentBeat[];
  readonly rttMs: number | undefined;
  readonly packetsReceived: number;
  /** BEATs received, those of the same conmgr's link before included. */
  readonly beats: number;
  readonly told: Telling;
}

export type SessionEvent =
  | { readonly type: 'received'; readonly message: HeartbeatMessage | undefined }
  | { readonly type: 'closed'; readonly text: string }
  | { readonly type: 'violated'; readonly text: string }
  /** The moment given by sessionWakeAt() has come; `lateMs`: how late the process itself was. */
  | { readonly type: 'woke'; readonly lateMs: number; readonly telling: Telling }
  /**
   * Admission accepted the HELLO. `priorBeats`: received on the link of the same conmgr before. `spread`: the part of
   * an interval (0 to 1) after which the second BEAT follows the first, default 1; whoever gives each link another one
   * keeps the beats of links that came together from going out together for ever.
   */
  | {
      readonly type: 'admitted';
      readonly welcome: HeartbeatMessageOf<'welcome'>;
      readonly telling: Telling;
      readonly priorBeats: number;
      readonly spread?: number;
    }
  | {
      readonly type: 'refused';
      readonly code: RejectCode;
      readonly retryAfterMs: number;
      readonly text: string;
    }
  /** The attributes changed: everybody hears at once. */
  | { readonly type: 'changed'; readonly telling: Telling }
  | { readonly type: 'replaced'; readonly text: string }
  /** Whether what ends with the link depends on the sessions that the conmgr reports. */
  | { readonly type: 'want'; readonly wanted: boolean }
  | {
      readonly type: 'stop';
      readonly reason: GoodbyeReason;
      readonly retryAfterMs: number;
      readonly text: string;
    };
export const SESSION_EVENTS = [
  'received',
  'closed',
  'violated',
  'woke',
  'admitted',
  'refused',
  'changed',
  'replaced',
  'want',
  'stop',
] as const satisfies readonly SessionEvent['type'][];

export type SessionEffect =
  | { readonly do: 'send'; readonly message: HeartbeatMessage }
  /** Send the present attributes; the shell has them encoded once for all links. */
  | { readonly do: 'sendAttributes' }
  /** Decide about a HELLO; answer with `admitted` or `refused`. */
  | { readonly do: 'judge'; readonly hello: HeartbeatMessageOf<'hello'> }
  /** Send what is queued and close. */
  | { readonly do: 'end' }
  /** Close at once. */
  | { readonly do: 'destroy' }
  | { readonly do: 'reportUp' }
  | { readonly do: 'reportRefused'; readonly code: RejectCode; readonly text: string }
  /** Whoever connected is no conmgr, or none that got as far as HELLO. */
  | { readonly do: 'reportStray'; readonly text: string }
  | { readonly do: 'reportGone'; readonly departure: Departure; readonly text: string }
  | { readonly do: 'reportRetimed' }
  | { readonly do: 'reportSessions'; readonly message: HeartbeatMessageOf<'sessions'> }
  | { readonly do: 'reportDoubt'; readonly lateMs: number };

export type SessionState = MachineState<SessionPhase, SessionData>;
export type SessionOutcome = Outcome<SessionData, SessionEffect>;

/** A connection that was just accepted. */
export function newSession(now: MonotonicMs): SessionState {
  return {
    phase: 'greeting',
    data: {
      phaseEndsAt: now + HELLO_TIMEOUT_MS,
      caller: undefined,
      intervalMs: 0,
      timeoutMs: 0,
      upSince: 0,
      nextBeatAt: NEVER,
      lastReceivedAt: 0,
      silentAt: NEVER,
      doubted: false,
      seq: 0,
      echoSeq: 0,
      echoAt: 0,
      sent: [],
      rttMs: undefined,
      packetsReceived: 0,
      beats: 0,
      told: { serial: 0, version: 0 },
    },
  };
}

/** When the shell must send `woke`; NEVER when nothing is due. */
export function sessionWakeAt({ phase, data }: SessionState): MonotonicMs {
  return phase === 'up' ? Math.min(data.nextBeatAt, data.silentAt) : data.phaseEndsAt;
}

/** Whether a link is up and its peer has sent a packet within its own time-out: then its host lives. */
export function isLive({ phase, data }: SessionState, now: MonotonicMs): boolean {
  return phase === 'up' && now - data.lastReceivedAt <= data.timeoutMs;
}

/** Whether a link may be timed so. */
export function timingInBounds(intervalMs: number, timeoutMs: number): boolean {
  return [intervalMs, timeoutMs].every((ms) => ms >= TIMING_BOUNDS.minMs && ms <= TIMING_BOUNDS.maxMs);
}

/** The rest of it has been judged and is not needed any more. */
export function callerOf({ conmgrId, software, label }: HeartbeatMessageOf<'hello'>): Caller {
  return { conmgrId, software, label };
}

/** WELCOME, then the attributes and the first BEAT right away. */
export function rise(
  data: SessionData,
  welcome: HeartbeatMessageOf<'welcome'>,
  telling: Telling,
  priorBeats: number,
  spread: number,
  now: MonotonicMs,
): SessionOutcome {
  const up: SessionData = {
    ...data,
    phaseEndsAt: NEVER,
    intervalMs: welcome.intervalMs,
    timeoutMs: welcome.timeoutMs,
    upSince: now,
    lastReceivedAt: now,
    silentAt: now + welcome.timeoutMs,
    // One interval before the second.
    nextBeatAt: now - welcome.intervalMs * (1 - spread),
    packetsReceived: 1,
    beats: priorBeats,
    told: telling,
  };
  const first = beat(up, telling, now);
  return {
    ...first,
    effects: [
      { do: 'send', message: welcome },
      { do: 'sendAttributes' },
      ...(first.effects ?? []),
      { do: 'reportUp' },
    ],
  };
}

/**
 * One BEAT, and with it the attributes if anything in them moved since this link heard them last. Beats keep their
 * spacing; a late process does not send a burst.
 */
export function beat(data: SessionData, telling: Telling, now: MonotonicMs): SessionOutcome {
  const seq = data.seq === 0xffff_ffff ? 1 : data.seq + 1;
  const planned = data.nextBeatAt + data.intervalMs;
  const message: HeartbeatMessage = {
    name: 'beat',
    seq,
    echoSeq: data.echoSeq,
    echoDelayUs: data.echoSeq === 0 ? 0 : Math.min(0xffff_ffff, Math.round((now - data.echoAt) * 1000)),
    attrVersion: telling.version,
  };
  const next = draftOf(data);
  next.seq = seq;
  next.sent = noteBeat(data.sent, seq, now);
  next.told = telling;
  next.nextBeatAt = planned > now ? planned : now + data.intervalMs;
  return {
    data: next,
    effects:
      telling.serial === data.told.serial
        ? [{ do: 'send', message }]
        : [{ do: 'sendAttributes' }, { do: 'send', message }],
  };
}

type Draft = { -readonly [Key in keyof SessionData]: SessionData[Key] };

/**
 * A copy to be written to before anybody else sees it. For what happens with every packet: written out, objects keep one
 * shape, while copies by spreading get ever new ones and make whatever reads them slow.
 */
function draftOf(data: SessionData): Draft {
  return {
    phaseEndsAt: data.phaseEndsAt,
    caller: data.caller,
    intervalMs: data.intervalMs,
    timeoutMs: data.timeoutMs,
    upSince: data.upSince,
    nextBeatAt: data.nextBeatAt,
    lastReceivedAt: data.lastReceivedAt,
    silentAt: data.silentAt,
    doubted: data.doubted,
    seq: data.seq,
    echoSeq: data.echoSeq,
    echoAt: data.echoAt,
    sent: data.sent,
    rttMs: data.rttMs,
    packetsReceived: data.packetsReceived,
    beats: data.beats,
    told: data.told,
  };
}

/** Any complete packet is a sign of life. */
export function alive(data: SessionData, now: MonotonicMs): Draft {
  const next = draftOf(data);
  next.lastReceivedAt = now;
  next.silentAt = now + data.timeoutMs;
  next.doubted = false;
  next.packetsReceived = data.packetsReceived + 1;
  return next;
}

/** A BEAT: counted, echoed with the next of ours, and measured if it echoes one of our last. */
export function hear(data: SessionData, message: HeartbeatMessageOf<'beat'>, now: MonotonicMs): SessionData {
  const next = alive(data, now);
  next.echoSeq = message.seq;
  next.echoAt = now;
  next.beats = data.beats + 1;
  next.rttMs = roundTripMs(data.sent, message, now) ?? data.rttMs;
  return next;
}

/** New timing; the time-out that runs already is not cut short by it. */
export function retime(
  data: SessionData,
  { intervalMs, timeoutMs }: HeartbeatMessageOf<'retime'>,
  now: MonotonicMs,
): SessionOutcome {
  return {
    data: {
      ...alive(data, now),
      intervalMs,
      timeoutMs,
      nextBeatAt: Math.min(data.nextBeatAt, now + intervalMs),
      silentAt: now + Math.max(timeoutMs, data.timeoutMs),
    },
    effects: [{ do: 'reportRetimed' }],
  };
}

/** The process was late itself: the peer gets that time once, after what has arrived was read. */
export function grantTime(data: SessionData, lateMs: number, now: MonotonicMs): SessionOutcome {
  const extraMs = Math.max(MINIMUM_DOUBT_MS, Math.min(lateMs, data.timeoutMs));
  return {
    data: { ...data, doubted: true, silentAt: now + extraMs },
    effects: [{ do: 'reportDoubt', lateMs: Math.round(lateMs) }],
  };
}

/** A goodbye of the peer in the terms of the terminator. A reason that only a watchdog gives counts as a stop. */
export function departureOf(message: HeartbeatMessageOf<'goodbye'>): Departure {
  const reason = goodbyeReason(message.reason);
  return reason === 'limit' || reason === 'instanceStopping' ? 'stop' : reason;
}

/** A link that was up is no more; the effects close the connection first. */
export function depart(
  data: SessionData,
  departure: Departure,
  text: string,
  close: readonly SessionEffect[],
): SessionOutcome {
  return {
    data: { ...data, nextBeatAt: NEVER, silentAt: NEVER, phaseEndsAt: NEVER },
    effects: [...close, { do: 'reportGone', departure, text }],
  };
}

/** The watchdog ends the link: a goodbye that waits a moment for its acknowledgement. */
export function leave(
  data: SessionData,
  { reason, retryAfterMs, text }: Extract<SessionEvent, { type: 'stop' }>,
  now: MonotonicMs,
): SessionOutcome {
  return {
    data: { ...data, phaseEndsAt: now + GOODBYE_ACK_TIMEOUT_MS },
    effects: [{ do: 'send', message: goodbye(reason, text, retryAfterMs) }],
  };
}

export function goodbye(reason: GoodbyeReason, text: string, retryAfterMs = 0): HeartbeatMessage {
  return { name: 'goodbye', reason: GOODBYE_REASONS.indexOf(reason), retryAfterMs, text };
}

export function reject(code: RejectCode, retryAfterMs: number, text: string): HeartbeatMessage {
  return { name: 'reject', code: REJECT_CODES.indexOf(code), retryAfterMs, text };
}
