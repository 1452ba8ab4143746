/**
 * The limit on repeated messages: one at once, then at most one line per window with the count.
 *
 * A window opens with a message that is written. What comes within it under the same key is counted, not written;
 * at its end one line reports the count and, while the storm goes on, opens the next window.
 */
import { earliest, type MonotonicMs, NEVER } from '../time.js';
import type { MessageParams, MessageSpec } from './message.js';

/** Window of a message whose row names none. */
export const DEFAULT_WINDOW_MS = 1000;

/** More keys than this are not told apart by peer any more: memory stays bounded when addresses are made up. */
const MOST_KEYS = 2000;

/** Messages kept back in one window, reported when it ends. */
export interface Repeated<T> {
  /** How many were kept back. */
  readonly count: number;
  readonly windowMs: number;
  /** The last of them. */
  readonly latest: T;
}

interface Window<T> {
  readonly windowMs: number;
  endMs: MonotonicMs;
  count: number;
  latest: T | undefined;
}

/** `10.0.0.1:40312` and `[::1]:40312` without the port, which is another one with each connection. */
function addressOf(peer: string): string {
  return peer.replace(/^(\[.*\]|[^:]*):\d+$/, '$1');
}

/** Without what a peer can make different in each message: numbers, and the texts of its own that stand in quotes. */
function kindOfReason(reason: unknown): string {
  return String(reason ?? '').replace(/".*"|\d+/gs, '');
}

/**
 * What counts as the same message: code, reason and whom it is about. The port tells configured servers apart
 * (host, port), but not clients (peer), whose ports are made up by the kernel.
 */
export function rateLimitKey(spec: MessageSpec, params: MessageParams): string {
  const { instance, host, port, reason, peer } = params as Readonly<Record<string, unknown>>;
  const place = peer === undefined ? [host, port] : [addressOf(String(peer))];
  return [spec.code, instance, kindOfReason(reason), ...place].join('\n');
}

/** Decides which messages are written now. Time comes in; nothing is written here. */
export class RateLimiter<T> {
  readonly #windows = new Map<string, Window<T>>();

  /** Whether the message is to be written now. `windowMs` 0 = always. `latest` is kept for the report. */
  admit(key: string, windowMs: number, now: MonotonicMs, latest: T): boolean {
    if (windowMs <= 0) return true;
    const known = this.#windows.get(key);
    // A window that has ended with something kept back still waits for its report: this message belongs into it.
    if (known !== undefined && (now < known.endMs || known.count > 0)) {
      known.count += 1;
      known.latest = latest;
      return false;
    }
    const codeEnd = key.indexOf('\n');
    if (known === undefined && codeEnd > 0 && this.#windows.size >= MOST_KEYS) {
      return this.admit(key.slice(0, codeEnd), windowMs, now, latest);
    }
    this.#windows.set(key, { windowMs, endMs: now + windowMs, count: 0, latest: undefined });
    return true;
  }

  /** Reports of the windows that have ended by `now`; quiet keys are forgotten. */
  due(now: MonotonicMs): Repeated<T>[] {
    return this.#take(now, now);
  }

  /** All reports, ended or not: the process is about to end. */
  drain(): Repeated<T>[] {
    const reports = this.#take(NEVER, NEVER);
    this.#windows.clear();
    return reports;
  }

  /** When `due` is to be called next. */
  get nextDueMs(): MonotonicMs {
    let next = NEVER;
    for (const window of this.#windows.values()) next = earliest(next, window.endMs);
    return next;
  }

  #take(upTo: MonotonicMs, now: MonotonicMs): Repeated<T>[] {
    const reports: Repeated<T>[] = [];
    for (const [key, window] of this.#windows) {
      if (window.endMs > upTo) continue;
      if (window.count === 0) {
        this.#windows.delete(key);
        continue;
      }
      reports.push({ count: window.count, windowMs: window.windowMs, latest: window.latest as T });
      window.count = 0;
      window.latest = undefined;
      window.endMs = now + window.windowMs;
    }
    return reports;
  }
}
