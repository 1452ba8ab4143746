/**
 * Connections that are no links: those that have not said HELLO, and those that were answered and are about to close.
 *
 * Their number is bounded, so that no flood of them takes the descriptors that links and SQL need. Where there are too
 * many the oldest goes: whoever holds connections without a word cannot keep a conmgr out, which speaks at once.
 */

/** One of them. */
export interface Stranger {
  /** Normalised. */
  readonly address: string;
  /** Address and port. */
  readonly peer: string;
  /** Closes without a word. */
  destroy(): void;
}

/** Connections without HELLO of one address. */
const MOST_OF_ADDRESS = 4;

export class Strangers<Waiting extends Stranger> {
  readonly #most: () => number;
  readonly #onDropped: (stranger: Waiting) => void;
  /** In the order of arrival, both. */
  readonly #waiting = new Set<Waiting>();
  readonly #closing = new Set<Stranger>();

  /** `most`: of both kinds together. `onDropped`: one that had not been answered was closed. */
  constructor(most: () => number, onDropped: (stranger: Waiting) => void) {
    this.#most = most;
    this.#onDropped = onDropped;
  }

  /** Those that have not said HELLO. */
  get waiting(): readonly Waiting[] {
    return [...this.#waiting];
  }

  /** A connection was accepted. */
  arrived(stranger: Waiting): void {
    this.#waiting.add(stranger);
    const ofAddress = this.waiting.filter(({ address }) => address === stranger.address);
    const [oldest] = ofAddress;
    if (ofAddress.length > MOST_OF_ADDRESS && oldest !== undefined) this.#drop(oldest);
    this.#makeRoom();
  }

  /** HELLO has come: what follows is decided about the connection itself. */
  spoke(stranger: Waiting): void {
    this.#waiting.delete(stranger);
  }

  /** A connection was answered and closes when that is sent, or a moment later. */
  lingers(stranger: Stranger): void {
    this.#closing.add(stranger);
    this.#makeRoom();
  }

  /** The connection is gone. */
  gone(stranger: Stranger): void {
    this.#waiting.delete(stranger as Waiting);
    this.#closing.delete(stranger);
  }

  #makeRoom(): void {
    while (this.#waiting.size + this.#closing.size > this.#most()) {
      const [answered] = this.#closing;
      const [oldest] = this.#waiting;
      if (answered !== undefined) {
        this.#closing.delete(answered);
        answered.destroy();
      } else if (oldest !== undefined) this.#drop(oldest);
      else return;
    }
  }

  #drop(stranger: Waiting): void {
    this.#waiting.delete(stranger);
    stranger.destroy();
    this.#onDropped(stranger);
  }
}
