/** Which listeners are routed, for whom, and the renewal that keeps their routes valid. */
import type { Target } from '../core/guard/target.js';
import { HELPER_MESSAGES } from '../core/messages/kernel-helper.js';
import type { Log } from '../core/messages/message.js';
import { ROUTE_RENEWAL_MS, ROUTE_VALID_MS } from '../core/redirect/route.js';
import type { Clock, TimerHandle } from '../core/time.js';
import type { RouteMap } from '../io/route-map.js';

/** A listener is routed by somebody else. */
export class ListenerTaken extends Error {}

interface Route<Owner> {
  readonly owner: Owner;
  readonly targets: readonly Target[];
}

export class RouteTable<Owner> {
  readonly #map: RouteMap;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #routes = new Map<number, Route<Owner>>();
  #timer: TimerHandle | undefined;

  constructor(map: RouteMap, clock: Clock, log: Log) {
    this.#map = map;
    this.#clock = clock;
    this.#log = log;
  }

  /** Routes a listener; no targets: it falls through to conmgr. Throws ListenerTaken, or what the map throws. */
  set(owner: Owner, port: number, targets: readonly Target[]): void {
    const present = this.#routes.get(port);
    if (present !== undefined && present.owner !== owner) throw new ListenerTaken();
    if (targets.length === 0) this.#map.remove(port);
    else this.#map.set(port, targets, ROUTE_VALID_MS);
    // Also without a target it stays with its owner.
    this.#routes.set(port, { owner, targets });
    this.#arm();
  }

  /** Takes back all that the owner routed. */
  removeAll(owner: Owner): void {
    for (const [port, route] of [...this.#routes]) {
      if (route.owner !== owner) continue;
      this.#routes.delete(port);
      this.#try(port, () => this.#map.remove(port));
    }
    if (this.#routes.size === 0) this.#disarm();
  }

  /** By which listener the socket came. */
  listenerOf(cookie: bigint): number | undefined {
    return this.#map.listenerOf(cookie);
  }

  close(): void {
    this.#disarm();
    for (const port of this.#routes.keys()) this.#try(port, () => this.#map.remove(port));
    this.#routes.clear();
    this.#map.close();
  }

  #arm(): void {
    this.#timer ??= this.#clock.setTimer(ROUTE_RENEWAL_MS, () => {
      this.#timer = undefined;
      for (const [port, { targets }] of this.#routes) {
        if (targets.length > 0) this.#try(port, () => this.#map.set(port, targets, ROUTE_VALID_MS));
      }
      if (this.#routes.size > 0) this.#arm();
    });
  }

  #disarm(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #try(port: number, act: () => void): void {
    try {
      act();
    } catch (error) {
      this.#log.write(HELPER_MESSAGES.routeFailed, { port, reason: (error as Error).message });
    }
  }
}
