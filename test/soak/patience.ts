/**
 * How long an application may have to wait for an answer: a bound, and stretches of time in which the answer is
 * withheld for a reason that no connection manager can mend (the synchronous standby is away, say), which do not count.
 */
export interface Hold {
  readonly from: number;
  to: number;
}

export class Patience {
  readonly #holds: Hold[] = [];

  constructor(readonly boundMs: number) {}

  /** From now on answers are withheld; call `release` with what this returns. */
  hold(now: number): Hold {
    const hold = { from: now, to: Number.POSITIVE_INFINITY };
    this.#holds.push(hold);
    return hold;
  }

  release(hold: Hold, now: number): void {
    hold.to = now;
  }

  /** How long somebody who waits since `from` has waited in vain; 0 for one who had to. */
  waited(from: number, now: number): number {
    const last = this.#holds.filter(({ to }) => to > from).map(({ to }) => Math.min(to, now));
    return now - Math.max(from, ...last);
  }

  /** Whether that is too long. */
  isOver(from: number, now: number): boolean {
    return this.waited(from, now) > this.boundMs;
  }
}
