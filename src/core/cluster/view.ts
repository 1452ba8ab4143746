/**
 * The instance set as one picture: who is primary, who stands in conflict, who is foreign, who may
 * be offered. Recomputed from the facts of all instances after every change.
 *
 * Two primaries are never both offered: the newer timeline wins (PostgreSQL documentation, 26.3.5
 * Timelines: every promotion starts a higher one).
 */
import type { OnConflict } from '../config/types.js';
import type { HealthPhase } from '../link/health.js';
import { HEALTH_MEANING } from '../link/health-meaning.js';
import {
  ATTRIBUTE_BITS,
  hasAttribute,
  type InstanceAttributes,
  type InstanceState,
  UNKNOWN_ATTRIBUTES,
} from '../protocol/attributes.js';
import { type MonotonicMs, NEVER } from '../time.js';

/** What conmgr knows of one instance at this moment. */
export interface InstanceFacts {
  readonly number: number;
  readonly health: HealthPhase;
  /** As last told; undefined when no watchdog has told anything since the start. */
  readonly attributes: InstanceAttributes | undefined;
  /** The watchdog is there but cannot look into the instance: what is known is from before. */
  readonly dim: boolean;
  readonly rttMs: number | undefined;
}

/** One instance within the picture. */
export interface Member {
  readonly number: number;
  readonly health: HealthPhase;
  readonly state: InstanceState;
  /** As told, plus `stale` and `conflict`. */
  readonly bits: number;
  readonly timeline: number;
  readonly position: bigint;
  readonly systemIdentifier: bigint;
  readonly serverVersionNum: number;
  /** Octets behind the primary's last told position; undefined = unknown. */
  readonly lagBytes: bigint | undefined;
  readonly rttMs: number | undefined;
  readonly conflict: boolean;
  readonly foreign: boolean;
  /** Takes new sessions as far as is known; conflict is judged by the target. */
  readonly offered: boolean;
  /** Why it is not up or does not accept, in words; may be empty. */
  readonly text: string;
}

/** The picture. */
export interface ClusterView {
  readonly members: readonly Member[];
  /** The one instance for primary/read-write; undefined while there is none. */
  readonly primary: number | undefined;
}

/** An instance that claims to be primary and is not the one that is offered. */
export interface Conflict {
  readonly since: MonotonicMs;
  /** How long its sessions are kept, once it is decided which instance is offered instead. */
  readonly patienceMs: number;
  /** When its sessions are ended; NEVER while nothing is decided, and once it is done. */
  readonly dropAt: MonotonicMs;
  /** An operator wants its sessions ended, whoever is offered. */
  readonly ordered: boolean;
  readonly dropped: boolean;
}

/** What is remembered from one picture to the next. */
export interface ClusterMemory {
  /** Since when each instance has claimed to be primary without a break. */
  readonly primarySince: ReadonlyMap<number, MonotonicMs>;
  readonly conflicts: ReadonlyMap<number, Conflict>;
  readonly foreign: ReadonlySet<number>;
  /** The cluster's identifier; `firm` once it is settled (see learnReference). 0 = not learned. */
  readonly reference: bigint;
  readonly firm: boolean;
}

export type ClusterEvent =
  | {
      readonly type: 'conflictBegan';
      readonly number: number;
      readonly timeline: number;
      /** Another that claims to be primary: the one that is offered, if any is. */
      readonly rival: number;
      readonly rivalTimeline: number;
      /** undefined: none of them is offered. */
      readonly winner: number | undefined;
    }
  | { readonly type: 'conflictEnded'; readonly number: number }
  /** The sessions of this instance are to be ended now. */
  | { readonly type: 'conflictExpired'; readonly number: number; readonly winner: number | undefined }
  | {
      readonly type: 'foreign';
      readonly number: number;
      readonly systemIdentifier: bigint;
      readonly reference: bigint;
    }
  | { readonly type: 'primaryChanged'; readonly from: number | undefined; readonly to: number | undefined };

export const EMPTY_MEMORY: ClusterMemory = {
  primarySince: new Map(),
  conflicts: new Map(),
  foreign: new Set(),
  reference: 0n,
  firm: false,
};
export const EMPTY_VIEW: ClusterView = { members: [], primary: undefined };

/** Claims count while the instance is not known to be gone. */
function claimsPrimary(facts: InstanceFacts): boolean {
  const attributes = facts.attributes;
  return (
    attributes !== undefined &&
    HEALTH_MEANING[facts.health].offered &&
    attributes.state === 'up' &&
    hasAttribute(attributes.bits, 'primary')
  );
}

/**
 * The identifier that this set belongs to: that of the serving primary, else of the majority, else
 * of the lowest number. It is settled once a primary serves and either more than half of the set agree or nobody is
 * left to be heard, so that it does not depend on which link comes up first; then it stays until it is forgotten
 * on request.
 */
function learnReference(
  memory: ClusterMemory,
  facts: readonly InstanceFacts[],
): { reference: bigint; firm: boolean } {
  if (memory.firm) return { reference: memory.reference, firm: true };
  const known = facts.filter((one) => (one.attributes?.systemIdentifier ?? 0n) !== 0n);
  const claimants = known.filter(claimsPrimary);
  const pool = claimants.length > 0 ? claimants : known;
  const votes = (id: bigint) => known.filter((one) => one.attributes?.systemIdentifier === id).length;
  let reference = 0n;
  for (const one of pool) {
    const id = one.attributes?.systemIdentifier ?? 0n;
    if (reference === 0n || votes(id) > votes(reference)) reference = id;
  }
  const heard = facts.every((one) => one.attributes !== undefined || one.health === 'lost');
  const firm = claimants.length > 0 && (heard || votes(reference) * 2 > facts.length);
  return { reference, firm };
}

/**
 * Picks the primary among those that claim to be it, and the rest that stand in conflict with it. A stale claim is
 * not offered beside a live one; where it is the better of the two, the live one is a primary of the past and is not
 * offered either.
 */
function elect(
  claimants: readonly InstanceFacts[],
  primarySince: ReadonlyMap<number, MonotonicMs>,
  onConflict: OnConflict,
): { readonly winner: InstanceFacts | undefined; readonly losers: readonly InstanceFacts[] } {
  const isLive = (one: InstanceFacts) => HEALTH_MEANING[one.health].linked && !one.dim;
  if (onConflict === 'none' && claimants.length > 1) return { winner: undefined, losers: claimants };
  const longer = (a: InstanceFacts, b: InstanceFacts) =>
    (primarySince.get(a.number) ?? NEVER) - (primarySince.get(b.number) ?? NEVER) || a.number - b.number;
  const newer = (a: InstanceFacts, b: InstanceFacts) =>
    (b.attributes?.timeline ?? 0) - (a.attributes?.timeline ?? 0) || longer(a, b);
  const [best] = [...claimants].sort(onConflict === 'keep' ? longer : newer);
  const winner = best !== undefined && !isLive(best) && claimants.some(isLive) ? undefined : best;
  return { winner, losers: claimants.filter((one) => one !== winner) };
}

/** Whether an instance, in whatever role, was up in a picture. */
function wasUp(view: ClusterView, number: number): boolean {
  return view.members.some(
    (one) => one.number === number && one.state === 'up' && HEALTH_MEANING[one.health].offered,
  );
}

/** Lag of a standby: the primary's last told position minus its replay position. */
function lagOf(facts: InstanceFacts, primary: InstanceFacts | undefined): bigint | undefined {
  const own = facts.attributes;
  const lead = primary?.attributes;
  if (own === undefined || lead === undefined || !hasAttribute(own.bits, 'standby')) return undefined;
  if (own.position === 0n || lead.position === 0n) return undefined;
  return lead.position > own.position ? lead.position - own.position : 0n;
}

/** Draws the picture anew. `conflictMs`: how long sessions of a losing primary are kept (heartbeat_timeout). */
export function drawView(
  memory: ClusterMemory,
  before: ClusterView,
  facts: readonly InstanceFacts[],
  options: { readonly onConflict: OnConflict; readonly conflictMs: number },
  now: MonotonicMs,
): { readonly memory: ClusterMemory; readonly view: ClusterView; readonly events: readonly ClusterEvent[] } {
  const events: ClusterEvent[] = [];
  const { reference, firm } = learnReference(memory, facts);
  const isForeign = (one: InstanceFacts) => {
    const id = one.attributes?.systemIdentifier ?? 0n;
    return reference !== 0n && id !== 0n && id !== reference;
  };
  const foreign = new Set<number>();
  for (const one of facts.filter(isForeign)) {
    foreign.add(one.number);
    if (!memory.foreign.has(one.number)) {
      events.push({
        type: 'foreign',
        number: one.number,
        systemIdentifier: one.attributes?.systemIdentifier ?? 0n,
        reference,
      });
    }
  }
  const claimants = facts.filter((one) => claimsPrimary(one) && !isForeign(one));
  const primarySince = new Map(
    claimants.map((one) => [one.number, memory.primarySince.get(one.number) ?? now]),
  );
  const { winner, losers } = elect(claimants, primarySince, options.onConflict);
  const conflicts = new Map<number, Conflict>();
  for (const loser of losers) {
    const known = memory.conflicts.get(loser.number);
    if (known === undefined) {
      const rival = winner ?? losers.find((one) => one !== loser) ?? loser;
      events.push({
        type: 'conflictBegan',
        number: loser.number,
        timeline: loser.attributes?.timeline ?? 0,
        rival: rival.number,
        rivalTimeline: rival.attributes?.timeline ?? 0,
        winner: winner?.number,
      });
    }
    const conflict = known ?? {
      since: now,
      // An accidental promotion elsewhere must not evict everybody at once: who was up before is given time.
      patienceMs: wasUp(before, loser.number) ? options.conflictMs : 0,
      dropAt: NEVER,
      ordered: false,
      dropped: false,
    };
    const decided = conflict.ordered || winner !== undefined;
    const dropAt = conflict.ordered ? now : conflict.since + conflict.patienceMs;
    const due = !conflict.dropped && decided && now >= dropAt;
    if (due) events.push({ type: 'conflictExpired', number: loser.number, winner: winner?.number });
    const dropped = conflict.dropped || due;
    conflicts.set(loser.number, { ...conflict, dropped, dropAt: decided && !dropped ? dropAt : NEVER });
  }
  for (const number of memory.conflicts.keys()) {
    if (!conflicts.has(number)) events.push({ type: 'conflictEnded', number });
  }
  const members = facts.map((one): Member => {
    const told = one.attributes ?? UNKNOWN_ATTRIBUTES;
    const meaning = HEALTH_MEANING[one.health];
    const conflict = conflicts.has(one.number);
    return {
      number: one.number,
      health: one.health,
      state: one.health === 'lost' ? 'unknown' : told.state,
      bits:
        told.bits |
        (meaning.stale || one.dim ? ATTRIBUTE_BITS.stale : 0) |
        (conflict ? ATTRIBUTE_BITS.conflict : 0),
      timeline: told.timeline,
      position: told.position,
      systemIdentifier: told.systemIdentifier,
      serverVersionNum: told.serverVersionNum,
      lagBytes: foreign.has(one.number) ? undefined : lagOf(one, winner),
      rttMs: one.rttMs,
      conflict,
      foreign: foreign.has(one.number),
      offered:
        meaning.offered &&
        told.state === 'up' &&
        hasAttribute(told.bits, 'accepting') &&
        !foreign.has(one.number),
      text: told.text,
    };
  });
  const primary =
    winner !== undefined && members.some((one) => one.number === winner.number && one.offered)
      ? winner.number
      : undefined;
  if (primary !== before.primary) events.push({ type: 'primaryChanged', from: before.primary, to: primary });
  return {
    memory: { primarySince, conflicts, foreign, reference, firm },
    view: { members, primary },
    events,
  };
}

/** The same picture with the round trips of these facts, which are those that it was drawn of in everything else. */
export function withRoundTrips(
  { members, primary }: ClusterView,
  facts: readonly InstanceFacts[],
): ClusterView {
  return { primary, members: members.map((one, at) => ({ ...one, rttMs: facts[at]?.rttMs })) };
}

/** When the picture must be drawn again although nothing was told: the end of a conflict's patience. */
export function viewWakeAt(memory: ClusterMemory): MonotonicMs {
  let at = NEVER;
  for (const { dropAt } of memory.conflicts.values()) at = Math.min(at, dropAt);
  return at;
}

/** An operator has decided: the sessions of instances in conflict are ended at the next drawing. */
export function expireConflict(memory: ClusterMemory, number: number, now: MonotonicMs): ClusterMemory {
  const known = memory.conflicts.get(number);
  if (known === undefined) return memory;
  const ordered: Conflict = { ...known, ordered: true, dropAt: now };
  return { ...memory, conflicts: new Map([...memory.conflicts, [number, ordered]]) };
}

/** The cluster's identity is learned afresh (after pg_upgrade, on request). */
export function forgetCluster(memory: ClusterMemory): ClusterMemory {
  return { ...memory, reference: 0n, firm: false, foreign: new Set() };
}

/** Whether the pictures differ in anything an application could see; grows the view number. */
export function viewsDiffer(a: ClusterView, b: ClusterView): boolean {
  return (
    a.primary !== b.primary ||
    a.members.length !== b.members.length ||
    a.members.some((one, index) => {
      const other = b.members[index];
      return (
        other === undefined ||
        one.number !== other.number ||
        one.bits !== other.bits ||
        one.offered !== other.offered ||
        one.state !== other.state
      );
    })
  );
}
