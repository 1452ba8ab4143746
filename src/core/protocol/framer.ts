/**
 * Cuts a byte stream into frames. A length is judged before any byte behind it is kept, so a peer
 * can make the reader hold at most one frame of the current limit.
 */
import { Buffer } from 'node:buffer';
import { type Frame, ProtocolViolation } from './codec.js';
import { FRAME_LIMITS } from './messages.js';

/** One for all readers: most hold nothing back most of the time. */
const NOTHING: Buffer = Buffer.alloc(0);

/** Incremental reader of heartbeat frames; one per connection. */
export class FrameReader {
  #limit: number = FRAME_LIMITS.beforeWelcome;
  #rest: Buffer = NOTHING;

  /** Sets the longest length field taken from now on (after WELCOME). */
  setLimit(limit: number): void {
    this.#limit = limit;
  }

  /** Octets held back because their frame is not complete. */
  get held(): number {
    return this.#rest.length;
  }

  /**
   * The frame that a chunk is, neither more nor less, when nothing is held back; undefined: `push` the chunk. A BEAT
   * comes so, nearly always, and takes no generator.
   */
  whole(chunk: Buffer): Frame | undefined {
    if (this.#rest.length !== 0 || chunk.length < 4 + FRAME_LIMITS.min) return undefined;
    const length = chunk.readUInt32BE(0);
    if (length !== chunk.length - 4 || length > this.#limit) return undefined;
    return { type: chunk[4]!, flags: chunk[5]!, payload: chunk.subarray(6) };
  }

  /** Yields every complete frame; throws ProtocolViolation at the first length out of bounds. */
  *push(chunk: Buffer): Generator<Frame, void, void> {
    const data = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    this.#rest = NOTHING;
    let at = 0;
    while (data.length - at >= 4) {
      const length = data.readUInt32BE(at);
      if (length < FRAME_LIMITS.min || length > this.#limit) {
        throw new ProtocolViolation(
          `frame length ${length} is not between ${FRAME_LIMITS.min} and ${this.#limit}`,
        );
      }
      if (data.length - at < 4 + length) break;
      const frame = {
        type: data.readUInt8(at + 4),
        flags: data.readUInt8(at + 5),
        payload: data.subarray(at + 6, at + 4 + length),
      };
      at += 4 + length;
      // Whoever stops reading here finds the rest at the next push.
      this.#rest = at === data.length ? NOTHING : data.subarray(at);
      yield frame;
    }
    // A copy, so that a tiny rest does not keep a large chunk of the socket alive.
    this.#rest = at === data.length ? NOTHING : Buffer.from(data.subarray(at));
  }
}
