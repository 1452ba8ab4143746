/**
 * Lines to stderr through a bounded queue: a reader that stalls costs memory up to a limit, never time.
 */
import type { Clock, TimerHandle } from '../../core/time.js';
import { retrySync } from './pause.js';
import type { Outlet, Taken } from './stderr-outlet.js';

/** Most octets that wait for a reader; what comes on top is dropped and counted. */
const QUEUE_LIMIT = 256 * 1024;

/** How soon a reader that did not keep up is tried again. A pipe holds 64 kB, so the queue drains in 0.1 s. */
const RETRY_MS = 20;

/** How long the last words of a process wait for a stalled reader. */
const LAST_WORDS_MS = 250;

interface Piece {
  readonly bytes: Buffer;
  /** Messages that are lost with this piece. */
  readonly messages: number;
  offset: number;
}

/** What the sink needs to know. */
export interface StderrSinkOptions {
  readonly clock: Clock;
  readonly outlet: Outlet;
  /** The text that says that so many messages could not be written. */
  readonly droppedNotice: (count: number) => string;
}

/** Writes texts in order. Never throws, never waits (the `Now` forms excepted, for at most a quarter of a second). */
export class StderrSink {
  readonly #options: StderrSinkOptions;
  readonly #queue: Piece[] = [];
  #queued = 0;
  #dropped = 0;
  /** Pieces that are being written in the thread pool: the first so many. */
  #underWay = 0;
  #retry: TimerHandle | undefined;

  constructor(options: StderrSinkOptions) {
    this.#options = options;
  }

  /** Takes the text of one message. */
  write(text: string): void {
    const bytes = Buffer.from(text, 'utf8');
    const behindLoss = this.#dropped > 0 && this.#queue.length > 0;
    if (behindLoss || this.#queued + bytes.length > QUEUE_LIMIT) {
      this.#dropped += 1;
      return;
    }
    if (this.#dropped > 0) this.#enqueueNotice();
    this.#enqueue(bytes, 1);
    if (this.#retry === undefined) this.#pump();
  }

  /** Writes a text, and before it whatever waits, before it returns: for a message that ends the process. */
  writeNow(text: string): void {
    if (this.#dropped > 0) this.#enqueueNotice();
    this.#enqueue(Buffer.from(text, 'utf8'), 1);
    this.flushSync();
  }

  /** Writes what waits, for at most a quarter of a second; yields whether everything is out. */
  flushSync(): boolean {
    // What the thread pool is writing comes first, unless the disk stalls.
    if (this.#underWay > 0) retrySync(LAST_WORDS_MS, () => this.#options.outlet.landed());
    return retrySync(LAST_WORDS_MS, () => this.#drainNow());
  }

  close(): void {
    this.#retry?.cancel();
    this.#options.outlet.close();
  }

  #enqueue(bytes: Buffer, messages: number): void {
    this.#queue.push({ bytes, messages, offset: 0 });
    this.#queued += bytes.length;
  }

  #enqueueNotice(): void {
    const count = this.#dropped;
    this.#dropped = 0;
    this.#enqueue(Buffer.from(this.#options.droppedNotice(count), 'utf8'), count);
  }

  #pump(): void {
    while (this.#queue.length > 0 && this.#underWay === 0) {
      const taken = this.#start();
      if (taken === undefined || !this.#settle(taken)) return;
    }
  }

  /** Starts to write the first pieces; yields what became of them, or undefined when that is known later only. */
  #start(): Taken | undefined {
    let answer: Taken | undefined;
    let later = false;
    this.#options.outlet.write(this.#gather(), (taken) => {
      if (!later) answer = taken;
      else if (this.#settle(taken)) this.#pump();
    });
    later = true;
    return answer;
  }

  /** What waits, as far as the outlet takes it together, and one piece at least: the octets that are left of them. */
  #gather(): Buffer {
    const { together } = this.#options.outlet;
    const parts: Buffer[] = [];
    let size = 0;
    for (const { bytes, offset } of this.#queue) {
      size += bytes.length - offset;
      if (parts.length > 0 && size > together) break;
      parts.push(bytes.subarray(offset));
    }
    this.#underWay = parts.length;
    return parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts);
  }

  /** Books what became of the pieces that were under way; yields whether to go on with the next. */
  #settle(taken: Taken): boolean {
    const pieces = this.#queue.slice(0, this.#underWay);
    this.#underWay = 0;
    if (taken === 0) {
      this.#retry ??= this.#options.clock.setTimer(RETRY_MS, () => {
        this.#retry = undefined;
        this.#pump();
      });
      return false;
    }
    this.#book(pieces, taken);
    return true;
  }

  /** Octets that were taken belong to the first pieces; an error has cost all of them. */
  #book(pieces: readonly Piece[], taken: Taken): void {
    let left = typeof taken === 'number' ? taken : Number.POSITIVE_INFINITY;
    let done = 0;
    for (const piece of pieces) {
      const size = piece.bytes.length - piece.offset;
      if (left < size) {
        piece.offset += left;
        break;
      }
      left -= size;
      done += 1;
      this.#queued -= piece.bytes.length;
      if (typeof taken !== 'number') this.#dropped += piece.messages;
    }
    const first = pieces[0];
    if (first !== undefined && done > 0) this.#queue.splice(this.#queue.indexOf(first), done);
    // The reader is back and has everything that waited. After an error it may not be: then the next message asks.
    if (typeof taken === 'number' && this.#queue.length === 0 && this.#dropped > 0) this.#enqueueNotice();
  }

  /** Writes synchronously as far as it goes; yields whether everything is out. Pieces that the thread pool has
   *  are left to it: the process ends after that. */
  #drainNow(): boolean {
    for (;;) {
      const piece = this.#queue[this.#underWay];
      if (piece === undefined) return true;
      const taken = this.#options.outlet.writeNow(piece.bytes.subarray(piece.offset));
      if (taken === 0) return false;
      this.#book([piece], taken);
    }
  }
}
