/**
 * Looks now and then which connections to the instances pass conmgr by, redirected in the kernel or guarded, so that the
 * watchdogs that want to know hear of them too. As long as none wants to, nothing is asked.
 */
import { wireTarget } from '../core/conmgr/kernel-orders.js';
import type { Destination } from '../core/conmgr/kernel-wishes.js';
import type { KernelWatched } from '../core/conmgr/seen-sessions.js';
import { decodeEnds, type LocalEnd } from '../core/guard/local-ends.js';
import { MOST_TARGETS } from '../core/guard/request.js';
import { formatTarget } from '../core/guard/target.js';
import type { Clock, TimerHandle } from '../core/time.js';
import type { Abilities } from '../io/helper-abilities.js';
import { type HelperAnswer, HelperRefusal } from '../io/helper-client.js';

/** However short heartbeat_interval is: the helper has other things to do. */
const SHORTEST_PAUSE_MS = 1000;
/** A list of very many connections takes time, during which the helper ends none; a pause is so many times longer. */
const PAUSE_PER_LIST = 20;

export interface KernelWatchOptions {
  readonly clock: Clock;
  /** heartbeat_interval. */
  readonly intervalMs: () => number;
  readonly watched: () => KernelWatched;
  /** The connections to an instance; none while they cannot be listed: what is not known is not told. */
  readonly seen: (instance: number, ends: readonly LocalEnd[]) => void;
  /** What the helper can and may do; an Error while it cannot be reached. */
  readonly helper: () => Abilities | Error;
  readonly ask: (request: object) => Promise<HelperAnswer | Error>;
  /** The helper refuses, an older one because it does not know the request. */
  readonly refused: (reason: string) => void;
  /** There are more connections than are listed. */
  readonly cut: (left: number) => void;
}

export class KernelWatch {
  readonly #options: KernelWatchOptions;
  #timer: TimerHandle | undefined;
  #stopped = true;
  /** It has refused: no use to ask again. */
  #refused = false;
  /** Instances of which something was told. */
  #told = new Set<number>();

  constructor(options: KernelWatchOptions) {
    this.#options = options;
  }

  start(): void {
    this.#stopped = false;
    this.#arm();
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  /** The helper is another one by now, or its lists are. */
  tryAgain(): void {
    this.#refused = false;
  }

  /** `tookMs`: the look before. */
  #arm(tookMs = 0): void {
    const { clock, intervalMs } = this.#options;
    const pauseMs = Math.max(SHORTEST_PAUSE_MS, intervalMs(), PAUSE_PER_LIST * tookMs);
    this.#timer = clock.setTimer(pauseMs, () => {
      const begun = clock.monotonicMs();
      void this.#look().then(() => {
        if (!this.#stopped) this.#arm(clock.monotonicMs() - begun);
      });
    });
  }

  async #look(): Promise<void> {
    const { watched, seen, cut } = this.#options;
    const { guarded, redirected, listeners } = watched();
    const lists = await Promise.all([this.#list(guarded, []), this.#list(redirected, listeners)]);
    if (this.#stopped) return;
    const known = new Map(lists.flatMap(({ ends }) => [...ends]));
    for (const instance of this.#told) if (!known.has(instance)) seen(instance, []);
    for (const [instance, ends] of known) seen(instance, ends);
    this.#told = new Set(known.keys());
    const left = lists.reduce((sum, one) => sum + one.left, 0);
    if (left > 0) cut(left);
  }

  /** The connections to these by instance; `listeners`: only those that came by one of them. */
  async #list(
    places: readonly Destination[],
    listeners: readonly number[],
  ): Promise<{ readonly ends: ReadonlyMap<number, readonly LocalEnd[]>; readonly left: number }> {
    const nothing = { ends: new Map<number, readonly LocalEnd[]>(), left: 0 };
    const helper = this.#options.helper();
    if (this.#refused || helper instanceof Error || helper.guard !== '') return nothing;
    const some = places
      .filter(({ target }) => !helper.refusedTargets.includes(formatTarget(target)))
      .slice(0, MOST_TARGETS);
    const ports = listeners.filter((port) => !helper.refusedListeners.has(port)).slice(0, MOST_TARGETS);
    if (some.length === 0 || ports.length < Math.min(1, listeners.length)) return nothing;
    const targets = some.map(({ target }) => wireTarget(target));
    const answer = await this.#options.ask({ do: 'ends', targets, listeners: ports });
    if (answer instanceof HelperRefusal) {
      this.#refused = true;
      this.#options.refused(answer.message);
    }
    if (answer instanceof Error) return nothing;
    const ends = decodeEnds(answer['ends'], some.length);
    if (ends === undefined) return nothing;
    return {
      ends: new Map(some.map(({ instance }, at) => [instance, ends[at] ?? []])),
      left: Number(answer['left']) || 0,
    };
  }
}
