/**
 * The states of many links, packed: a row of numbers each.
 *
 * A state is replaced with every packet. Kept as an object, each of ten thousand would be 700 octets that grow old
 * before they are replaced, and collecting them would hold up the heartbeats. Packed it is 200 octets that stay where
 * they are; the objects that the machine takes and gives live for a moment only.
 */
import { type MonotonicMs, NEVER } from '../time.js';
import type { Caller, SessionState } from './session.js';
import { SESSION_PHASES } from './session.js';

/** Numbers of a row before the BEATs that were sent, of which each takes two. */
const OWN = 17;
const SENT = 4;
const WIDTH = OWN + 2 * SENT;
const ROWS_OF_BLOCK = 256;

/** Where a state is kept. */
export type Row = number;

export class SessionStore {
  readonly #blocks: Float64Array[] = [];
  readonly #callers: (Caller | undefined)[] = [];
  readonly #free: Row[] = [];

  /** Keeps a state; the row is its until `release`. */
  add(state: SessionState): Row {
    if (this.#free.length === 0) this.#grow();
    const row = this.#free.pop()!;
    this.put(row, state);
    return row;
  }

  /** The row may be given to another one. */
  release(row: Row): void {
    this.#callers[row] = undefined;
    this.#free.push(row);
  }

  put(row: Row, { phase, data }: SessionState): void {
    const block = this.#blocks[Math.floor(row / ROWS_OF_BLOCK)]!;
    const at = (row % ROWS_OF_BLOCK) * WIDTH;
    this.#callers[row] = data.caller;
    block[at] = SESSION_PHASES.indexOf(phase);
    block[at + 1] = data.phaseEndsAt;
    block[at + 2] = data.intervalMs;
    block[at + 3] = data.timeoutMs;
    block[at + 4] = data.upSince;
    block[at + 5] = data.nextBeatAt;
    block[at + 6] = data.lastReceivedAt;
    block[at + 7] = data.silentAt;
    block[at + 8] = data.doubted ? 1 : 0;
    block[at + 9] = data.seq;
    block[at + 10] = data.echoSeq;
    block[at + 11] = data.echoAt;
    block[at + 12] = data.rttMs ?? Number.NaN;
    block[at + 13] = data.packetsReceived;
    block[at + 14] = data.beats;
    block[at + 15] = data.told.serial;
    block[at + 16] = data.told.version;
    for (let index = 0; index < SENT; index += 1) {
      const sent = data.sent[index];
      block[at + OWN + 2 * index] = sent?.seq ?? 0;
      block[at + OWN + 2 * index + 1] = sent?.at ?? 0;
    }
  }

  /** When the peer of a link that is up is silent too long; NEVER in another phase. */
  silentAt(row: Row): MonotonicMs {
    const block = this.#blocks[Math.floor(row / ROWS_OF_BLOCK)]!;
    const at = (row % ROWS_OF_BLOCK) * WIDTH;
    return SESSION_PHASES[block[at]!] === 'up' ? block[at + 7]! : NEVER;
  }

  get(row: Row): SessionState {
    const block = this.#blocks[Math.floor(row / ROWS_OF_BLOCK)]!;
    const at = (row % ROWS_OF_BLOCK) * WIDTH;
    const sent = [];
    // A BEAT's number is never 0.
    for (let next = at + OWN; next < at + WIDTH && block[next] !== 0; next += 2) {
      sent.push({ seq: block[next]!, at: block[next + 1]! });
    }
    const rttMs = block[at + 12]!;
    return {
      phase: SESSION_PHASES[block[at]!]!,
      data: {
        phaseEndsAt: block[at + 1]!,
        caller: this.#callers[row],
        intervalMs: block[at + 2]!,
        timeoutMs: block[at + 3]!,
        upSince: block[at + 4]!,
        nextBeatAt: block[at + 5]!,
        lastReceivedAt: block[at + 6]!,
        silentAt: block[at + 7]!,
        doubted: block[at + 8] === 1,
        seq: block[at + 9]!,
        echoSeq: block[at + 10]!,
        echoAt: block[at + 11]!,
        sent,
        rttMs: Number.isNaN(rttMs) ? undefined : rttMs,
        packetsReceived: block[at + 13]!,
        beats: block[at + 14]!,
        told: { serial: block[at + 15]!, version: block[at + 16]! },
      },
    };
  }

  #grow(): void {
    const first = this.#blocks.length * ROWS_OF_BLOCK;
    this.#blocks.push(new Float64Array(ROWS_OF_BLOCK * WIDTH));
    for (let row = first + ROWS_OF_BLOCK - 1; row >= first; row -= 1) this.#free.push(row);
  }
}
