/**
 * What was learned of hosts that are not a conmgr, so that they are not asked anew with every connection: asking
 * costs such a host one connection, and a server one log line where TLS is required.
 */
import type { MonotonicMs } from '../time.js';

/** How long a host is taken for what it was. */
export const REMEMBERED_MS = 10 * 60_000;
/** Most hosts remembered; the oldest gives way. */
export const MOST_REMEMBERED = 1000;

/** Hosts that are to be used directly, by address and port. */
export class RememberedHosts {
  readonly #untilMs = new Map<string, MonotonicMs>();

  /** Whether this host was found to be used directly during the last ten minutes. */
  isDirect(host: string, now: MonotonicMs): boolean {
    const until = this.#untilMs.get(host);
    if (until === undefined) return false;
    if (until > now) return true;
    this.#untilMs.delete(host);
    return false;
  }

  /** Remembers a server or a pooler. */
  rememberDirect(host: string, now: MonotonicMs): void {
    this.#untilMs.delete(host);
    this.#untilMs.set(host, now + REMEMBERED_MS);
    for (const oldest of this.#untilMs.keys()) {
      if (this.#untilMs.size <= MOST_REMEMBERED) break;
      this.#untilMs.delete(oldest);
    }
  }
}
