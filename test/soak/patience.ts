/**
 * How long an application may have to wait for an answer: a bound, and stretches of time in which the answer is
 * withheld for a reason that no connection manager can mend, which do not count.
 */

/**
 * The synchronous standby is away: a commit waits for it, in the server, and whoever says so has to have been seen there
 * (wait_event SyncRep). Its own conmgr is frozen: the application waits whatever it does.
 */
export type Reason = 'standby away' | 'conmgr frozen';

export interface Hold {
  readonly reason: Reason;
  readonly from: number;
  to: number;
}

export class Patience {
  readonly #holds: Hold[] = [];

  constructor(readonly boundMs: number) {}

  /** From now on answers are withheld; call `release` with what this returns. */
  hold(reason: Reason, now: number): Hold {
    const hold = { reason, from: now, to: Number.POSITIVE_INFINITY };
    this.#holds.push(hold);
    return hold;
  }

  release(hold: Hold, now: number): void {
    hold.to = now;
  }

  /** How long somebody who waits since `from` has waited in vain, if these reasons excuse him; 0 for one who had to. */
  waited(from: number, now: number, reasons: readonly Reason[] = ['standby away', 'conmgr frozen']): number {
    const last = this.#holds
      .filter(({ to, reason }) => to > from && reasons.includes(reason))
      .map(({ to }) => Math.min(to, now));
    return now - Math.max(from, ...last);
  }
}
