/**
 * Time of a simulated world: events happen in the order of their moments and, at one moment, in the order in which
 * they were planned; wake-ups come after everything else that happens at their moment.
 */

interface Planned {
  readonly at: number;
  /** 0: something arrives · 1: a process wakes up by its timer, after reading what has arrived. */
  readonly rank: 0 | 1;
  readonly order: number;
  readonly happen: () => void;
  cancelled: boolean;
}

export interface Cancellable {
  cancel(): void;
}

export class Timeline {
  #now = 0;
  #order = 0;
  /** A binary heap: the earliest stands first. */
  readonly #heap: Planned[] = [];
  #happened = 0;
  #interruption: { readonly after: number; readonly happen: () => void } | undefined;

  get now(): number {
    return this.#now;
  }

  /** How many events have happened. */
  get happened(): number {
    return this.#happened;
  }

  /** Does something right after so many events have happened, whenever that is. */
  interruptAfter(events: number, happen: () => void): void {
    this.#interruption = { after: events, happen };
  }

  /** Plans something `delayMs` from now. */
  after(delayMs: number, happen: () => void): Cancellable {
    return this.#plan(this.#now + Math.max(0, delayMs), 0, happen);
  }

  /** Plans a wake-up; one in the past comes at once. */
  wakeAt(at: number, happen: () => void): Cancellable {
    return this.#plan(Math.max(at, this.#now), 1, happen);
  }

  /** Lets `ms` pass. */
  advance(ms: number): void {
    const end = this.#now + ms;
    for (let count = 0; ; count += 1) {
      const next = this.#heap[0];
      if (next === undefined || next.at > end) break;
      if (count > 1_000_000) throw new Error(`events without end at ${this.#now} ms`);
      this.#pop();
      if (next.cancelled) continue;
      this.#now = next.at;
      next.happen();
      this.#happened += 1;
      if (this.#happened === this.#interruption?.after) this.#interruption.happen();
    }
    this.#now = end;
  }

  #plan(at: number, rank: 0 | 1, happen: () => void): Cancellable {
    const planned: Planned = { at, rank, order: this.#order++, happen, cancelled: false };
    this.#rise(planned);
    return {
      cancel: () => {
        planned.cancelled = true;
      },
    };
  }

  /** Finds the place for one more, from the end on. */
  #rise(planned: Planned): void {
    const heap = this.#heap;
    let index = heap.length;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (!earlier(planned, heap[parent]!)) break;
      heap[index] = heap[parent]!;
      index = parent;
    }
    heap[index] = planned;
  }

  /** Takes the first away and finds a place for the last, from the top on. */
  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop()!;
    const { length } = heap;
    if (length === 0) return;
    let index = 0;
    for (let child = 1; child < length; child = 2 * index + 1) {
      if (child + 1 < length && earlier(heap[child + 1]!, heap[child]!)) child += 1;
      if (!earlier(heap[child]!, last)) break;
      heap[index] = heap[child]!;
      index = child;
    }
    heap[index] = last;
  }
}

function earlier(a: Planned, b: Planned): boolean {
  if (a.at !== b.at) return a.at < b.at;
  return a.rank === b.rank ? a.order < b.order : a.rank < b.rank;
}

/** A small generator of numbers in [0, 1) that gives the same ones for the same seed (Mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000;
  };
}
