/**
 * Remembers what was written to a socket until the kernel has taken it all, so that the rest can be handed over. Node.js
 * does not give back what it was given.
 *
 * No write has a callback: a socket that its peer reads costs one comparison a write.
 */
import { Buffer } from 'node:buffer';
import type { Socket } from 'node:net';
import { unsentCount } from './socket-handle.js';

const NO_OCTETS = Buffer.alloc(0);

/** More than this is looked through for what has gone out meanwhile. */
const MOST_REMEMBERED_BYTES = 256 * 1024;

export class Unsent {
  readonly #socket: Socket;
  #chunks: Buffer[] = [];
  /** In the chunks. */
  #octets = 0;
  #lookedAt = 0;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('drain', () => this.#forgetSent());
  }

  /** Octets that wait in this process. */
  get writableLength(): number {
    return this.#socket.writableLength;
  }

  /** Octets that are remembered, of which some may have gone out. */
  get remembered(): number {
    return this.#octets;
  }

  /** As the socket's own write(). */
  write(bytes: Buffer): boolean {
    this.#forgetSent();
    const ok = this.#socket.write(bytes);
    // A write that the kernel takes at once is over by now.
    if (this.#socket.writableLength > 0) this.#remember(bytes);
    return ok;
  }

  /** The octets that the kernel has not taken; undefined when that cannot be told. True until the next turn of the event
   *  loop. */
  take(): Buffer | undefined {
    if (this.#socket.writableLength === 0) return NO_OCTETS;
    const count = unsentCount(this.#socket);
    return count === undefined || count > this.#octets
      ? undefined
      : Buffer.concat(this.#chunks).subarray(this.#octets - count);
  }

  #forgetSent(): void {
    if (this.#octets === 0 || this.#socket.writableLength > 0) return;
    this.#chunks = [];
    this.#octets = this.#lookedAt = 0;
  }

  #remember(bytes: Buffer): void {
    this.#chunks.push(bytes);
    this.#octets += bytes.length;
    if (this.#octets - this.#lookedAt > MOST_REMEMBERED_BYTES) this.#trim();
  }

  /** A queue that never runs dry must not keep what has gone out long ago. */
  #trim(): void {
    const count = unsentCount(this.#socket) ?? this.#octets;
    let sent = 0;
    for (const { length } of this.#chunks) {
      if (this.#octets - length < count) break;
      this.#octets -= length;
      sent += 1;
    }
    this.#chunks.splice(0, sent);
    this.#lookedAt = this.#octets;
  }
}
