/**
 * Finds BackendKeyData in what a server says up to its first ReadyForQuery: with it a CancelRequest is led to the
 * server that issued the key. PostgreSQL documentation, 53.7.
 */
import { Buffer } from 'node:buffer';

const KEY_DATA = 0x4b;
const READY_FOR_QUERY = 0x5a;
/** Process ID and a key of protocol 3.2 (at most 256 octets). */
const MAX_KEY_BODY = 4 + 256;
const HEAD = 5;

/** Reads message heads and skips bodies, across any division of the stream; keeps at most one key. */
export class BackendKeyReader {
  /** Body of BackendKeyData as it stands: process ID and key. */
  key: Buffer | undefined;
  /** Nothing more is to be found. */
  done = false;
  readonly #head = Buffer.alloc(HEAD);
  #headBytes = 0;
  #bodyLeft = 0;
  /** Where the key is being collected, undefined while another message passes. */
  #body: Buffer | undefined;

  /** Takes the next octets from the server. */
  take(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length && !this.done)
      at += this.#headBytes < HEAD ? this.#takeHead(chunk, at) : this.#takeBody(chunk, at);
  }

  #takeHead(chunk: Buffer, at: number): number {
    const count = Math.min(HEAD - this.#headBytes, chunk.length - at);
    chunk.copy(this.#head, this.#headBytes, at, at + count);
    this.#headBytes += count;
    if (this.#headBytes === HEAD) this.#begin();
    return count;
  }

  #begin(): void {
    const type = this.#head[0];
    const length = this.#head.readUInt32BE(1);
    this.#bodyLeft = length - 4;
    // Whatever is no sequence of messages, or wants more room than a key has, holds no key.
    if (length < 4 || type === READY_FOR_QUERY || (type === KEY_DATA && this.#bodyLeft > MAX_KEY_BODY))
      this.done = true;
    else if (type === KEY_DATA) this.#body = Buffer.alloc(this.#bodyLeft);
    if (this.#bodyLeft === 0) this.#headBytes = 0;
  }

  #takeBody(chunk: Buffer, at: number): number {
    const count = Math.min(this.#bodyLeft, chunk.length - at);
    if (this.#body !== undefined) chunk.copy(this.#body, this.#body.length - this.#bodyLeft, at, at + count);
    this.#bodyLeft -= count;
    if (this.#bodyLeft > 0) return count;
    this.#headBytes = 0;
    if (this.#body === undefined) return count;
    this.key = this.#body;
    this.done = true;
    return count;
  }
}
