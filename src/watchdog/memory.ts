/**
 * What the watchdog remembers over its own restart: the links that were up and the losses that were not dealt with.
 * A conmgr that dies while the watchdog is being restarted would otherwise never be noticed.
 */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { parseIp } from '../core/config/address.js';
import type { Log } from '../core/messages/message.js';
import { WATCHDOG_MESSAGES } from '../core/messages/watchdog.js';
import { TIMING_BOUNDS } from '../core/protocol/messages.js';
import { WatchedSessions } from '../core/terminator/watched.js';
import type { Clock, TimerHandle } from '../core/time.js';
import { readJsonFile, replaceFile } from '../io/json-file.js';
import { notWritable } from './not-writable.js';
import type { LostLink } from './terminator.js';

/** The file is written at most this often, … */
const WRITE_INTERVAL_MS = 1000;
/** … and rests so many times as long as its text took: a hundredth of a core, … */
const REST_FACTOR = 100;
/** … unless that is too late. What is younger than this is forgotten when the watchdog is killed. */
const LATEST_WRITE_MS = 4000;
/** Links whose text is put together in one go; between two goes packets flow. */
const SLICE = 100;
const FORMAT_VERSION = 1;
/** More are not taken from a file. */
const MOST_LINKS = 100_000;

export interface Memory {
  readonly paused: boolean;
  readonly links: readonly LostLink[];
}

/** The same as it stands: links are looked at when they are written. */
export interface PresentMemory {
  readonly paused: boolean;
  readonly links: Iterable<LostLink>;
}

/**
 * The links that are up, then the losses, which are asked for when all links have been: a link that is lost while the file is
 * being written is in it in any case. It may be there twice, which ends no more sessions than once.
 */
export function* linksAndLosses(
  up: Iterable<LostLink>,
  losses: () => Iterable<LostLink>,
): Generator<LostLink, void, void> {
  yield* up;
  yield* losses();
}

export const EMPTY_MEMORY: Memory = { paused: false, links: [] };

/** This start of the kernel: after another one no session of before is left. */
export async function kernelBootId(): Promise<string> {
  return (await readFile('/proc/sys/kernel/random/boot_id', 'utf8').catch(() => '')).trim();
}

/** Reads the file; empty when there is none, when it makes no sense, or when the machine was started since. */
export async function recall(path: string, bootId: string): Promise<Memory> {
  const value = (await readJsonFile(path)) as Partial<Record<string, unknown>> | undefined | null;
  if (typeof value !== 'object' || value === null || value['version'] !== FORMAT_VERSION) return EMPTY_MEMORY;
  const paused = value['paused'] === true;
  const links = value['links'];
  if (value['kernelBootId'] !== bootId || !Array.isArray(links)) return { paused, links: [] };
  return { paused, links: links.slice(0, MOST_LINKS).flatMap(readLink) };
}

function readLink(value: unknown): LostLink[] {
  if (typeof value !== 'object' || value === null) return [];
  const { conmgrId, address, label, timeoutMs, beats, watched, authenticated } = value as Record<
    string,
    unknown
  >;
  const texts = [conmgrId, address, label].every((text) => typeof text === 'string');
  const numbers = [timeoutMs, beats].every((number) => typeof number === 'number' && Number.isFinite(number));
  if (!texts || !numbers) return [];
  const link = {
    ...{ conmgrId, address, label, timeoutMs, beats, authenticated: authenticated === true },
    ...(watched === undefined ? {} : { watched: WatchedSessions.fromRecord(watched) }),
  } as LostLink;
  // An address that is none would make every pass over the sessions fail.
  const sane = parseIp(link.address) !== undefined && link.beats >= 0;
  const timed = link.timeoutMs >= TIMING_BOUNDS.minMs && link.timeoutMs <= TIMING_BOUNDS.maxMs;
  return sane && timed ? [link] : [];
}

/** Writes the file a moment after something has changed. */
export class MemoryFile {
  readonly #path: string;
  readonly #kernelBootId: string;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #present: () => PresentMemory;
  #timer: TimerHandle | undefined;
  /** Digest of the text that was written last. */
  #written = '';
  #restMs = WRITE_INTERVAL_MS;
  #writing: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(options: {
    readonly path: string;
    readonly kernelBootId: string;
    readonly clock: Clock;
    readonly log: Log;
    readonly present: () => PresentMemory;
  }) {
    this.#path = options.path;
    this.#kernelBootId = options.kernelBootId;
    this.#clock = options.clock;
    this.#log = options.log;
    this.#present = options.present;
  }

  changed(): void {
    if (this.#closed) return;
    this.#timer ??= this.#clock.setTimer(this.#restMs, () => {
      this.#timer = undefined;
      void this.#write(this.#present());
    });
  }

  /** Another directory has the name of the one that the file was written to. */
  moved(): void {
    this.#written = '';
    this.changed();
  }

  /** Writes a last time. */
  async close(last: Memory): Promise<void> {
    this.#closed = true;
    this.#timer?.cancel();
    await this.#write(last);
  }

  #write(memory: PresentMemory): Promise<void> {
    this.#writing = this.#writing.then(async () => {
      const { parts, digest } = await this.#textOf(memory);
      if (digest === this.#written) return;
      try {
        await replaceFile(this.#path, parts);
        this.#written = digest;
      } catch (error) {
        const consequence = 'Links are not remembered over a restart of the watchdog';
        this.#log.write(
          WATCHDOG_MESSAGES.notWritable,
          notWritable(this.#path, (error as Error).message, consequence),
        );
      }
    });
    return this.#writing;
  }

  async #textOf({ paused, links }: PresentMemory): Promise<{ parts: readonly string[]; digest: string }> {
    const head = JSON.stringify({ version: FORMAT_VERSION, kernelBootId: this.#kernelBootId, paused });
    const parts = [`${head.slice(0, -1)},"links":[`];
    let count = 0;
    let part = '';
    let tookMs = 0;
    let begun = this.#clock.monotonicMs();
    for (const link of links) {
      const row = JSON.stringify({ ...link, watched: link.watched?.toRecord() });
      part += count === 0 ? row : `,${row}`;
      count += 1;
      if (count % SLICE !== 0) continue;
      parts.push(part);
      part = '';
      tookMs += this.#clock.monotonicMs() - begun;
      if (!this.#closed) await new Promise((resolve) => setImmediate(resolve));
      begun = this.#clock.monotonicMs();
    }
    parts.push(`${part}]}\n`);
    this.#restMs = Math.min(LATEST_WRITE_MS, Math.max(WRITE_INTERVAL_MS, REST_FACTOR * tookMs));
    const hash = createHash('sha256');
    for (const text of parts) hash.update(text);
    return { parts, digest: hash.digest('hex') };
  }
}
