/**
 * Messages to a log daemon's datagram socket: sent at once or counted, never waited for.
 *
 * A full queue is given a second, during which messages wait in memory up to a bound (the kernel's queue holds
 * as few as ten datagrams, and the burst of a failover must not be lost to that). A missing daemon, or one that does
 * not read for that second, is an outage: messages are counted and dropped, and every 10 s the line that says how
 * many is tried; when it goes through, the daemon is back.
 */
import { constants } from 'node:os';
import type { Clock, MonotonicMs, TimerHandle } from '../../core/time.js';
import { errnoText } from '../native.js';
import { retrySync } from './pause.js';

const BACKLOG_LIMIT = 64 * 1024;
const FULL_RETRY_MS = 20;
const FULL_LIMIT_MS = 1000;
const OUTAGE_RETRY_MS = 10_000;
const LAST_WORDS_MS = 100;

const { EAGAIN, ENOBUFS, EMSGSIZE, EMFILE, ENFILE } = constants.errno;
const FULL: ReadonlySet<number> = new Set([EAGAIN, ENOBUFS]);
/** Failures that are about this message or this moment, not about the daemon. */
const ONE_MESSAGE: ReadonlySet<number> = new Set([EMSGSIZE, EMFILE, ENFILE]);

interface Waiting<T> {
  readonly datagrams: readonly Buffer[];
  readonly message: T | undefined;
  /** Messages that are lost with this one: 1, or what the notice stands for. */
  readonly messages: number;
  next: number;
}

/** What the sink needs to know; `T` is the message as the caller knows it. */
export interface DatagramSinkOptions<T> {
  readonly clock: Clock;
  /** Sends one datagram; yields 0 or the error number. */
  readonly send: (datagram: Buffer) => number;
  /** The datagrams that say that so many messages could not be written. */
  readonly droppedNotice: (count: number) => readonly Buffer[];
  /** An outage begins: why, and the messages that could not be sent; called once for each outage. */
  readonly lost: (reason: string, unsent: readonly T[]) => void;
}

/** Sends messages in order. Never throws and never waits (`writeNow` and `flushSync` for at most 0.1 s). */
export class DatagramSink<T> {
  readonly #options: DatagramSinkOptions<T>;
  #backlog: Waiting<T>[] = [];
  #backlogBytes = 0;
  #dropped = 0;
  #outage = false;
  #fullSinceMs: MonotonicMs | undefined;
  #timer: TimerHandle | undefined;

  constructor(options: DatagramSinkOptions<T>) {
    this.#options = options;
  }

  /** Takes a message; false when it was only counted. */
  write(datagrams: readonly Buffer[], message: T): boolean {
    const behindOthers = this.#backlog.length > 0;
    const tooMuch = this.#dropped > 0 || this.#backlogBytes + sizeOf(datagrams) > BACKLOG_LIMIT;
    if (this.#outage || (behindOthers && tooMuch)) {
      this.#dropped += 1;
      return false;
    }
    if (this.#dropped > 0) this.#enqueueNotice();
    this.#enqueue({ datagrams, message, messages: 1, next: 0 });
    if (this.#timer === undefined) this.#drain();
    return !this.#outage;
  }

  /** Takes a message and sends it, after what waits, before it returns; yields whether it is out. */
  writeNow(datagrams: readonly Buffer[], message: T): boolean {
    return this.write(datagrams, message) && this.flushSync();
  }

  /** Sends what waits, for at most 0.1 s; yields whether everything is out. */
  flushSync(): boolean {
    if (this.#outage) return false;
    return retrySync(LAST_WORDS_MS, () => this.#sendBacklog() !== 'full') && !this.#outage;
  }

  close(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #enqueue(waiting: Waiting<T>): void {
    this.#backlog.push(waiting);
    this.#backlogBytes += sizeOf(waiting.datagrams);
  }

  #enqueueNotice(): void {
    const count = this.#dropped;
    this.#dropped = 0;
    const datagrams = this.#options.droppedNotice(count);
    this.#enqueue({ datagrams, message: undefined, messages: count, next: 0 });
  }

  #drain(): void {
    const { clock } = this.#options;
    const before = this.#backlog.length;
    if (this.#sendBacklog() !== 'full') return;
    const now = clock.monotonicMs();
    if (this.#fullSinceMs === undefined || this.#backlog.length < before) this.#fullSinceMs = now;
    if (now - this.#fullSinceMs >= FULL_LIMIT_MS) this.#beginOutage('the reader does not keep up');
    else this.#arm(FULL_RETRY_MS, () => this.#drain());
  }

  /** Sends as much of the backlog as goes. */
  #sendBacklog(): 'sent' | 'full' | 'outage' {
    for (let first = this.#backlog[0]; first !== undefined; first = this.#backlog[0]) {
      const errno = this.#sendOne(first);
      if (FULL.has(errno)) return 'full';
      if (errno !== 0 && !ONE_MESSAGE.has(errno)) {
        this.#beginOutage(errnoText(errno));
        return 'outage';
      }
      this.#backlog.shift();
      this.#backlogBytes -= sizeOf(first.datagrams);
      if (errno !== 0) this.#dropped += first.messages;
      else if (this.#backlog.length === 0 && this.#dropped > 0) this.#enqueueNotice();
    }
    this.#fullSinceMs = undefined;
    return 'sent';
  }

  #sendOne(waiting: Waiting<T>): number {
    for (; waiting.next < waiting.datagrams.length; waiting.next += 1) {
      const errno = this.#options.send(waiting.datagrams[waiting.next] as Buffer);
      if (errno !== 0) return errno;
    }
    return 0;
  }

  #beginOutage(reason: string): void {
    const unsent = this.#backlog;
    this.#backlog = [];
    this.#backlogBytes = 0;
    this.#fullSinceMs = undefined;
    this.#outage = true;
    for (const { messages } of unsent) this.#dropped += messages;
    this.#arm(OUTAGE_RETRY_MS, () => this.#tryAgain());
    this.#options.lost(
      reason,
      unsent.flatMap(({ message }) => (message === undefined ? [] : [message])),
    );
  }

  /** The line with the count is the first to go through when the daemon is back. */
  #tryAgain(): void {
    const notice = this.#options.droppedNotice(this.#dropped);
    if (notice.every((datagram) => this.#options.send(datagram) === 0)) {
      this.#outage = false;
      this.#dropped = 0;
    } else {
      this.#arm(OUTAGE_RETRY_MS, () => this.#tryAgain());
    }
  }

  #arm(delayMs: number, then: () => void): void {
    this.#timer?.cancel();
    this.#timer = this.#options.clock.setTimer(delayMs, () => {
      this.#timer = undefined;
      then();
    });
  }
}

function sizeOf(datagrams: readonly Buffer[]): number {
  return datagrams.reduce((sum, datagram) => sum + datagram.length, 0);
}
