/**
 * Keeps the file that the view pgx_stat_watchdog reads: at most once a second after a change, and every two seconds
 * while there are links, because the view shows nothing of a file older than five. With thousands of links, whose rows take
 * long, it is written less often, but in time.
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
/** Before the file is five seconds old, with a second for writing it. */
const LATEST_RENEW_MS = 4000;
/** It rests so many times as long as its rows took: a hundredth of a core, unless that is too late. */
const REST_FACTOR = 100;

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
  #restMs = 0;

  constructor(options: ViewFileOptions) {
    this.#options = options;
  }

  /** A link came, went, or was retimed. */
  changed(): void {
    this.#within(Math.max(CHANGE_MS, this.#restMs));
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
    let [count, tookMs] = [0, 0];
    function* rows(): Generator<ViewRow, void, void> {
      for (const link of links()) {
        count += 1;
        yield viewRow(link, wall - now);
      }
    }
    function* parts(): Generator<string, void, void> {
      const rendered = renderViewFile(rows(), bootId, wall);
      for (;;) {
        const begun = clock.monotonicMs();
        const part = rendered.next();
        tookMs += clock.monotonicMs() - begun;
        if (part.done === true) return;
        yield part.value;
      }
    }
    try {
      await replaceFile(path, parts());
    } catch (error) {
      const reason = (error as Error).message;
      log.write(
        WATCHDOG_MESSAGES.notWritable,
        notWritable(path, reason, 'The view pgx_stat_watchdog is empty'),
      );
    }
    this.#dueAt = Number.POSITIVE_INFINITY;
    this.#restMs = Math.min(LATEST_RENEW_MS, REST_FACTOR * tookMs);
    if (count > 0) this.#within(Math.max(RENEW_MS, this.#restMs));
  }
}

/** `offset`: wall clock minus monotonic clock. */
function viewRow({ address, port, data, authenticated }: Link, offset: number): ViewRow {
  const { caller } = data;
  return {
    address,
    port,
    intervalMs: data.intervalMs,
    timeoutMs: data.timeoutMs,
    connectedAt: data.upSince + offset,
    lastPacketAt: data.lastReceivedAt + offset,
    rttMs: data.rttMs,
    packetsReceived: data.packetsReceived,
    software: caller?.software ?? '',
    tls: authenticated,
    authenticated,
    label: caller?.label ?? '',
  };
}
