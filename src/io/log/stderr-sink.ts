/**
 * Lines to stderr through a bounded queue: a reader that stalls costs memory up to a limit, never time.
 */
import type { Clock, TimerHandle } from '../../core/time.js';
import { pauseSync, retrySync } from './pause.js';
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
  /** A write is under way in the thread pool; it is that of the first piece. */
  #busy = false;
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
    // What the thread pool is writing comes first; it has done so in a fraction of this time, unless the disk stalls.
    if (this.#busy) pauseSync();
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
    for (let piece = this.#queue[0]; piece !== undefined && !this.#busy; piece = this.#queue[0]) {
      const taken = this.#start(piece);
      if (taken === undefined || !this.#settle(piece, taken)) return;
    }
  }

  /** Starts to write a piece; yields what became of it, or undefined when that is known later only. */
  #start(piece: Piece): Taken | undefined {
    let answer: Taken | undefined;
    let later = false;
    this.#busy = true;
    this.#options.outlet.write(piece.bytes.subarray(piece.offset), (taken) => {
      this.#busy = false;
      answer = taken;
      if (later && this.#settle(piece, taken)) this.#pump();
    });
    later = true;
    return answer;
  }

  /** Books what became of the first piece; yields whether to go on with the next. */
  #settle(piece: Piece, taken: Taken): boolean {
    if (taken === 0) {
      this.#retry ??= this.#options.clock.setTimer(RETRY_MS, () => {
        this.#retry = undefined;
        this.#pump();
      });
      return false;
    }
    this.#book(piece, taken);
    return true;
  }

  #book(piece: Piece, taken: Taken): void {
    if (typeof taken === 'number') {
      piece.offset += taken;
      if (piece.offset < piece.bytes.length) return;
    } else {
      this.#dropped += piece.messages;
    }
    this.#queue.splice(this.#queue.indexOf(piece), 1);
    this.#queued -= piece.bytes.length;
    // The reader is back and has everything that waited. After an error it may not be: then the next message asks.
    if (typeof taken === 'number' && this.#queue.length === 0 && this.#dropped > 0) this.#enqueueNotice();
  }

  /** Writes synchronously as far as it goes; yields whether everything is out. A piece that the thread pool has
   *  is left to it: the process ends after that. */
  #drainNow(): boolean {
    for (;;) {
      const piece = this.#queue[this.#busy ? 1 : 0];
      if (piece === undefined) return true;
      const taken = this.#options.outlet.writeNow(piece.bytes.subarray(piece.offset));
      if (taken === 0) return false;
      this.#book(piece, taken);
    }
  }
}
