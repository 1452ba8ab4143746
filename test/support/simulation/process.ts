/** A simulated process: it can be stopped (SIGSTOP) and go on, be killed, and has one timer. */
import type { Cancellable, Timeline } from './timeline.js';

export class SimProcess {
  readonly #timeline: Timeline;
  readonly #waiting: (() => void)[] = [];
  readonly #expire = (): void => this.#fire();
  #timer: Cancellable | undefined;
  #timerAt = Number.POSITIVE_INFINITY;
  #wake: (() => void) | undefined;
  #wakeMissed = false;
  #stopped = false;
  #alive = true;

  /** `hasty`: a defect, timers come before what has arrived. */
  constructor(
    timeline: Timeline,
    private readonly hasty = false,
  ) {
    this.#timeline = timeline;
  }

  get alive(): boolean {
    return this.#alive;
  }

  get isStopped(): boolean {
    return this.#stopped;
  }

  /** Something arrives: it is dealt with at once, or when the process goes on. */
  post(deal: () => void): void {
    if (!this.#alive) return;
    if (this.#stopped) this.#waiting.push(deal);
    else deal();
  }

  /** Sets the one timer; Infinity: none. */
  setTimer(at: number, wake: () => void): void {
    this.#wake = wake;
    if (at === this.#timerAt) return;
    this.#timer?.cancel();
    this.#timerAt = at;
    if (!this.#alive || at === Number.POSITIVE_INFINITY) return;
    this.#timer = this.#timeline.wakeAt(at, this.#expire);
  }

  /** SIGSTOP. */
  stop(): void {
    this.#stopped = true;
  }

  /** SIGCONT: what has arrived meanwhile is read before the timers are looked at. */
  goOn(): void {
    this.#stopped = false;
    if (this.hasty && this.#wakeMissed) {
      this.#wakeMissed = false;
      this.#fire();
    }
    for (const deal of this.#waiting.splice(0)) this.post(deal);
    if (!this.#wakeMissed) return;
    this.#wakeMissed = false;
    this.#fire();
  }

  /** SIGKILL. */
  kill(): void {
    this.#alive = false;
    this.#timer?.cancel();
    this.#waiting.length = 0;
  }

  #fire(): void {
    if (!this.#alive) return;
    if (this.#stopped) {
      this.#wakeMissed = true;
      return;
    }
    this.#timerAt = Number.POSITIVE_INFINITY;
    this.#wake?.();
  }
}
