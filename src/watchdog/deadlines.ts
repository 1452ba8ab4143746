/**
 * One timer for the deadlines of all links: a heap of those that have one, the earliest first. A timer of Node.js for
 * each would cost every link 350 octets.
 */
import { type Clock, type MonotonicMs, NEVER, type TimerHandle } from '../core/time.js';

/** What may have a deadline, one at a time. */
export interface Deadline {
  /** When it is due, NEVER when it is not among them. Written by Deadlines alone. */
  dueAt: MonotonicMs;
  /** Its place in the heap; written by Deadlines alone. */
  place: number;
  /** The moment has come; it is not among them any more. */
  due(dueAt: MonotonicMs): void;
}

/** So many in one go; between two goes packets flow. */
const SLICE = 200;
/**
 * Where there are many, those that fall within a moment are dealt with at its end, all in one turn of the event loop: a turn
 * costs more than a beat. The moment grows with their number up to this.
 */
const LONGEST_WAIT_MS = 4;
/** So many for a millisecond of it. */
const DEADLINES_PER_MS = 1000;

export class Deadlines {
  readonly #clock: Clock;
  readonly #heap: Deadline[] = [];
  /** When each of the heap is due: side by side, so that finding a place does not touch the links. */
  readonly #moments: MonotonicMs[] = [];
  #timer: TimerHandle | undefined;
  /** Moment the timer is set for. */
  #armedFor: MonotonicMs = NEVER;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Sets when `one` is due, anew if it was set; NEVER: not at all. */
  set(one: Deadline, dueAt: MonotonicMs): void {
    if (dueAt === NEVER) {
      this.#remove(one);
      return;
    }
    if (one.dueAt === NEVER) one.place = this.#heap.length;
    one.dueAt = dueAt;
    this.#settle(one);
    this.#arm();
  }

  #remove(one: Deadline): void {
    if (one.dueAt === NEVER) return;
    one.dueAt = NEVER;
    const last = this.#heap.pop();
    this.#moments.pop();
    if (last === undefined || last === one) return;
    last.place = one.place;
    this.#settle(last);
  }

  #arm(): void {
    const [first] = this.#heap;
    if (first === undefined || first.dueAt >= this.#armedFor) return;
    this.#timer?.cancel();
    this.#armedFor = first.dueAt;
    const waitMs = Math.min(LONGEST_WAIT_MS, Math.floor(this.#heap.length / DEADLINES_PER_MS));
    const delayMs = first.dueAt + waitMs - this.#clock.monotonicMs();
    this.#timer = this.#clock.setTimer(delayMs, () => this.#fire());
  }

  #fire(): void {
    this.#timer = undefined;
    // Nothing arms it while it fires.
    this.#armedFor = Number.NEGATIVE_INFINITY;
    const now = this.#clock.monotonicMs();
    for (let count = 0; count < SLICE; count += 1) {
      const [first] = this.#heap;
      if (first === undefined || first.dueAt > now) break;
      const { dueAt } = first;
      this.#remove(first);
      first.due(dueAt);
    }
    this.#armedFor = NEVER;
    this.#arm();
  }

  /** Finds the place of one whose moment or place is new; that of the others is right. */
  #settle(one: Deadline): void {
    const { dueAt } = one;
    let { place } = one;
    while (place > 0) {
      const parent = (place - 1) >> 1;
      if (this.#moments[parent]! <= dueAt) break;
      this.#put(this.#heap[parent]!, this.#moments[parent]!, place);
      place = parent;
    }
    for (;;) {
      const left = 2 * place + 1;
      if (left >= this.#heap.length) break;
      const right = left + 1;
      const child = right < this.#heap.length && this.#moments[right]! < this.#moments[left]! ? right : left;
      if (this.#moments[child]! >= dueAt) break;
      this.#put(this.#heap[child]!, this.#moments[child]!, place);
      place = child;
    }
    this.#put(one, dueAt, place);
  }

  #put(one: Deadline, dueAt: MonotonicMs, place: number): void {
    one.place = place;
    this.#heap[place] = one;
    this.#moments[place] = dueAt;
  }
}
