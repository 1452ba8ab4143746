/**
 * conmgr's side of one heartbeat link: how it is set up, kept alive and found dead.
 *
 * One machine per instance, stepped by the shell with what happened and the present moment. What a
 * loss means for the sessions of the instance is decided in health.ts.
 */

import type { MachineState, Outcome } from '../fsm.js';
import type { InstanceAttributes } from '../protocol/attributes.js';
import { agreedFrameLimit, decodeAttributes } from '../protocol/codec.js';
import type {
  GoodbyeReason,
  HeartbeatMessage,
  HeartbeatMessageOf,
  RejectCode,
} from '../protocol/messages.js';
import { GOODBYE_REASONS, HEARTBEAT_MAGIC, HEARTBEAT_VERSION, REJECT_CODES } from '../protocol/messages.js';
import { type MonotonicMs, NEVER } from '../time.js';
import { noteBeat, roundTripMs, type SentBeat } from './round-trip.js';

export const LINK_PHASES = [
  'stopped',
  'resolving',
  'connecting',
  'greeting',
  'up',
  'leaving',
  'waiting',
] as const;
export type LinkPhase = (typeof LINK_PHASES)[number];

/** Timing of a link, from conmgr.conf. */
export interface LinkSettings {
  readonly intervalMs: number;
  readonly timeoutMs: number;
  readonly connectIntervalMs: number;
  readonly connectTimeoutMs: number;
}

/** Who calls, for HELLO. */
export interface LinkIdentity {
  readonly conmgrId: string;
  readonly bootId: string;
  readonly software: string;
  readonly label: string;
}

/** How a link that was up came to its end, or why it did not come up. */
export type LinkEnd = 'timeout' | 'closed' | 'protocol';

export interface LinkData {
  readonly settings: LinkSettings;
  readonly identity: LinkIdentity;
  /** Cluster the instance must belong to; 0 = any. */
  readonly expectedSystemIdentifier: bigint;
  /** There are sessions at lastGoodAddress, whose postmaster answers: only the watchdog of that host will do. */
  readonly pinned: boolean;
  /** Addresses of this walk that have not been tried yet, in order. */
  readonly untried: readonly string[];
  /** Address in use or under way. */
  readonly address: string | undefined;
  /** Last address with which a link came up; tried when resolution fails. */
  readonly lastGoodAddress: string | undefined;
  /** When the present phase has lasted too long (resolving, connecting, greeting, leaving, waiting). */
  readonly phaseEndsAt: MonotonicMs;
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
  readonly watchdog: HeartbeatMessageOf<'welcome'> | undefined;
  /** Why the last attempt or link failed, and how it is being reported. */
  readonly failure: LinkFailure | undefined;
}

/** A run of failed attempts with one cause: logged once, then summed up once a minute. */
export interface LinkFailure {
  readonly text: string;
  readonly since: MonotonicMs;
  readonly attempts: number;
  readonly nextSummaryAt: MonotonicMs;
}

export type LinkEvent =
  | { readonly type: 'start' }
  | { readonly type: 'stop'; readonly reason: GoodbyeReason; readonly retryAfterMs: number }
  | { readonly type: 'resolved'; readonly addresses: readonly string[] }
  | { readonly type: 'resolveFailed'; readonly text: string }
  | { readonly type: 'connected' }
  | { readonly type: 'received'; readonly message: HeartbeatMessage | undefined }
  | { readonly type: 'closed'; readonly text: string }
  | { readonly type: 'violated'; readonly text: string }
  /** The moment given by wakeAt() has come; `lateMs`: how late the process itself was. */
  | { readonly type: 'woke'; readonly lateMs: number }
  | { readonly type: 'configured'; readonly settings: LinkSettings }
  /** What protects links has changed: an attempt may succeed now. */
  | { readonly type: 'protected' }
  | { readonly type: 'expect'; readonly systemIdentifier: bigint; readonly pinned: boolean };
export const LINK_EVENTS = [
  'start',
  'stop',
  'resolved',
  'resolveFailed',
  'connected',
  'received',
  'closed',
  'violated',
  'woke',
  'configured',
  'protected',
  'expect',
] as const satisfies readonly LinkEvent['type'][];

export type LinkEffect =
  | { readonly do: 'resolve' }
  | { readonly do: 'connect'; readonly address: string }
  | { readonly do: 'send'; readonly message: HeartbeatMessage }
  | { readonly do: 'disconnect' }
  /** What the rest of conmgr must know. */
  | { readonly do: 'reportUp'; readonly watchdog: HeartbeatMessageOf<'welcome'>; readonly address: string }
  | { readonly do: 'reportAttributes'; readonly attributes: InstanceAttributes }
  | { readonly do: 'reportLost'; readonly end: LinkEnd; readonly text: string }
  | {
      readonly do: 'reportGoodbye';
      readonly reason: GoodbyeReason;
      readonly graceMs: number;
      readonly text: string;
    }
  | {
      readonly do: 'reportRejected';
      readonly code: RejectCode;
      readonly text: string;
      /** Of the watchdog that refused. */
      readonly address: string;
    }
  /** An attempt failed; `attempts` in a row with this cause. Written when `first` or once a minute. */
  | {
      readonly do: 'reportFailure';
      readonly text: string;
      readonly attempts: number;
      readonly first: boolean;
    }
  | { readonly do: 'reportRecovered'; readonly attempts: number; readonly afterMs: number }
  | { readonly do: 'reportDoubt'; readonly lateMs: number }
  /** The watchdog wants to know the sessions that are watched, in frames of at most `maxFrame`, or no more. */
  | { readonly do: 'reportWanted'; readonly wanted: boolean; readonly maxFrame: number };

export type LinkState = MachineState<LinkPhase, LinkData>;
export type LinkOutcome = Outcome<LinkData, LinkEffect>;

/** A failure that goes on is summed up this often. */
export const FAILURE_SUMMARY_MS = 60_000;
/** GOODBYE waits this long for its acknowledgement. */
export const GOODBYE_ACK_TIMEOUT_MS = 500;
/** A watchdog may ask for a longer pause than heartbeat_connect_interval, but not for more than this. */
export const MAX_RETRY_AFTER_MS = 60_000;
/** What a late process grants a silent peer at the least: one turn of the event loop and a reading of the sockets. */
export const MINIMUM_DOUBT_MS = 50;

/** A link that has not been started. */
export function newLink(settings: LinkSettings, identity: LinkIdentity): LinkState {
  return {
    phase: 'stopped',
    data: {
      settings,
      identity,
      expectedSystemIdentifier: 0n,
      pinned: false,
      untried: [],
      address: undefined,
      lastGoodAddress: undefined,
      phaseEndsAt: NEVER,
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
      watchdog: undefined,
      failure: undefined,
    },
  };
}

/** When the shell must send `woke`; NEVER when nothing is due. */
export function linkWakeAt(state: LinkState): MonotonicMs {
  return state.phase === 'up' ? Math.min(state.data.nextBeatAt, state.data.silentAt) : state.data.phaseEndsAt;
}

/** Starts a walk over the addresses of the host. */
export function beginAttempt(data: LinkData, now: MonotonicMs): LinkOutcome {
  return {
    data: { ...data, untried: [], address: undefined, phaseEndsAt: now + data.settings.connectTimeoutMs },
    effects: [{ do: 'resolve' }],
  };
}

/** Tries the next address; the caller has made sure that there is one. */
export function tryNext(data: LinkData, now: MonotonicMs): LinkOutcome {
  const [address = '', ...untried] = data.untried;
  return {
    data: { ...data, untried, address, phaseEndsAt: now + data.settings.connectTimeoutMs },
    effects: [{ do: 'connect', address }],
  };
}

/** HELLO, once TCP is connected. */
export function greet(data: LinkData): LinkOutcome {
  const { identity, settings } = data;
  return {
    effects: [
      {
        do: 'send',
        message: {
          name: 'hello',
          magic: HEARTBEAT_MAGIC,
          versionMin: HEARTBEAT_VERSION.min,
          versionMax: HEARTBEAT_VERSION.max,
          intervalMs: settings.intervalMs,
          timeoutMs: settings.timeoutMs,
          conmgrId: identity.conmgrId,
          bootId: identity.bootId,
          systemIdentifier: data.expectedSystemIdentifier,
          software: identity.software,
          label: identity.label,
        },
      },
    ],
  };
}

/** WELCOME: the link is up; the first BEAT goes out at once. */
export function rise(data: LinkData, welcome: HeartbeatMessageOf<'welcome'>, now: MonotonicMs): LinkOutcome {
  const address = data.address ?? '';
  const up: LinkData = {
    ...data,
    untried: [],
    lastGoodAddress: address,
    phaseEndsAt: NEVER,
    watchdog: welcome,
    lastReceivedAt: now,
    silentAt: now + data.settings.timeoutMs,
    doubted: false,
    seq: 0,
    echoSeq: 0,
    sent: [],
    rttMs: undefined,
    packetsReceived: 1,
    nextBeatAt: now,
    failure: undefined,
  };
  const sent = beat(up, now);
  const recovered: readonly LinkEffect[] =
    data.failure === undefined
      ? []
      : [{ do: 'reportRecovered', attempts: data.failure.attempts, afterMs: now - data.failure.since }];
  // A reload between HELLO and WELCOME: the watchdog still keeps the timing of HELLO.
  const { intervalMs, timeoutMs } = data.settings;
  const retime: readonly LinkEffect[] =
    welcome.intervalMs === intervalMs && welcome.timeoutMs === timeoutMs
      ? []
      : [{ do: 'send', message: { name: 'retime', intervalMs, timeoutMs } }];
  return {
    ...sent,
    effects: [
      { do: 'reportUp', watchdog: welcome, address },
      ...recovered,
      ...retime,
      ...(sent.effects ?? []),
    ],
  };
}

/** Sends one BEAT and plans the next; beats keep their spacing, a late process does not send a burst. */
export function beat(data: LinkData, now: MonotonicMs): LinkOutcome {
  const seq = data.seq === 0xffff_ffff ? 1 : data.seq + 1;
  const planned = data.nextBeatAt + data.settings.intervalMs;
  const next = draftOf(data);
  next.seq = seq;
  next.sent = noteBeat(data.sent, seq, now);
  next.nextBeatAt = planned > now ? planned : now + data.settings.intervalMs;
  return {
    data: next,
    effects: [
      {
        do: 'send',
        message: {
          name: 'beat',
          seq,
          echoSeq: data.echoSeq,
          echoDelayUs: data.echoSeq === 0 ? 0 : Math.min(0xffff_ffff, Math.round((now - data.echoAt) * 1000)),
          attrVersion: 0,
        },
      },
    ],
  };
}

type Draft = { -readonly [Key in keyof LinkData]: LinkData[Key] };

/**
 * A copy to be written to before anybody else sees it. For what happens with every packet: written out, objects keep one
 * shape, while copies by spreading get ever new ones and make whatever reads them slow.
 */
function draftOf(data: LinkData): Draft {
  return {
    settings: data.settings,
    identity: data.identity,
    expectedSystemIdentifier: data.expectedSystemIdentifier,
    pinned: data.pinned,
    untried: data.untried,
    address: data.address,
    lastGoodAddress: data.lastGoodAddress,
    phaseEndsAt: data.phaseEndsAt,
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
    watchdog: data.watchdog,
    failure: data.failure,
  };
}

/** Any complete packet is a sign of life. */
function alive(data: LinkData, now: MonotonicMs): Draft {
  const next = draftOf(data);
  next.lastReceivedAt = now;
  next.silentAt = now + data.settings.timeoutMs;
  next.doubted = false;
  next.packetsReceived = data.packetsReceived + 1;
  return next;
}

/** A frame on a link that is up. GOODBYE has its own row. */
export function receive(
  data: LinkData,
  message: HeartbeatMessage | undefined,
  now: MonotonicMs,
): LinkOutcome {
  const next = alive(data, now);
  if (message?.name === 'attr') {
    return { data: next, effects: [{ do: 'reportAttributes', attributes: decodeAttributes(message) }] };
  }
  if (message?.name === 'wantSessions') {
    const maxFrame = agreedFrameLimit(data.watchdog?.maxFrame ?? 0);
    return { data: next, effects: [{ do: 'reportWanted', wanted: message.wanted === 1, maxFrame }] };
  }
  if (message?.name === 'beat') {
    next.echoSeq = message.seq;
    next.echoAt = now;
    next.rttMs = roundTripMs(data.sent, message, now) ?? data.rttMs;
  }
  return { data: next };
}

/** The process was late itself: the peer gets that time once, after what has arrived was read. */
export function grantTime(data: LinkData, lateMs: number, now: MonotonicMs): LinkOutcome {
  const extraMs = Math.max(MINIMUM_DOUBT_MS, Math.min(lateMs, data.settings.timeoutMs));
  return {
    data: { ...data, doubted: true, silentAt: now + extraMs },
    effects: [{ do: 'reportDoubt', lateMs: Math.round(lateMs) }],
  };
}

/** An attempt failed and no address is left: report by the rule (once, then a summary a minute) and wait. */
export function fail(data: LinkData, text: string, now: MonotonicMs, retryAfterMs = 0): LinkOutcome {
  const same = data.failure?.text === text ? data.failure : undefined;
  const attempts = (same?.attempts ?? 0) + 1;
  const first = same === undefined;
  const due = first || now >= same.nextSummaryAt;
  const failure: LinkFailure = {
    text,
    attempts,
    since: data.failure?.since ?? now,
    nextSummaryAt: due ? now + FAILURE_SUMMARY_MS : same.nextSummaryAt,
  };
  return {
    data: {
      ...data,
      failure,
      address: undefined,
      untried: [],
      phaseEndsAt:
        now + Math.max(data.settings.connectIntervalMs, Math.min(retryAfterMs, MAX_RETRY_AFTER_MS)),
    },
    effects: due ? [{ do: 'reportFailure', text, attempts, first }] : [],
  };
}

/** A link that was up is no more. */
export function lose(data: LinkData, end: LinkEnd, text: string, now: MonotonicMs): LinkOutcome {
  return {
    data: {
      ...data,
      address: undefined,
      nextBeatAt: NEVER,
      silentAt: NEVER,
      failure: { text, since: now, attempts: 0, nextSummaryAt: now },
      phaseEndsAt: now + data.settings.connectIntervalMs,
    },
    effects: [{ do: 'reportLost', end, text }, { do: 'disconnect' }],
  };
}

/** Refusals that another address of the same name may not share: it may be another host, or see another caller. */
export const REFUSES_ONE_ADDRESS: ReadonlySet<RejectCode> = new Set(['wrongCluster', 'notAllowed']);

/** REJECT: the first one with this text is reported as such, a run of them is summed up like any failure. */
export function refused(
  data: LinkData,
  { code, text, retryAfterMs }: HeartbeatMessageOf<'reject'>,
  now: MonotonicMs,
): LinkOutcome {
  const word = rejectCode(code);
  const failed = fail(data, `watchdog refused the link: ${text || word}`, now, retryAfterMs);
  const effects = (failed.effects ?? []).map(
    (effect): LinkEffect =>
      effect.do === 'reportFailure' && effect.first
        ? { do: 'reportRejected', code: word, text, address: data.address ?? '' }
        : effect,
  );
  return { ...failed, effects };
}

/** Why a WELCOME cannot be taken, undefined when it can. */
export function objectionTo(data: LinkData, welcome: HeartbeatMessageOf<'welcome'>): string | undefined {
  if (welcome.version < HEARTBEAT_VERSION.min || welcome.version > HEARTBEAT_VERSION.max)
    return `watchdog speaks protocol version ${welcome.version}, which was not offered`;
  const [wanted, found] = [data.expectedSystemIdentifier, welcome.systemIdentifier];
  if (wanted !== 0n && found !== 0n && wanted !== found)
    return `watchdog belongs to another cluster, with system identifier ${found} instead of ${wanted}`;
  const { pinned, address, lastGoodAddress } = data;
  if (pinned && address !== lastGoodAddress && welcome.bootId !== data.watchdog?.bootId)
    return `watchdog at ${address} is not the one of ${lastGoodAddress}, where the sessions are`;
  return undefined;
}

/** The words for a reject code; a number of a later version reads as 'other'. */
export function rejectCode(code: number): RejectCode {
  return REJECT_CODES[code] ?? 'other';
}

/** The goodbye reason; a number of a later version reads as a plain stop. */
export function goodbyeReason(reason: number): GoodbyeReason {
  return GOODBYE_REASONS[reason] ?? 'stop';
}
