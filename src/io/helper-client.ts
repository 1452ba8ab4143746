/**
 * The connection of conmgr to the privileged helper: made again whenever it is lost, requests answered in order, and
 * never more of them waiting than the helper takes at once.
 */
import { connect, type Socket } from 'node:net';
import type { Clock, TimerHandle } from '../core/time.js';
import { LineBuffer } from './control-socket.js';
import { errorText } from './native.js';

/** Pause after the first failure; it doubles up to the longest. */
const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 5000;
/** No answer is longer: the local ends of as many connections as are listed, each with an address of its own. */
const MOST_ANSWER_BYTES = 4 * 1024 * 1024;
/** Requests without an answer; what comes on top of them is said when answers have come. */
const MOST_ASKED = 256;
/** Requests that are kept; what comes on top of them fails. */
const MOST_WAITING = 16 * 1024;
/** A helper that hangs is as good as none. */
const ANSWER_WITHIN_MS = 5000;

/** Code of a helper that serves nobody of this user. */
export const REFUSED = 'REFUSED';

/** Why there is no answer: the helper cannot be reached, was lost, or did not answer. */
export class HelperUnreachable extends Error {
  /** Name of the system's error where there is one: ENOENT, ECONNREFUSED, EACCES. REFUSED: by the helper itself. */
  readonly code: string;

  constructor(reason: string, code = '') {
    super(reason);
    this.name = 'HelperUnreachable';
    this.code = code;
  }
}

/** The helper refuses what was asked, in its words. */
export class HelperRefusal extends Error {}

export type HelperAnswer = Readonly<Record<string, unknown>>;

export interface HelperClientOptions {
  readonly path: string;
  readonly clock: Clock;
  /** A connection is there. What it is to know is said now; whatever was said on an earlier one is forgotten. */
  onUp(): void;
  /** It is gone, or could not be made; it is tried again by itself. */
  onDown(error: HelperUnreachable): void;
}

interface Waiting {
  readonly resolve: (answer: HelperAnswer) => void;
  readonly reject: (error: Error) => void;
}

export class HelperClient {
  readonly #options: HelperClientOptions;
  #socket: Socket | undefined;
  #connected = false;
  #retry: TimerHandle | undefined;
  #pauseMs = FIRST_PAUSE_MS;
  #nextId = 1;
  readonly #waiting = new Map<number, Waiting>();
  /** Of those that wait, the lines that were not said yet. */
  readonly #unsaid: string[] = [];
  #patience: TimerHandle | undefined;
  #closed = false;

  constructor(options: HelperClientOptions) {
    this.#options = options;
  }

  get connected(): boolean {
    return this.#connected;
  }

  /** Begins to connect. */
  start(): void {
    const socket = connect(this.#options.path);
    this.#socket = socket;
    let cause = new HelperUnreachable('connection was closed');
    const lines = new LineBuffer(MOST_ANSWER_BYTES);
    socket.on('connect', () => {
      this.#connected = true;
      this.#options.onUp();
    });
    socket.on('data', (chunk: Buffer) => {
      try {
        if (!lines.push(chunk)) throw new Error('answer is too long');
        for (let line = lines.take(); line !== undefined; line = lines.take()) this.#take(JSON.parse(line));
      } catch (error) {
        socket.destroy(error as Error);
      }
    });
    socket.on('error', (error: NodeJS.ErrnoException) => {
      cause = new HelperUnreachable(errorText(error), error.code);
    });
    socket.once('close', () => this.#lost(cause));
  }

  /** Asks. Rejects with HelperRefusal, or HelperUnreachable at once while there is no connection. */
  ask(request: object): Promise<HelperAnswer> {
    const socket = this.#socket;
    if (socket === undefined || !this.#connected) {
      return Promise.reject(new HelperUnreachable('there is no connection'));
    }
    if (this.#waiting.size >= MOST_WAITING) {
      return Promise.reject(new HelperUnreachable('too many requests wait for an answer'));
    }
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#patience ??= this.#watch();
      this.#unsaid.push(`${JSON.stringify({ id, ...request })}\n`);
      this.#say();
    });
  }

  /** Ends the connection, by which the helper takes back all that was asked for. */
  close(): void {
    this.#closed = true;
    this.#retry?.cancel();
    this.#socket?.destroy();
  }

  #say(): void {
    const asked = this.#waiting.size - this.#unsaid.length;
    if (asked < MOST_ASKED) this.#socket?.write(this.#unsaid.splice(0, MOST_ASKED - asked).join(''));
  }

  #take(answer: HelperAnswer): void {
    this.#pauseMs = FIRST_PAUSE_MS;
    const id = answer['id'];
    const error = String(answer['error'] ?? 'refused');
    // Said to who is not served at all.
    if (id === 0) throw Object.assign(new Error(error), { code: REFUSED });
    const waiting = this.#waiting.get(id as number);
    this.#waiting.delete(id as number);
    this.#patience?.cancel();
    this.#patience = this.#waiting.size === 0 ? undefined : this.#watch();
    if (this.#unsaid.length > 0) this.#say();
    if (answer['ok'] === true) waiting?.resolve(answer);
    else waiting?.reject(new HelperRefusal(error));
  }

  #watch(): TimerHandle {
    return this.#options.clock.setTimer(ANSWER_WITHIN_MS, () => {
      this.#patience = undefined;
      this.#socket?.destroy(new Error(`no answer within ${ANSWER_WITHIN_MS / 1000} s`));
    });
  }

  #lost(cause: HelperUnreachable): void {
    this.#connected = false;
    this.#socket = undefined;
    this.#patience?.cancel();
    this.#patience = undefined;
    for (const { reject } of this.#waiting.values()) reject(cause);
    this.#waiting.clear();
    this.#unsaid.length = 0;
    if (this.#closed) return;
    this.#options.onDown(cause);
    this.#retry = this.#options.clock.setTimer(this.#pauseMs, () => this.start());
    this.#pauseMs = Math.min(LONGEST_PAUSE_MS, this.#pauseMs * 2);
  }
}
