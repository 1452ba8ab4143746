/** Which way each listener goes, by the kernel or by conmgr itself, why, and what was said of it in the log. */
import type { ConmgrConfig, ListenerConfig } from '../core/config/types.js';
import { CONMGR_MESSAGES } from '../core/messages/conmgr.js';
import type { Log } from '../core/messages/message.js';
import { type Abilities, whyForwarded } from '../io/helper-abilities.js';
import type { HelperUnreachable } from '../io/helper-client.js';

export class ListenerWays {
  readonly #config: () => ConmgrConfig;
  readonly #log: Log;
  /** Why its route was refused, by port. */
  readonly #problems = new Map<number, string>();
  /** Why it is forwarded, as said last, by port. */
  readonly #said = new Map<number, string>();

  constructor(config: () => ConmgrConfig, log: Log) {
    this.#config = config;
    this.#log = log;
  }

  /** Whether anything was said of any. */
  get announced(): boolean {
    return this.#said.size > 0;
  }

  /** '' = its route was accepted. Returns whether that is news. */
  setProblem(port: number, problem: string): boolean {
    if ((this.#problems.get(port) ?? '') === problem) return false;
    this.#problems.set(port, problem);
    return true;
  }

  forgetProblems(): void {
    this.#problems.clear();
  }

  /** '' = the kernel redirects it. */
  whyForwarded(listener: ListenerConfig, helper: Abilities | HelperUnreachable): string {
    const reason = whyForwarded(listener, helper);
    return reason === '' ? (this.#problems.get(listener.port) ?? '') : reason;
  }

  /** Says of each listener which way it goes, whenever that is another one than before. */
  announce(helper: Abilities | HelperUnreachable): void {
    for (const listener of this.#config().listeners) {
      const reason = this.whyForwarded(listener, helper);
      const { port, mode } = listener;
      const known = this.#said.get(port);
      // The words may differ from attempt to attempt; the way does not.
      if (known !== undefined && (known === '') === (reason === '')) continue;
      this.#said.set(port, reason);
      if (reason === '') this.#log.write(CONMGR_MESSAGES.listenerRedirects, { port });
      else if (mode === 'redirect') this.#log.write(CONMGR_MESSAGES.redirectMissing, { port, reason });
      else if (mode === 'auto') this.#log.write(CONMGR_MESSAGES.listenerForwards, { port, reason });
    }
  }
}
