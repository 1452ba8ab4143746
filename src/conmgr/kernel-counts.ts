/** How many connections this host has to each instance, for status: counted by conmgr-helper, at most four times a second. */
import { wireTarget } from '../core/conmgr/kernel-orders.js';
import type { Destination } from '../core/conmgr/kernel-wishes.js';
import type { KernelStatus } from '../core/control/protocol.js';
import { MOST_TARGETS } from '../core/guard/request.js';
import type { Clock, MonotonicMs } from '../core/time.js';
import type { HelperAnswer } from '../io/helper-client.js';

/** A count is good for so long: whoever asks for the status again and again takes no time of the helper. */
const GOOD_FOR_MS = 250;
/** A count that takes longer is left out of a status. */
const COUNT_WITHIN_MS = 500;

export interface KernelCount {
  readonly connections: KernelStatus['connections'];
  /** Of them those that came by a listener, by its port. */
  readonly came: ReadonlyMap<number, number>;
}

const NOTHING_KNOWN: KernelCount = { connections: [], came: new Map() };

export class KernelCounts {
  readonly #clock: Clock;
  readonly #ask: (request: object) => Promise<HelperAnswer | Error>;
  #at: MonotonicMs = Number.NEGATIVE_INFINITY;
  #last: Promise<KernelCount> = Promise.resolve(NOTHING_KNOWN);

  constructor(clock: Clock, ask: (request: object) => Promise<HelperAnswer | Error>) {
    this.#clock = clock;
    this.#ask = ask;
  }

  /** Never rejects; what cannot be counted is missing. */
  take(places: readonly Destination[], listeners: readonly number[]): Promise<KernelCount> {
    const now = this.#clock.monotonicMs();
    if (now - this.#at >= GOOD_FOR_MS) {
      this.#at = now;
      this.#last = this.#within(this.#count(places, listeners));
    }
    return this.#last;
  }

  async #count(places: readonly Destination[], listeners: readonly number[]): Promise<KernelCount> {
    const some = places.slice(0, MOST_TARGETS);
    const ports = listeners.slice(0, MOST_TARGETS);
    const targets = some.map(({ target }) => wireTarget(target));
    const answer = await this.#ask({ do: 'count', targets, listeners: ports });
    if (answer instanceof Error) return NOTHING_KNOWN;
    const { counts, came } = answer;
    if (!Array.isArray(counts) || !Array.isArray(came)) return NOTHING_KNOWN;
    return {
      connections: some.map(({ instance }, at) => ({ instance, count: Number(counts[at]) })),
      came: new Map(ports.map((port, at) => [port, Number(came[at])])),
    };
  }

  #within(counting: Promise<KernelCount>): Promise<KernelCount> {
    return new Promise((resolve) => {
      const timer = this.#clock.setTimer(COUNT_WITHIN_MS, () => resolve(NOTHING_KNOWN));
      void counting.then((count) => {
        timer.cancel();
        resolve(count);
      });
    });
  }
}
