/**
 * What is still to be said to conmgr-helper so that the kernel is as it is wanted: the difference between the wishes and
 * what was said on this connection.
 */
import { formatAddress, formatTarget, type Target } from '../guard/target.js';
import type { Destination, KernelWishes } from './kernel-wishes.js';

/** One request, and what is said of it in the log. */
export interface KernelOrder {
  /** Names what it is about; an order that failed is taken back by it. */
  readonly key: string;
  /** In the protocol of the helper, without `id`. */
  readonly request: Readonly<Record<string, unknown>>;
  /** For `refused ...` */
  readonly what: string;
  /** The instance that it is about; undefined for a route. */
  readonly destination: Destination | undefined;
  /** The listener that it is about; undefined for the guard. */
  readonly port: number | undefined;
}

/** What the helper is able to do. */
export interface KernelMeans {
  readonly guard: boolean;
  readonly redirect: boolean;
}

interface Wanted {
  readonly order: KernelOrder;
  /** An order of the same key with another value is a new one. */
  readonly value: string;
  /** What is to be said once it is no longer wanted. */
  readonly undo: KernelOrder | undefined;
}

/** A target in the protocol of the helper. */
export function wireTarget({ bytes, port }: Target): [string, number] {
  return [formatAddress(bytes), port];
}

export class KernelOrders {
  readonly #said = new Map<string, Wanted>();

  /** A new connection: nothing was said. */
  reset(): void {
    this.#said.clear();
  }

  /** It was refused, so it counts as not said. */
  failed({ key }: KernelOrder): void {
    this.#said.delete(key);
  }

  /**
   * All that is to be said now, in this order; it counts as said. Routes come first, so that nobody follows those whose
   * connection is ended; then what is lost, for which somebody may be waiting; then what no longer fits a listener.
   */
  next(wishes: KernelWishes, means: KernelMeans): KernelOrder[] {
    const wanted = wantedOf(wishes, means);
    const keys = new Set(wanted.map(({ order }) => order.key));
    const over = [...this.#said.values()].filter(({ order }) => !keys.has(order.key));
    for (const { order } of over) this.#said.delete(order.key);
    const fresh = wanted.filter(({ order, value }) => this.#said.get(order.key)?.value !== value);
    for (const one of fresh) this.#said.set(one.order.key, one);
    return [...fresh.map(({ order }) => order), ...over.flatMap(({ undo }) => undo ?? [])];
  }
}

function wantedOf({ ended, swept, routes, misplaced }: KernelWishes, means: KernelMeans): Wanted[] {
  const led = routes.map(({ listener: { port }, destinations }): Wanted => {
    const targets = destinations.map(({ target }) => wireTarget(target));
    const request = { do: 'route', listener: port, targets };
    return once('route', request, undefined, port, destinations.map(placeOf).join(' '));
  });
  const guarded = [
    ...ended.map((destination) =>
      once('kill', { do: 'kill', target: wireTarget(destination.target) }, destination),
    ),
    ...swept.map((destination): Wanted => {
      const request = { do: 'sweep', target: wireTarget(destination.target), on: true };
      const wanted = once('sweep', request, destination);
      return { ...wanted, undo: { ...wanted.order, request: { ...request, on: false } } };
    }),
  ];
  // Whoever came by a listener is among those that the guard ends.
  const killed = new Set(means.guard ? ended.map(placeOf) : []);
  const evicted = misplaced
    .filter(({ destination }) => !killed.has(placeOf(destination)))
    .map(({ port, destination }) => {
      const request = { do: 'evict', listener: port, target: wireTarget(destination.target) };
      return once('evict', request, destination, port);
    });
  return [
    ...(means.redirect ? led : []),
    ...(means.guard ? guarded : []),
    ...(means.redirect ? evicted : []),
  ];
}

/** Wanted, and forgotten without a word when it is no longer. */
function once(
  verb: 'route' | 'evict' | 'kill' | 'sweep',
  request: KernelOrder['request'],
  destination: Destination | undefined,
  port?: number,
  value = '',
): Wanted {
  const place = destination === undefined ? '' : placeOf(destination);
  const by = port === undefined ? '' : ` of listener ${port}`;
  const what = `${WORDS[verb]}${place === '' ? '' : ` ${place}`}${by}`;
  return {
    order: { key: `${verb} ${port ?? ''} ${place}`, request, what, destination, port },
    value,
    undo: undefined,
  };
}

const WORDS = {
  route: 'route',
  evict: 'end of connections to',
  kill: 'end of connections to',
  sweep: 'sweep of',
} as const;

function placeOf({ target }: Destination): string {
  return formatTarget(target);
}
