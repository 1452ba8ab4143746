/**
 * What conmgr wants of the kernel at this moment, by way of conmgr-helper: which lost instances are cut off, where each
 * listener leads, and who came by a listener to an instance that no longer fits it
 * (docs/decisions/0031-guard-redirect-and-the-helper.md). It is a state, not a sequence: whatever was said to the helper
 * before, saying this makes it so.
 */
import { bestInstances, mustEvict } from '../cluster/choice.js';
import type { ClusterView } from '../cluster/view.js';
import type { ConmgrConfig, ListenerConfig } from '../config/types.js';
import { MOST_DESTINATIONS } from '../guard/request.js';
import { parseTarget, type Target } from '../guard/target.js';
import type { HealthPhase } from '../link/health.js';

/** What of an instance matters here. */
export interface PlacedInstance {
  readonly number: number;
  /** As configured; it may be an address as well. */
  readonly host: string;
  /** Where its sessions are; '' while it is not known. */
  readonly address: string;
  readonly config: { readonly backendPort: number; readonly guard: boolean };
  readonly health: { readonly phase: HealthPhase };
}

/** One instance as the kernel knows it. */
export interface Destination {
  readonly instance: number;
  readonly target: Target;
}

export interface WantedRoute {
  readonly listener: ListenerConfig;
  /** Empty: connections reach conmgr itself, which forwards or refuses them. */
  readonly destinations: readonly Destination[];
}

export interface KernelWishes {
  /** Nobody's connection to it is to live on (guard = on). */
  readonly ended: readonly Destination[];
  /** Nor is a new one to be begun, since nothing would answer it. */
  readonly swept: readonly Destination[];
  readonly routes: readonly WantedRoute[];
  /** What came by this listener to this instance is to end. */
  readonly misplaced: readonly { readonly port: number; readonly destination: Destination }[];
}

/** Where an instance is, as none or one. */
export function destinationOf({ number, host, address, config }: PlacedInstance): Destination[] {
  const target = parseTarget(address === '' ? host : address, config.backendPort);
  return target === undefined ? [] : [{ instance: number, target }];
}

/** The listeners that the kernel may serve. */
export function redirectedListeners({
  listeners,
}: Pick<ConmgrConfig, 'listeners'>): readonly ListenerConfig[] {
  return listeners.filter(({ mode }) => mode !== 'gateway');
}

/** Whether anything is wanted of the helper at all. */
export function wantsKernel(config: Pick<ConmgrConfig, 'guard' | 'listeners'>): boolean {
  return config.guard || redirectedListeners(config).length > 0;
}

/** What only the core knows. */
export interface KernelCircumstances {
  /** Whether new connections are led anywhere; not while conmgr ends. */
  readonly accepting: boolean;
  /** Whether an instance has lost its conflict with another primary, and its sessions with it. */
  readonly isSettled: (number: number) => boolean;
}

export function kernelWishes(
  config: Pick<ConmgrConfig, 'guard' | 'listeners' | 'maxLagBytes' | 'evictOnRoleChange'>,
  instances: readonly PlacedInstance[],
  view: ClusterView,
  { accepting, isSettled }: KernelCircumstances,
): KernelWishes {
  const guarded = config.guard ? instances.filter((one) => one.config.guard) : [];
  const inPhase = (...phases: HealthPhase[]): Destination[] =>
    guarded.filter(({ health }) => phases.includes(health.phase)).flatMap(destinationOf);
  const listeners = redirectedListeners(config);
  const destinationsOf = ({ target }: ListenerConfig): Destination[] =>
    bestInstances(view, target, config.maxLagBytes)
      .flatMap(({ number }) => instances.filter((instance) => instance.number === number))
      .flatMap(destinationOf)
      .slice(0, MOST_DESTINATIONS);
  const isMisplaced = ({ number, health }: PlacedInstance, { target }: ListenerConfig): boolean => {
    if (health.phase === 'lost' || health.phase === 'down' || isSettled(number)) return true;
    const member = view.members.find((one) => one.number === number);
    return member !== undefined && mustEvict(member, target, config.evictOnRoleChange);
  };
  return {
    ended: inPhase('lost', 'down'),
    swept: inPhase('lost'),
    routes: listeners.map((listener) => ({
      listener,
      destinations: accepting ? destinationsOf(listener) : [],
    })),
    misplaced: listeners.flatMap((listener) =>
      instances
        .filter((instance) => isMisplaced(instance, listener))
        .flatMap(destinationOf)
        .map((destination) => ({ port: listener.port, destination })),
    ),
  };
}
