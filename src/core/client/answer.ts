/**
 * What a peer is, told from its answer to a start-up packet with `_pq_.conmgr`: a conmgr, a server, a pooler,
 * or something else (docs/protocol.md, First phase).
 */
import type { Buffer } from 'node:buffer';
import { ASK_OPTION } from '../protocol/ask.js';
import { ProtocolViolation } from '../protocol/codec.js';
import { type Candidate, decodeConmgrMessage } from '../protocol/first-phase.js';
import { decodeErrorResponse, decodeNegotiateProtocolVersion } from '../protocol/startup.js';
import { type PeerMessage, PeerMessageReader } from './peer-messages.js';

/** Fields of an ErrorResponse that say something to a person. */
export interface PeerError {
  readonly sqlState: string;
  readonly message: string;
  readonly detail: string | undefined;
  readonly hint: string | undefined;
}

/** What the peer turned out to be. */
export type Answer =
  | {
      readonly kind: 'conmgr';
      /** How long a restarting conmgr may stay away. */
      readonly graceMs: number;
      /** In the order in which to try them; none after `attach`. */
      readonly candidates: readonly Candidate[];
    }
  /** A PostgreSQL server, or something that passes the option over; to be used directly. */
  | { readonly kind: 'server' }
  /** Something that cannot take the option: a pooler, or a server before 9.3.21. Used directly, without it. */
  | { readonly kind: 'choked' }
  /** A conmgr that refuses, or an error that stands in the way of any session there. */
  | { readonly kind: 'refused'; readonly error: PeerError }
  | { readonly kind: 'violation'; readonly why: string };

/** Every refusal of a conmgr begins so, whatever its SQLSTATE. */
const CONMGR_PREFIX = 'conmgr: ';

/** SQLSTATEs with which a pooler refuses a start-up option that it does not know. */
const CHOKED: readonly string[] = ['08P01', 'XX000', '0A000', '42704'];

/** Messages that may precede the decisive one; a peer that sends more of them is not a conmgr. */
const MOST_MESSAGES = 64;

/** Incremental reader of the answer; one per ask. */
export class AnswerReader {
  readonly #messages = new PeerMessageReader('vREm');
  readonly #attach: boolean;
  #count = 0;
  #graceMs: number | undefined;

  /** `attach`: HELLO alone is the answer, candidates were not asked for. */
  constructor(options: { readonly attach: boolean }) {
    this.#attach = options.attach;
  }

  /** Octets that came behind the answer; they belong to the reader of the attachment. */
  get rest(): Buffer {
    return this.#messages.rest;
  }

  /** The answer once it is complete; nothing may be pushed after that. Never throws on what a peer sends. */
  push(chunk: Buffer): Answer | undefined {
    try {
      for (const message of this.#messages.push(chunk)) {
        this.#count += 1;
        if (this.#count > MOST_MESSAGES) throw new ProtocolViolation('too many messages before an answer');
        const answer = this.#read(message);
        if (answer !== undefined) return answer;
      }
      return undefined;
    } catch (error) {
      if (error instanceof ProtocolViolation) return { kind: 'violation', why: error.message };
      throw error;
    }
  }

  #read({ type, body }: PeerMessage): Answer | undefined {
    switch (type) {
      case 'v': {
        const names = decodeNegotiateProtocolVersion(body);
        if (names === undefined) throw new ProtocolViolation('malformed NegotiateProtocolVersion');
        // Only a real server lists our option as unknown; conmgr lists others, or a minor version.
        return names.includes(ASK_OPTION) ? { kind: 'server' } : undefined;
      }
      case 'R':
        if (this.#graceMs !== undefined) throw new ProtocolViolation('authentication request from a conmgr');
        return { kind: 'server' };
      case 'E':
        return this.#readError(body);
      default:
        return this.#readConmgr(body);
    }
  }

  #readError(body: Buffer): Answer {
    const fields = decodeErrorResponse(body);
    const sqlState = fields.get('C') ?? '';
    const message = fields.get('M') ?? '';
    if (!/^[0-9A-Z]{5}$/.test(sqlState)) throw new ProtocolViolation('error without SQLSTATE');
    if (!message.startsWith(CONMGR_PREFIX) && this.#graceMs === undefined && CHOKED.includes(sqlState)) {
      return { kind: 'choked' };
    }
    return {
      kind: 'refused',
      error: { sqlState, message, detail: fields.get('D'), hint: fields.get('H') },
    };
  }

  #readConmgr(body: Buffer): Answer | undefined {
    const message = decodeConmgrMessage(body);
    if (message === 'malformed') throw new ProtocolViolation('malformed message of conmgr');
    switch (message?.kind) {
      case 'hello':
        this.#graceMs = message.graceMs;
        return this.#attach ? { kind: 'conmgr', graceMs: message.graceMs, candidates: [] } : undefined;
      case 'candidates':
        if (this.#graceMs === undefined) throw new ProtocolViolation('candidates before HELLO');
        return { kind: 'conmgr', graceMs: this.#graceMs, candidates: message.candidates };
      case 'bye':
        return {
          kind: 'refused',
          error: {
            sqlState: '57P03',
            message: `${CONMGR_PREFIX}${message.text === '' ? 'not available now' : message.text}`,
            detail: undefined,
            hint: undefined,
          },
        };
      default:
        return undefined;
    }
  }
}
