/**
 * Cuts what a conmgr or a server sends in the first phase into PostgreSQL messages. Type and length are
 * judged before a body is buffered, so a peer can make the reader hold at most one message of the longest length.
 */
import { Buffer } from 'node:buffer';
import { ProtocolViolation } from '../protocol/codec.js';
import { MAX_FIRST_PHASE_BYTES } from '../protocol/first-phase.js';

/** One message without its head. */
export interface PeerMessage {
  /** The type octet as a character. */
  readonly type: string;
  readonly body: Buffer;
}

/** Incremental reader; one per connection. */
export class PeerMessageReader {
  readonly #types: string;
  #rest: Buffer = Buffer.alloc(0);

  /** `types`: the message types that may come, one character each. */
  constructor(types: string) {
    this.#types = types;
  }

  /** What has arrived behind the last complete message. */
  get rest(): Buffer {
    return this.#rest;
  }

  /** Yields every complete message; throws ProtocolViolation at a type or length that cannot be. */
  *push(chunk: Buffer): Generator<PeerMessage, void, void> {
    this.#rest = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    for (;;) {
      const data = this.#rest;
      if (data.length === 0) return;
      const type = data.toString('latin1', 0, 1);
      if (!this.#types.includes(type)) {
        throw new ProtocolViolation(`unexpected message type 0x${data.toString('hex', 0, 1)}`);
      }
      if (data.length < 5) break;
      const length = data.readUInt32BE(1);
      if (length < 4 || length > MAX_FIRST_PHASE_BYTES) {
        throw new ProtocolViolation(`message "${type}" of ${length} bytes`);
      }
      if (data.length < 1 + length) break;
      this.#rest = data.subarray(1 + length);
      yield { type, body: data.subarray(5, 1 + length) };
    }
    // A copy, so that a short rest does not keep a large chunk alive.
    this.#rest = Buffer.from(this.#rest);
  }
}
