/**
 * Remembers what was written to a socket until the kernel has taken it all, so that the rest can be handed over. Node.js
 * does not give back what it was given.
 */
import { Buffer } from 'node:buffer';
import type { Socket } from 'node:net';
import { unsentCount } from './socket-handle.js';

export class Unsent {
  readonly #socket: Socket;
  #chunks: Buffer[] = [];
  /** One for all writes: Node.js calls equal callbacks together. */
  readonly #sent = (): void => {
    if (this.#socket.writableLength === 0) this.#chunks = [];
  };

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  /** Octets that wait in this process. */
  get writableLength(): number {
    return this.#socket.writableLength;
  }

  /** As the socket's own write(). */
  write(bytes: Buffer): boolean {
    const ok = this.#socket.write(bytes, this.#sent);
    // A write that the kernel takes at once is over by now.
    if (this.#socket.writableLength > 0) this.#chunks.push(bytes);
    return ok;
  }

  /** The octets that the kernel has not taken; undefined when that cannot be told. True until the next turn of the event
   *  loop. */
  take(): Buffer | undefined {
    if (this.#socket.writableLength === 0) return Buffer.alloc(0);
    const count = unsentCount(this.#socket);
    const all = Buffer.concat(this.#chunks);
    return count === undefined || count > all.length ? undefined : all.subarray(all.length - count);
  }
}
