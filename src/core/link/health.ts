/**
 * What a loss means: from link, probe and attributes to the fate of an instance's sessions.
 *
 * The kinds of loss are told apart because they deserve different answers: a silent host ends its
 * sessions at once, a watchdog that merely went away does not. One machine per instance.
 */
import { type Machine, type MachineState, type Outcome, type Row, rowsOf, step } from '../fsm.js';
import type { DownReason } from '../protocol/first-phase.js';
import type { GoodbyeReason } from '../protocol/messages.js';
import { type MonotonicMs, NEVER } from '../time.js';
import type { LinkEnd } from './link.js';

/**
 * unseen: no link yet since the start · monitored: link up, instance alive · down: link up, instance
 * not running · checking: link gone, the postmaster is being asked · grace: planned restart of the
 * watchdog · unmonitored: link gone, postmaster answers · leaving: the host shuts down · lost.
 */
export const HEALTH_PHASES = [
  'unseen',
  'monitored',
  'down',
  'checking',
  'grace',
  'unmonitored',
  'leaving',
  'lost',
] as const;
export type HealthPhase = (typeof HEALTH_PHASES)[number];

export interface HealthSettings {
  readonly intervalMs: number;
  readonly timeoutMs: number;
}

export interface HealthData {
  readonly settings: HealthSettings;
  /** End of the check or of the grace. */
  readonly phaseEndsAt: MonotonicMs;
  readonly nextProbeAt: MonotonicMs;
  /** The postmaster counts as gone when this passes without an answer. */
  readonly silentAt: MonotonicMs;
  readonly probing: boolean;
  /** The postmaster was once given time for our own lateness since its last sign of life. */
  readonly doubted: boolean;
  /** Told with the goodbye or the end of the link; shown in status. */
  readonly reason: string;
  /** Reason word for the sessions if the check fails. */
  readonly downReason: DownReason;
}

export type HealthEvent =
  | { readonly type: 'start' }
  /** A predecessor monitored it until just now. */
  | { readonly type: 'adopted' }
  | { readonly type: 'linkUp' }
  | { readonly type: 'linkLost'; readonly end: LinkEnd; readonly text: string }
  | {
      readonly type: 'goodbye';
      readonly reason: GoodbyeReason;
      readonly graceMs: number;
      readonly text: string;
    }
  | { readonly type: 'instanceRuns' }
  | { readonly type: 'instanceDown'; readonly text: string }
  | { readonly type: 'probed'; readonly answered: boolean; readonly text: string }
  | { readonly type: 'woke' }
  | { readonly type: 'configured'; readonly settings: HealthSettings };
export const HEALTH_EVENTS = [
  'start',
  'adopted',
  'linkUp',
  'linkLost',
  'goodbye',
  'instanceRuns',
  'instanceDown',
  'probed',
  'woke',
  'configured',
] as const satisfies readonly HealthEvent['type'][];

export type HealthEffect =
  /** Ask the postmaster for a sign of life within timeoutMs; answer with `probed`. Takes the place of a probe under way. */
  | { readonly do: 'probe'; readonly timeoutMs: number }
  /** End the sessions of the instance. Told before anything else is done. */
  | { readonly do: 'dropSessions'; readonly reason: DownReason; readonly text: string }
  | { readonly do: 'reportLost'; readonly reason: DownReason; readonly text: string }
  | { readonly do: 'reportBack'; readonly from: HealthPhase }
  | { readonly do: 'reportUnmonitored'; readonly text: string }
  | { readonly do: 'reportGrace'; readonly graceMs: number; readonly text: string }
  | { readonly do: 'reportLeaving'; readonly text: string }
  | { readonly do: 'reportDown'; readonly text: string };

export type HealthState = MachineState<HealthPhase, HealthData>;

/** How long the postmaster has to answer once the link has closed. */
export const CHECK_TIMEOUT_MS = 1000;
/** While it has, the process looks this often whether it was itself asleep: what it slept is not the postmaster's. */
export const CHECK_TICK_MS = CHECK_TIMEOUT_MS / 4;
/** How often a host that is shutting down is asked whether its postmaster still answers. */
export const LEAVING_PROBE_MS = 250;

/** An instance of which nothing is known. */
export function newHealth(settings: HealthSettings): HealthState {
  return {
    phase: 'unseen',
    data: {
      settings,
      phaseEndsAt: NEVER,
      nextProbeAt: NEVER,
      silentAt: NEVER,
      probing: false,
      doubted: false,
      reason: '',
      downReason: 'link closed',
    },
  };
}

/** When the shell must send `woke`. */
export function healthWakeAt({ data }: HealthState): MonotonicMs {
  return Math.min(data.phaseEndsAt, data.nextProbeAt, data.silentAt);
}

type HealthOutcome = Outcome<HealthData, HealthEffect>;
const row = rowsOf<HealthPhase, HealthData, HealthEvent, HealthEffect>();
const every = HEALTH_PHASES;
const linked = ['monitored', 'down'] as const;
const watched = ['unseen', 'grace', 'unmonitored'] as const;

function quiet(data: HealthData): HealthData {
  return {
    ...data,
    phaseEndsAt: NEVER,
    nextProbeAt: NEVER,
    silentAt: NEVER,
    probing: false,
    doubted: false,
  };
}

function probe(data: HealthData, timeoutMs: number, everyMs: number, now: MonotonicMs): HealthOutcome {
  return {
    data: { ...data, probing: true, nextProbeAt: now + everyMs },
    effects: [{ do: 'probe', timeoutMs }],
  };
}

function check(data: HealthData, downReason: DownReason, reason: string, now: MonotonicMs): HealthOutcome {
  return {
    data: {
      ...quiet(data),
      phaseEndsAt: now + CHECK_TIMEOUT_MS,
      nextProbeAt: now + CHECK_TICK_MS,
      probing: true,
      reason,
      downReason,
    },
    effects: [{ do: 'probe', timeoutMs: CHECK_TIMEOUT_MS }],
  };
}

/** Probing takes over from the link: every interval, and lost when the time-out passes without an answer. */
function watch(data: HealthData, now: MonotonicMs): HealthData {
  return {
    ...data,
    phaseEndsAt: NEVER,
    probing: false,
    doubted: false,
    nextProbeAt: now + data.settings.intervalMs,
    silentAt: now + data.settings.timeoutMs,
  };
}

/** How long after its deadline the process came round to it. */
function lateMs(data: HealthData, now: MonotonicMs): number {
  return now - Math.min(data.phaseEndsAt, data.nextProbeAt, data.silentAt);
}

/** Whether the process slept through a part of the check, of which it has not taken notice before. */
function sleptInCheck(data: HealthData, now: MonotonicMs): boolean {
  return !data.doubted && lateMs(data, now) > CHECK_TICK_MS;
}

/** A process that was itself late has not asked in time either: it asks now, and the postmaster gets a second. */
function askAgain(data: HealthData, now: MonotonicMs): HealthOutcome {
  const until = now + CHECK_TIMEOUT_MS;
  const checking = data.silentAt === NEVER;
  return {
    data: {
      ...data,
      doubted: true,
      probing: true,
      nextProbeAt: now + (checking ? CHECK_TICK_MS : data.settings.intervalMs),
      silentAt: checking ? NEVER : Math.max(data.silentAt, until),
      phaseEndsAt: checking ? until : data.phaseEndsAt,
    },
    effects: [{ do: 'probe', timeoutMs: CHECK_TIMEOUT_MS }],
  };
}

function lost(data: HealthData, reason: DownReason, text: string): HealthOutcome {
  return {
    data: { ...quiet(data), reason: text },
    effects: [
      { do: 'dropSessions', reason, text },
      { do: 'reportLost', reason, text },
    ],
  };
}

const ROWS: readonly Row<HealthPhase, HealthData, HealthEvent, HealthEffect>[] = [
  row({
    from: ['unseen'],
    on: 'start',
    to: 'same',
    why: 'Until its watchdog is reached, an instance is watched by probes, for sessions that outlived a restart of conmgr.',
    act: (data, _event, now) => ({ data: watch(data, now) }),
  }),
  row({ from: every, on: 'start', to: 'same', why: 'It was started before.' }),
  row({
    from: ['unseen'],
    on: 'adopted',
    to: 'unmonitored',
    why: 'What the predecessor knew is offered until the watchdog is reached; the postmaster is asked meanwhile.',
    act: (data, _event, now) => ({ data: watch(data, now) }),
  }),
  row({ from: every, on: 'adopted', to: 'same', why: 'What is seen by now counts more.' }),
  row({
    from: every,
    on: 'configured',
    to: 'same',
    why: 'New timing holds from the next deadline on.',
    act: (data, { settings }) => ({ data: { ...data, settings } }),
  }),
  row({ from: linked, on: 'linkUp', to: 'same', why: 'The link is up already.' }),
  row({
    from: every,
    on: 'linkUp',
    to: 'monitored',
    why: 'The watchdog is reached: what it tells is current.',
    act: (data, _event, _now) => ({ data: { ...quiet(data), reason: '' } }),
  }),
  row({ from: ['monitored'], on: 'instanceRuns', to: 'same', why: 'It ran before.' }),
  row({
    from: ['down'],
    on: 'instanceRuns',
    to: 'monitored',
    why: 'The watchdog says that the instance runs again.',
    act: (data) => ({ data: { ...data, reason: '' }, effects: [{ do: 'reportBack', from: 'down' }] }),
  }),
  row({
    from: ['monitored'],
    on: 'instanceDown',
    to: 'down',
    why: 'The postmaster is gone while its host lives: the sessions are ended at once.',
    act: (data, { text }) => ({
      data: { ...data, reason: text },
      effects: [
        { do: 'dropSessions', reason: 'instance down', text },
        { do: 'reportDown', text },
      ],
    }),
  }),
  row({
    from: ['down'],
    on: 'instanceDown',
    to: 'same',
    why: 'It was down before.',
    act: (data, { text }) => ({ data: { ...data, reason: text } }),
  }),
  row({ from: every, on: 'instanceRuns', to: 'same', why: 'Without a link nothing is told.' }),
  row({ from: every, on: 'instanceDown', to: 'same', why: 'Without a link nothing is told.' }),

  // How a link went
  row({
    from: linked,
    on: 'linkLost',
    to: 'lost',
    why: 'No packet for heartbeat_timeout: host or network is gone.',
    when: (_data, event) => event.end === 'timeout',
    act: (data, { text }) => lost(data, 'heartbeat timeout', text),
  }),
  row({
    from: ['down'],
    on: 'linkLost',
    to: 'lost',
    why: 'The instance was down before its watchdog went.',
    act: (data, { text }) => ({
      data: { ...quiet(data), reason: text },
      effects: [{ do: 'reportLost', reason: 'link closed', text }],
    }),
  }),
  row({
    from: ['monitored'],
    on: 'linkLost',
    to: 'checking',
    why: 'Closed without a goodbye: the watchdog process died, or its host closed the link. The postmaster is asked at once.',
    act: (data, { text }, now) => check(data, 'link closed', text, now),
  }),
  row({ from: every, on: 'linkLost', to: 'same', why: 'The link was not up.' }),
  row({
    from: linked,
    on: 'goodbye',
    to: 'grace',
    why: 'A planned restart or upgrade of the watchdog: sessions stay for the grace it asked for.',
    when: (_data, event) => event.reason === 'restart',
    act: (data, { graceMs, text }, now) => ({
      data: { ...watch(data, now), phaseEndsAt: now + graceMs, reason: text },
      effects: [{ do: 'reportGrace', graceMs, text }],
    }),
  }),
  row({
    from: linked,
    on: 'goodbye',
    to: 'leaving',
    why: 'The server is going down: not offered from now on, sessions ended when the postmaster stops answering.',
    when: (_data, event) => event.reason === 'hostShutdown',
    act: (data, { text }, now) => {
      const probed = probe({ ...quiet(data), reason: text }, CHECK_TIMEOUT_MS, LEAVING_PROBE_MS, now);
      return { ...probed, effects: [{ do: 'reportLeaving', text }, ...(probed.effects ?? [])] };
    },
  }),
  row({
    from: linked,
    on: 'goodbye',
    to: 'checking',
    why: 'An administrator stopped the watchdog alone: as a closed link.',
    act: (data, { text }, now) => check(data, 'link closed', text, now),
  }),
  row({ from: every, on: 'goodbye', to: 'same', why: 'The link was not up.' }),

  // What the postmaster answers
  row({
    from: ['checking'],
    on: 'probed',
    to: 'unmonitored',
    why: 'The postmaster answers: losing the watchdog alone never ends a healthy session.',
    when: (_data, event) => event.answered,
    act: (data, _event, now) => ({
      data: watch(data, now),
      effects: [{ do: 'reportUnmonitored', text: data.reason }],
    }),
  }),
  row({
    from: ['checking'],
    on: 'probed',
    to: 'same',
    why: 'A process that slept while the postmaster was asked has not waited for the answer: it asks again, once.',
    when: (data, _event, now) => sleptInCheck(data, now),
    act: (data, _event, now) => askAgain(data, now),
  }),
  row({
    from: ['checking'],
    on: 'probed',
    to: 'lost',
    why: 'Neither watchdog nor postmaster answers.',
    act: (data, { text }) => lost(data, data.downReason, `${data.reason}; ${text}`),
  }),
  row({
    from: ['checking'],
    on: 'woke',
    to: 'same',
    why: 'A process that was itself late has perhaps not read the answer: it doubts itself first and asks again, once.',
    when: (data, _event, now) => sleptInCheck(data, now),
    act: (data, _event, now) => askAgain(data, now),
  }),
  row({
    from: ['checking'],
    on: 'woke',
    to: 'lost',
    why: 'The postmaster did not answer within a second.',
    when: (data, _event, now) => now >= data.phaseEndsAt,
    act: (data) => lost(data, data.downReason, `${data.reason}; postmaster did not answer`),
  }),
  row({
    from: ['checking'],
    on: 'woke',
    to: 'same',
    why: 'The second is looked at in quarters, so that a process that slept through a part of it notices.',
    when: (data, _event, now) => now >= data.nextProbeAt,
    act: (data, _event, now) => ({ data: { ...data, nextProbeAt: now + CHECK_TICK_MS } }),
  }),
  row({
    from: watched,
    on: 'probed',
    to: 'same',
    why: 'An answer is a sign of life.',
    when: (_data, event) => event.answered,
    act: (data, _event, now) => ({
      data: { ...data, probing: false, doubted: false, silentAt: now + data.settings.timeoutMs },
    }),
  }),
  row({
    from: watched,
    on: 'probed',
    to: 'same',
    why: 'One missed answer is not yet a loss.',
    act: (data) => ({ data: { ...data, probing: false } }),
  }),
  row({
    from: ['leaving'],
    on: 'probed',
    to: 'lost',
    why: 'The postmaster of a host that shuts down has stopped.',
    when: (_data, event) => !event.answered,
    act: (data) => lost(data, 'instance shutting down', data.reason),
  }),
  row({
    from: ['leaving'],
    on: 'probed',
    to: 'same',
    why: 'It still serves its sessions.',
    act: (data) => ({ data: { ...data, probing: false } }),
  }),
  row({
    from: every,
    on: 'probed',
    to: 'same',
    why: 'The answer came after the question was settled.',
    act: (data) => ({ data: { ...data, probing: false } }),
  }),

  // Deadlines
  row({
    from: watched,
    on: 'woke',
    to: 'same',
    why: 'A process that was itself late did not ask either: it doubts itself first and asks now, once.',
    // Also shortly before its deadline: an answer to what is asked only now would come too late.
    when: (data, _event, now) =>
      now + CHECK_TIMEOUT_MS > data.silentAt &&
      !data.doubted &&
      lateMs(data, now) > data.settings.timeoutMs / 4,
    act: (data, _event, now) => askAgain(data, now),
  }),
  row({
    from: ['unseen'],
    on: 'woke',
    to: 'lost',
    why: 'Neither watchdog nor postmaster was reached for heartbeat_timeout.',
    when: (data, _event, now) => now >= data.silentAt,
    act: (data) => lost(data, 'heartbeat timeout', 'neither watchdog nor postmaster answers'),
  }),
  row({
    from: ['grace', 'unmonitored'],
    on: 'woke',
    to: 'lost',
    why: 'While there is no link, heartbeat_timeout without an answer of the postmaster is the loss.',
    when: (data, _event, now) => now >= data.silentAt,
    act: (data) => lost(data, 'heartbeat timeout', 'postmaster did not answer while its watchdog was away'),
  }),
  row({
    from: ['grace'],
    on: 'woke',
    to: 'checking',
    why: 'The watchdog is not back within its grace: as a link closed without goodbye.',
    when: (data, _event, now) => now >= data.phaseEndsAt,
    act: (data, _event, now) => check(data, 'link closed', `${data.reason}; watchdog not back in time`, now),
  }),
  row({
    from: watched,
    on: 'woke',
    to: 'same',
    why: 'Without a link the postmaster is asked every heartbeat_interval.',
    when: (data, _event, now) => now >= data.nextProbeAt,
    act: (data, _event, now) =>
      data.probing
        ? { data: { ...data, nextProbeAt: now + data.settings.intervalMs } }
        : probe(data, Math.max(CHECK_TIMEOUT_MS, data.settings.intervalMs), data.settings.intervalMs, now),
  }),
  row({
    from: ['leaving'],
    on: 'woke',
    to: 'same',
    why: 'A host that shuts down is asked often, so that its sessions learn of the end at once.',
    when: (data, _event, now) => now >= data.nextProbeAt,
    act: (data, _event, now) =>
      data.probing
        ? { data: { ...data, nextProbeAt: now + LEAVING_PROBE_MS } }
        : probe(data, CHECK_TIMEOUT_MS, LEAVING_PROBE_MS, now),
  }),
  row({ from: every, on: 'woke', to: 'same', why: 'Woken early: nothing is due yet.' }),
];

export const HEALTH_MACHINE: Machine<HealthPhase, HealthData, HealthEvent, HealthEffect> = {
  name: 'health',
  phases: HEALTH_PHASES,
  events: HEALTH_EVENTS,
  rows: ROWS,
};

/** One step of an instance's health. */
export function stepHealth(state: HealthState, event: HealthEvent, now: MonotonicMs) {
  return step(HEALTH_MACHINE, state, event, now);
}
