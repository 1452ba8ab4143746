/**
 * The life of one loss: from the end of a heartbeat link to the end of the sessions of its address.
 *
 * One machine per link that is gone and whose end has consequences. The shell asks PostgreSQL and reports; nothing
 * here knows SQL.
 */
import type { MachineState, Outcome } from '../fsm.js';
import { MINIMUM_DOUBT_MS } from '../link/link.js';
import type { Departure } from '../session/session.js';
import { type MonotonicMs, NEVER } from '../time.js';
import { type PassResult, type SqlSession, sessionKey } from './pass.js';

/**
 * waiting: the conmgr may come back · passing: sessions are being ended · resting: between two passes · over.
 */
export const LOSS_PHASES = ['waiting', 'passing', 'resting', 'over'] as const;
export type LossPhase = (typeof LOSS_PHASES)[number];

/** A pass is repeated this often, for sessions that were still authenticating and so could not be seen. */
export const PASS_INTERVAL_MS = 1000;
/** What goes on (a session that waits, a failure) is reported this often. */
export const REPORT_INTERVAL_MS = 60_000;

export interface LossSettings {
  /** Whose link it was. */
  readonly conmgrId: string;
  readonly address: string;
  readonly departure: Departure;
  readonly text: string;
  /** How long the conmgr may stay away; 0 = the loss is final. */
  readonly graceMs: number;
  /** Only say what would have been ended (watchdog.terminate_on = never). */
  readonly logOnly: boolean;
  /** authentication_timeout of the instance: how long passes are repeated. */
  readonly repeatForMs: number;
}

/** A session that waits for synchronous replication. */
export interface Deferred {
  readonly session: SqlSession;
  readonly nextReportAt: MonotonicMs;
}

export interface LossData {
  readonly settings: LossSettings;
  readonly since: MonotonicMs;
  /** Next deed: the end of the grace, or the next pass. */
  readonly dueAt: MonotonicMs;
  /** Time was given once for our own lateness. */
  readonly doubted: boolean;
  /** Due while the terminator was paused. */
  readonly held: boolean;
  /** Server time of the first pass: sessions that began later are none of this loss's. */
  readonly notAfter: string | undefined;
  readonly repeatEndsAt: MonotonicMs;
  /** Only deferred sessions are still to be ended. */
  readonly narrow: boolean;
  readonly deferred: readonly Deferred[];
  readonly ended: number;
  /** Sessions already reported as not ours to end. */
  readonly forbidden: ReadonlySet<string>;
  readonly nextFailureReportAt: MonotonicMs;
}

export type LossEvent =
  /** `otherLink`: a conmgr is connected from the address and has sent a packet within its own time-out. */
  | {
      readonly type: 'woke';
      readonly lateMs: number;
      readonly paused: boolean;
      readonly otherLink: boolean;
    }
  | { readonly type: 'resumed' }
  /** The same conmgr is connected again. */
  | { readonly type: 'back' }
  /** Some conmgr has connected from the address. */
  | { readonly type: 'addressBack' }
  | { readonly type: 'passed'; readonly result: PassResult }
  | { readonly type: 'passFailed'; readonly text: string }
  /** The instance is down, and all its sessions with it. */
  | { readonly type: 'instanceDown' };
export const LOSS_EVENTS = [
  'woke',
  'resumed',
  'back',
  'addressBack',
  'passed',
  'passFailed',
  'instanceDown',
] as const satisfies readonly LossEvent['type'][];

export type LossEffect =
  /** End the sessions of the address; `only`: these sessions (sessionKey); `notAfter`: begun by then. */
  | {
      readonly do: 'pass';
      readonly notAfter: string | undefined;
      readonly only: ReadonlySet<string> | undefined;
    }
  /** Count what is left alone, and say why. */
  | { readonly do: 'reportOmitted' }
  | { readonly do: 'reportLogOnly' }
  | { readonly do: 'reportHeld' }
  | { readonly do: 'reportBack'; readonly afterMs: number }
  | { readonly do: 'reportDoubt'; readonly lateMs: number }
  /** `forbidden`: those not reported before. */
  | {
      readonly do: 'reportPass';
      readonly result: PassResult;
      readonly first: boolean;
      readonly forbidden: readonly SqlSession[];
    }
  | { readonly do: 'reportDeferred'; readonly session: SqlSession }
  | { readonly do: 'reportFailure'; readonly text: string }
  | { readonly do: 'reportOver'; readonly ended: number };

export type LossState = MachineState<LossPhase, LossData>;
export type LossOutcome = Outcome<LossData, LossEffect>;

/** A link has gone; the first wake-up decides. */
export function newLoss(settings: LossSettings, now: MonotonicMs): LossState {
  return {
    phase: 'waiting',
    data: {
      settings,
      since: now,
      dueAt: now + settings.graceMs,
      doubted: settings.graceMs === 0,
      held: false,
      notAfter: undefined,
      repeatEndsAt: NEVER,
      narrow: false,
      deferred: [],
      ended: 0,
      forbidden: new Set(),
      nextFailureReportAt: 0,
    },
  };
}

/** When the shell must send `woke`; NEVER when nothing is due. */
export function lossWakeAt({ phase, data }: LossState): MonotonicMs {
  return phase === 'waiting' || phase === 'resting' ? data.dueAt : NEVER;
}

/** The process was late itself, so the conmgr may have knocked without being heard: it gets that time, once. */
export function grantGrace(data: LossData, lateMs: number, now: MonotonicMs): LossOutcome {
  const extraMs = Math.max(MINIMUM_DOUBT_MS, Math.min(lateMs, data.settings.graceMs));
  return {
    data: { ...data, doubted: true, dueAt: now + extraMs },
    effects: [{ do: 'reportDoubt', lateMs: Math.round(lateMs) }],
  };
}

/** A pass: over the whole address while passes are repeated, afterwards over what was deferred. */
export function beginPass(data: LossData, now: MonotonicMs): LossOutcome {
  const narrow = data.narrow || now >= data.repeatEndsAt;
  const only = narrow ? new Set(data.deferred.map(({ session }) => sessionKey(session))) : undefined;
  return {
    data: { ...data, narrow, dueAt: NEVER },
    effects: [{ do: 'pass', notAfter: data.notAfter, only }],
  };
}

/** Whether a pass leaves nothing to come back for. */
export function isFinished(data: LossData, result: PassResult, now: MonotonicMs): boolean {
  const narrow = data.narrow || now >= data.repeatEndsAt;
  return narrow && result.deferred.length === 0;
}

/** Takes in what a pass did. */
export function digest(data: LossData, result: PassResult, now: MonotonicMs): LossOutcome {
  const first = data.notAfter === undefined;
  const known = new Map(data.deferred.map((entry) => [sessionKey(entry.session), entry]));
  const effects: LossEffect[] = [];
  const deferred = result.deferred.map((session): Deferred => {
    const before = known.get(sessionKey(session));
    const due = before === undefined || now >= before.nextReportAt;
    if (due) effects.push({ do: 'reportDeferred', session });
    return { session, nextReportAt: due ? now + REPORT_INTERVAL_MS : before.nextReportAt };
  });
  // A session that is authenticating has no role yet and is refused to everybody but superusers: try again.
  const forbidden = result.forbidden.filter(
    (session) => session.user !== undefined && !data.forbidden.has(sessionKey(session)),
  );
  if (first || result.ended.length > 0 || forbidden.length > 0) {
    effects.unshift({ do: 'reportPass', result, first, forbidden });
  }
  return {
    data: {
      ...data,
      notAfter: data.notAfter ?? result.serverTime,
      repeatEndsAt: first ? now + data.settings.repeatForMs : data.repeatEndsAt,
      deferred,
      ended: data.ended + result.ended.length,
      forbidden: new Set([...data.forbidden, ...forbidden.map(sessionKey)]),
      dueAt: now + PASS_INTERVAL_MS,
      nextFailureReportAt: 0,
    },
    effects,
  };
}

/** A pass could not be carried out: it is repeated, and said at once and then once a minute. */
export function failPass(data: LossData, text: string, now: MonotonicMs): LossOutcome {
  const due = now >= data.nextFailureReportAt;
  return {
    data: {
      ...data,
      dueAt: now + PASS_INTERVAL_MS,
      nextFailureReportAt: due ? now + REPORT_INTERVAL_MS : data.nextFailureReportAt,
    },
    effects: due ? [{ do: 'reportFailure', text }] : [],
  };
}
