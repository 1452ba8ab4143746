/**
 * Keeps the file that the view pgx_stat_watchdog reads: at most once a second after a change, and every two seconds
 * while there are links, because the view shows nothing of a file older than five.
 */

import type { Log } from '../core/messages/message.js';
import { WATCHDOG_MESSAGES } from '../core/messages/watchdog.js';
import { renderViewFile, type ViewRow } from '../core/session/view-rows.js';
import type { Clock, TimerHandle } from '../core/time.js';
import { replaceFile } from '../io/json-file.js';
import type { Link } from './link.js';
import { notWritable } from './not-writable.js';

const CHANGE_MS = 1000;
const RENEW_MS = 2000;

export interface ViewFileOptions {
  readonly path: string;
  readonly bootId: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly links: () => Iterable<Link>;
}

export class ViewFile {
  readonly #options: ViewFileOptions;
  #timer: TimerHandle | undefined;
  #dueAt = Number.POSITIVE_INFINITY;
  #closed = false;

  constructor(options: ViewFileOptions) {
    this.#options = options;
  }

  /** A link came, went, or was retimed. */
  changed(): void {
    this.#within(CHANGE_MS);
  }

  /** Nothing is written any more; the view is empty after five seconds. */
  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
  }

  #within(delayMs: number): void {
    const { clock } = this.#options;
    const at = clock.monotonicMs() + delayMs;
    if (this.#closed || at >= this.#dueAt) return;
    this.#timer?.cancel();
    this.#dueAt = at;
    this.#timer = clock.setTimer(delayMs, () => void this.#write());
  }

  async #write(): Promise<void> {
    const { path, bootId, clock, log, links } = this.#options;
    const now = clock.monotonicMs();
    const wall = clock.wallMs();
    const rows = Array.from(links(), (link) => viewRow(link, wall - now));
    try {
      await replaceFile(path, renderViewFile(rows, bootId, wall));
    } catch (error) {
      const reason = (error as Error).message;
      log.write(
        WATCHDOG_MESSAGES.notWritable,
        notWritable(path, reason, 'The view pgx_stat_watchdog is empty'),
      );
    }
    this.#dueAt = Number.POSITIVE_INFINITY;
    if (rows.length > 0) this.#within(RENEW_MS);
  }
}

/** `offset`: wall clock minus monotonic clock. */
function viewRow({ address, port, data, hello, authenticated }: Link, offset: number): ViewRow {
  return {
    address,
    port,
    intervalMs: data.intervalMs,
    timeoutMs: data.timeoutMs,
    connectedAt: data.upSince + offset,
    lastPacketAt: data.lastReceivedAt + offset,
    rttMs: data.rttMs,
    packetsReceived: data.packetsReceived,
    software: hello?.software ?? '',
    tls: authenticated,
    authenticated,
    label: hello?.label ?? '',
  };
}
