/**
 * The walk over the host list: whom to ask and where to connect next, until a session is found or nothing is
 * left. Hosts in their order; of each conmgr the candidates in the order it gave; then the same conmgr once
 * more without those that failed; then the next host.
 */
import type { TargetSessionAttrs } from '../cluster/target-session.js';
import { type Machine, type MachineState, rowsOf } from '../fsm.js';
import { hasAttribute } from '../protocol/attributes.js';
import type { Candidate } from '../protocol/first-phase.js';
import type { HostEntry } from './host-list.js';

/** Times one conmgr is asked for one session: the second time without the instances that failed. */
const MOST_ASKS = 2;

/** asking: a host is asked what it is; trying: a connection to an instance or a server is made. */
export const WALK_PHASES = ['start', 'asking', 'trying', 'found', 'exhausted'] as const;
export type WalkPhase = (typeof WALK_PHASES)[number];

export const WALK_EVENTS = ['begin', 'told', 'server', 'failed', 'connected'] as const;
export type WalkEvent =
  | { readonly type: 'begin' }
  /** The host is a conmgr and offers these. */
  | { readonly type: 'told'; readonly candidates: readonly Candidate[] }
  /** The host is a server or a pooler: it is to be used itself. */
  | { readonly type: 'server' }
  /** The ask or the connection failed; `wrongRole`: only because of the server's role. */
  | { readonly type: 'failed'; readonly wrongRole: boolean }
  | { readonly type: 'connected' };

/** Where a connection is to go. */
export interface Endpoint extends HostEntry {
  /** Number of the instance in conmgr's configuration; undefined for a host used directly. */
  readonly instance: number | undefined;
}

export type WalkEffect =
  | { readonly type: 'ask'; readonly host: HostEntry; readonly exclude: readonly number[] }
  | {
      readonly type: 'connect';
      readonly endpoint: Endpoint;
      /** What the role of the server is held against. */
      readonly accept: TargetSessionAttrs;
    };

export interface WalkData {
  readonly target: TargetSessionAttrs;
  /** Hosts not done with; the first is the one in work. */
  readonly hosts: readonly HostEntry[];
  /** Asks made of the first host. */
  readonly asks: number;
  /** The candidate being tried and those behind it. */
  readonly candidates: readonly Candidate[];
  /** Instances of the first host that failed. */
  readonly failed: readonly number[];
  /** prefer-standby: hosts that offered only what is no standby; taken if nothing better is found. */
  readonly secondBest: readonly HostEntry[];
  readonly secondPass: boolean;
}

export type WalkState = MachineState<WalkPhase, WalkData>;

/** A walk that has not begun. */
export function newWalk(hosts: readonly HostEntry[], target: TargetSessionAttrs): WalkState {
  return {
    phase: 'start',
    data: {
      target,
      hosts,
      asks: 0,
      candidates: [],
      failed: [],
      secondBest: [],
      secondPass: false,
    },
  };
}

/** Among how many steps the time that is left is to be shared: this one and those known to be behind it. */
export function stepsLeft({ data }: WalkState): number {
  return Math.max(1, data.hosts.length - 1 + Math.max(1, data.candidates.length));
}

type Told = Extract<WalkEvent, { type: 'told' }>;

function ask(data: WalkData): { data: WalkData; effects: readonly WalkEffect[] } {
  const host = data.hosts[0] as HostEntry;
  return {
    data: { ...data, asks: data.asks + 1, candidates: [] },
    effects: [{ type: 'ask', host, exclude: data.failed }],
  };
}

function tryCandidate(data: WalkData): { data: WalkData; effects: readonly WalkEffect[] } {
  const { instance, host, port, hostaddr, bits } = data.candidates[0] as Candidate;
  return {
    data,
    effects: [
      {
        type: 'connect',
        endpoint: { instance, host, port, hostaddr },
        accept: acceptable(data, hasAttribute(bits, 'primary')),
      },
    ],
  };
}

/** prefer-standby holds out for a standby at first, but believes a conmgr that has only a primary to offer. */
function acceptable(data: WalkData, offeredAsPrimary: boolean): TargetSessionAttrs {
  if (data.target !== 'prefer-standby') return data.target;
  return data.secondPass || offeredAsPrimary ? 'any' : 'standby';
}

function fresh(data: WalkData, candidates: readonly Candidate[]): readonly Candidate[] {
  return candidates.filter((candidate) => !data.failed.includes(candidate.instance));
}

/** The failure of what is being tried, taken down. */
function noteFailure(data: WalkData, event: Extract<WalkEvent, { type: 'failed' }>): WalkData {
  const [current, ...behind] = data.candidates;
  const host = data.hosts[0] as HostEntry;
  const better = event.wrongRole && data.target === 'prefer-standby' && !data.secondPass;
  return {
    ...data,
    candidates: behind,
    failed: current === undefined ? data.failed : [...data.failed, current.instance],
    secondBest: better && !data.secondBest.includes(host) ? [...data.secondBest, host] : data.secondBest,
  };
}

function nextHost(data: WalkData): WalkData {
  return { ...data, hosts: data.hosts.slice(1), asks: 0, candidates: [], failed: [] };
}

function secondPass(data: WalkData): WalkData {
  return { ...nextHost(data), hosts: data.secondBest, secondBest: [], secondPass: true };
}

const row = rowsOf<WalkPhase, WalkData, WalkEvent, WalkEffect>();
const moreHosts = (data: WalkData) => data.hosts.length > 1;

export const WALK: Machine<WalkPhase, WalkData, WalkEvent, WalkEffect> = {
  name: 'walk over the host list',
  phases: WALK_PHASES,
  events: WALK_EVENTS,
  rows: [
    row({
      from: ['start'],
      on: 'begin',
      to: 'asking',
      why: 'The first host of the list comes first.',
      act: ask,
    }),
    row({
      from: ['asking'],
      on: 'told',
      to: 'trying',
      why: 'conmgr balances: its order is final, only what has failed already is left out.',
      when: (data, event) => fresh(data, event.candidates).length > 0,
      act: (data, event: Told) => tryCandidate({ ...data, candidates: fresh(data, event.candidates) }),
    }),
    row({
      from: ['asking'],
      on: 'told',
      to: 'asking',
      why: 'A conmgr that offers nothing new has no session to give; the next host may have.',
      when: moreHosts,
      act: (data) => ask(nextHost(data)),
    }),
    row({
      from: ['asking'],
      on: 'server',
      to: 'trying',
      why: 'A host that is a server itself is used directly.',
      act: (data) => ({
        data: { ...data, candidates: [] },
        effects: [
          {
            type: 'connect',
            endpoint: { ...(data.hosts[0] as HostEntry), instance: undefined },
            accept: acceptable(data, false),
          },
        ],
      }),
    }),
    row({
      from: ['trying'],
      on: 'failed',
      to: 'trying',
      why: 'The next candidate in the order that conmgr gave.',
      when: (data) => data.candidates.length > 1,
      act: (data, event) => tryCandidate(noteFailure(data, event)),
    }),
    row({
      from: ['trying'],
      on: 'failed',
      to: 'asking',
      why: 'All candidates failed: conmgr may know better by now and is told which ones.',
      when: (data) => data.candidates.length === 1 && data.asks < MOST_ASKS,
      act: (data, event) => ask(noteFailure(data, event)),
    }),
    row({
      from: ['asking', 'trying'],
      on: 'failed',
      to: 'asking',
      why: 'This host gave no session; the next one of the list may.',
      when: moreHosts,
      act: (data, event) => ask(nextHost(noteFailure(data, event))),
    }),
    row({
      from: ['asking', 'trying'],
      on: 'failed',
      to: 'asking',
      why: 'prefer-standby found no standby anywhere: now any server will do.',
      when: (data, event) => noteFailure(data, event).secondBest.length > 0,
      act: (data, event) => ask(secondPass(noteFailure(data, event))),
    }),
    row({
      from: ['asking', 'trying'],
      on: 'failed',
      to: 'exhausted',
      why: 'Nothing is left to try.',
      act: (data, event) => ({ data: nextHost(noteFailure(data, event)) }),
    }),
    row({
      from: ['asking'],
      on: 'told',
      to: 'asking',
      why: 'prefer-standby found no standby anywhere: now any server will do.',
      when: (data) => data.secondBest.length > 0,
      act: (data) => ask(secondPass(data)),
    }),
    row({
      from: ['asking'],
      on: 'told',
      to: 'exhausted',
      why: 'The last conmgr of the list offers nothing new.',
      act: (data) => ({ data: nextHost(data) }),
    }),
    row({ from: ['trying'], on: 'connected', to: 'found', why: 'A session that fits: the walk is over.' }),
  ],
};
