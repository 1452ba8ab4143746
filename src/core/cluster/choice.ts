/** Which instances an application is sent to, in which order, and what it is told when there is none. */

import type { EvictOnRoleChange, LoadBalance } from '../config/types.js';
import { HEALTH_MEANING } from '../link/health-meaning.js';
import { hasAttribute } from '../protocol/attributes.js';
import { fitsTarget, isWriterTarget, type TargetSessionAttrs } from './target-session.js';
import type { ClusterView, Member } from './view.js';

/** Everything the order may depend on. */
export interface ChoiceInput {
  readonly target: TargetSessionAttrs;
  readonly prefer: readonly number[];
  readonly exclude: readonly number[];
  readonly loadBalance: LoadBalance;
  /** A standby further behind is offered only while no other instance fits; 0 = no limit. */
  readonly maxLagBytes: number;
  /** Sessions now attached to an instance. */
  readonly sessionsOf: (number: number) => number;
  /** A number in [0, 1) for each fitting instance. */
  readonly random: () => number;
  /** Grows with every answer; moves round-robin on. */
  readonly turn: number;
}

/** From this tier on an instance is offered only while no better one is. */
const LAST_RESORT = 2;

/** How good a member is for the target, lower is better; undefined = does not fit. */
function tier(member: Member, view: ClusterView, input: ChoiceInput): number | undefined {
  if (!member.offered || !fitsTarget(member.bits, input.target)) return undefined;
  if (isWriterTarget(input.target)) return member.number === view.primary ? 0 : undefined;
  // A primary beside a newer one diverges: only when nothing else fits.
  if (member.conflict) return 3;
  const standby = hasAttribute(member.bits, 'standby');
  if (isBehind(member, input.maxLagBytes)) return 2;
  return input.target === 'prefer-standby' && !standby ? 1 : 0;
}

function isBehind({ bits, lagBytes }: Member, maxLagBytes: number): boolean {
  return hasAttribute(bits, 'standby') && maxLagBytes > 0 && (lagBytes ?? 0n) > BigInt(maxLagBytes);
}

/** Whether other standbys than before are too far behind; nothing else about lag matters to a choice. */
export function laggardsDiffer(a: ClusterView, b: ClusterView, maxLagBytes: number): boolean {
  if (a === b || maxLagBytes === 0) return false;
  const behind = ({ members }: ClusterView): string =>
    members.flatMap((one) => (isBehind(one, maxLagBytes) ? [one.number] : [])).join();
  return behind(a) !== behind(b);
}

/**
 * Fitting instances, best first. The order is final: at most one for primary/read-write; for
 * the rest by tier, live before stale, wished before others, then by load_balance. Those of a last resort are left
 * out while a better one has not just failed.
 */
export function chooseInstances(view: ClusterView, input: ChoiceInput): readonly Member[] {
  const wish = (number: number) => {
    const at = input.prefer.indexOf(number);
    return at < 0 ? input.prefer.length : at;
  };
  const ranked = view.members.flatMap((member) => {
    const rank = tier(member, view, input);
    if (rank === undefined) return [];
    const failed = input.exclude.includes(member.number) ? 1 : 0;
    const stale = hasAttribute(member.bits, 'stale') ? 1 : 0;
    return [{ member, rank, failed, place: [failed, rank, stale, wish(member.number)] }];
  });
  const best = Math.min(...ranked.filter(({ failed }) => failed === 0).map(({ rank }) => rank));
  const fitting = ranked.filter(({ rank }) => rank < LAST_RESORT || rank <= best);
  const keyed = fitting.map((one) => {
    // Only instances that are equally good take turns.
    const equals = fitting.filter(({ place }) => place.every((value, at) => value === one.place[at]));
    const turn = balance(one.member, equals.indexOf(one), equals.length, input);
    return { member: one.member, key: [...one.place, turn, input.random()] };
  });
  keyed.sort((a, b) => {
    const at = a.key.findIndex((value, index) => value !== b.key[index]);
    return at < 0 ? 0 : (a.key[at] ?? 0) - (b.key[at] ?? 0);
  });
  return keyed.map(({ member }) => member);
}

/** All that a new connection may go to: the best that fit, equally good; each is chosen by chance elsewhere. */
export function bestInstances(
  view: ClusterView,
  target: TargetSessionAttrs,
  maxLagBytes: number,
): readonly Member[] {
  const input: ChoiceInput = {
    target,
    maxLagBytes,
    prefer: [],
    exclude: [],
    loadBalance: 'random',
    sessionsOf: () => 0,
    random: () => 0,
    turn: 0,
  };
  const rankOf = (member: Member): string =>
    `${tier(member, view, input)} ${hasAttribute(member.bits, 'stale')}`;
  const [first, ...others] = chooseInstances(view, input);
  return first === undefined ? [] : [first, ...others.filter((one) => rankOf(one) === rankOf(first))];
}

function balance(member: Member, index: number, count: number, input: ChoiceInput): number {
  switch (input.loadBalance) {
    case 'random':
      return 0;
    case 'round-robin':
      return (((index - input.turn) % count) + count) % count;
    case 'least-connections':
      return input.sessionsOf(member.number);
    case 'nearest':
      return member.rttMs ?? Number.MAX_VALUE;
  }
}

/**
 * Whether a session opened for `target` must be ended because its instance no longer is that.
 * Judged only by what is told live: a stale telling evicts nobody.
 */
export function mustEvict(member: Member, target: TargetSessionAttrs, policy: EvictOnRoleChange): boolean {
  if (policy === 'off' || hasAttribute(member.bits, 'stale') || member.state !== 'up') return false;
  if (!hasAttribute(member.bits, 'primary') && !hasAttribute(member.bits, 'standby')) return false;
  if (fitsTarget(member.bits, target)) return false;
  return isWriterTarget(target) || policy === 'all';
}

/** What is known of one instance, as one sentence for DETAIL. */
export function describeMember(member: Member, name: string): string {
  const words: string[] = [];
  if (member.foreign) words.push('belongs to another cluster');
  else if (member.health === 'lost' || member.health === 'unseen' || member.health === 'leaving') {
    words.push(HEALTH_MEANING[member.health].shown);
  } else {
    words.push(member.state);
    if (hasAttribute(member.bits, 'primary')) words.push('primary');
    if (hasAttribute(member.bits, 'standby')) words.push('standby');
    if (hasAttribute(member.bits, 'readOnlyByDefault')) words.push('read-only by default');
    if (member.state === 'up' && !hasAttribute(member.bits, 'accepting'))
      words.push('not accepting connections');
    if (member.conflict) words.push('in conflict with another primary');
    if (hasAttribute(member.bits, 'stale')) words.push('last known, not monitored now');
    if (member.text !== '') words.push(member.text);
  }
  return `Instance ${member.number} (${name}): ${words.join(', ')}.`;
}
