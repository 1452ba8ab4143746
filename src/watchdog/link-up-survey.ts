/**
 * Says, when a conmgr has connected, what the loss of its address would end, so that nobody is surprised by it.
 */
import type { Log } from '../core/messages/message.js';
import { TERMINATOR_MESSAGES } from '../core/messages/terminator.js';
import { type PassPlan, wouldEnd } from '../core/terminator/pass.js';
import type { Clock, TimerHandle } from '../core/time.js';

/** Link-ups are gathered for this long, so that an address with several conmgrs is counted once. */
const DELAY_MS = 200;
/** Addresses that wait to be counted; in a storm of reconnects the rest goes without. */
const MOST_WAITING = 50;

export class LinkUpSurvey {
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #plan: (address: string) => Promise<PassPlan | undefined>;
  readonly #waiting = new Set<string>();
  #timer: TimerHandle | undefined;
  #running = false;
  #stopped = false;

  /** `plan`: the sessions of an address, undefined while the instance cannot be asked. */
  constructor(clock: Clock, log: Log, plan: (address: string) => Promise<PassPlan | undefined>) {
    this.#clock = clock;
    this.#log = log;
    this.#plan = plan;
  }

  add(address: string): void {
    if (this.#waiting.size < MOST_WAITING) this.#waiting.add(address);
    this.run();
  }

  /** Counts what waits, a moment later. */
  run(): void {
    if (this.#running || this.#stopped || this.#waiting.size === 0) return;
    this.#running = true;
    this.#timer = this.#clock.setTimer(DELAY_MS, () => void this.#countAll());
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  async #countAll(): Promise<void> {
    let asked = true;
    for (const address of [...this.#waiting]) {
      const plan = await this.#plan(address);
      if (this.#stopped) return;
      // What waits is counted when the instance can be asked.
      asked = plan !== undefined;
      if (plan === undefined) break;
      this.#waiting.delete(address);
      const would = wouldEnd(plan);
      const programs = would.programs === '' ? 'None' : would.programs;
      this.#log.write(TERMINATOR_MESSAGES.lossWouldEnd, { peer: address, ...would, programs });
    }
    this.#running = false;
    if (asked) this.run();
  }
}
