/**
 * SQL sessions of this host with one instance that do not pass conmgr, and that it watches all the same: redirected in
 * the kernel, or guarded. conmgr-helper lists them now and then; nobody tells when one begins or ends.
 */
import type { ConmgrConfig } from '../config/types.js';
import type { LocalEnd } from '../guard/local-ends.js';
import type { WatchedEnd } from '../protocol/session-list.js';
import {
  type Destination,
  destinationOf,
  type PlacedInstance,
  redirectedListeners,
} from './kernel-wishes.js';
import type { SessionTeller } from './session-teller.js';
import type { SessionTable } from './sessions.js';

export class SeenSessions {
  /** By id, which is negative: those of the session table are not. */
  readonly #ends = new Map<number, WatchedEnd>();
  readonly #ids = new Map<string, number>();
  #lastId = 0;

  get size(): number {
    return this.#ends.size;
  }

  ids(): IterableIterator<number> {
    return this.#ends.keys();
  }

  /** undefined: it is there no longer. Nobody has told the process ID of its backend. */
  endOf(id: number): WatchedEnd | undefined {
    return this.#ends.get(id);
  }

  /** A new list. `isOwn`: whether a session of the session table has this end. Returns the ids of those that came or went. */
  replace(list: readonly LocalEnd[], isOwn: (end: LocalEnd) => boolean): number[] {
    const gone = new Map(this.#ids);
    const changed: number[] = [];
    for (const { address, port } of list) {
      if (isOwn({ address, port })) continue;
      const key = endKey({ address, port });
      gone.delete(key);
      if (this.#ids.has(key)) continue;
      this.#lastId -= 1;
      this.#ids.set(key, this.#lastId);
      this.#ends.set(this.#lastId, { address, port, pid: 0 });
      changed.push(this.#lastId);
    }
    for (const [key, id] of gone) {
      this.#ids.delete(key);
      this.#ends.delete(id);
      changed.push(id);
    }
    return changed;
  }
}

/** Names an end; the same text for the same one. */
export function endKey({ address, port }: LocalEnd): string {
  return `${address} ${port}`;
}

/** What is asked of conmgr-helper. */
export interface KernelWatched {
  /** All connections to these are watched. */
  readonly guarded: readonly Destination[];
  /** Of those to these, what came by one of the listeners. */
  readonly redirected: readonly Destination[];
  readonly listeners: readonly number[];
}

type WatchedInstance = PlacedInstance & { readonly teller: { readonly wanted: boolean } };

/** Whose connections are watched in the kernel: of all instances as soon as one watchdog wants to know. */
export function kernelWatched(
  config: Pick<ConmgrConfig, 'guard' | 'listeners'>,
  instances: readonly WatchedInstance[],
): KernelWatched {
  const wanted = instances.some(({ teller }) => teller.wanted);
  const isGuarded = (instance: WatchedInstance): boolean => config.guard && instance.config.guard;
  const listeners = redirectedListeners(config).map(({ port }) => port);
  const others = listeners.length === 0 ? [] : instances.filter((instance) => !isGuarded(instance));
  return {
    guarded: wanted ? instances.filter(isGuarded).flatMap(destinationOf) : [],
    redirected: wanted ? others.flatMap(destinationOf) : [],
    listeners,
  };
}

/** conmgr-helper has listed the connections to an instance. */
export function takeSeen(
  core: {
    readonly instances: readonly {
      readonly number: number;
      readonly seen: SeenSessions;
      readonly teller: SessionTeller;
    }[];
    readonly sessions: SessionTable;
  },
  number: number,
  list: readonly LocalEnd[],
): void {
  const instance = core.instances.find((one) => one.number === number);
  if (instance === undefined) return;
  const ends = core.sessions.of(number).map(({ id }) => core.sessions.endOf(id, number));
  const own = new Set(ends.map((end) => (end === undefined ? '' : endKey(end))));
  for (const id of instance.seen.replace(list, (end) => own.has(endKey(end)))) instance.teller.touch(id);
}
