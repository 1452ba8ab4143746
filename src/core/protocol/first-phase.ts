/**
 * What conmgr and an aware driver say to each other behind the first packet: PostgreSQL messages of
 * type `m` whose body begins with one octet that names the kind. Room to grow: octets behind the
 * known part of a body are ignored.
 */
import { Buffer } from 'node:buffer';
import { clipText } from './codec.js';
import { encodeMessage } from './startup.js';

/** Kinds of `m` messages; above 0x80 from the client. */
export const FIRST_PHASE_KINDS = {
  hello: 1,
  candidates: 2,
  down: 3,
  changed: 4,
  bye: 5,
  ping: 6,
  bound: 0x81,
  backend: 0x82,
} as const;

/** Why a session is told that its instance is not to be used; the index is its number on the wire. */
export const DOWN_REASONS = [
  'heartbeat timeout',
  'link closed',
  'instance shutting down',
  'instance down',
  'not accepting',
  'role no longer fits',
  'conflict with a newer primary',
  'operator',
] as const;
export type DownReason = (typeof DOWN_REASONS)[number];

/** Why conmgr ends an attachment; the index is its number on the wire. */
export const BYE_KINDS = ['other', 'stop', 'restart', 'limit'] as const;
export type ByeKind = (typeof BYE_KINDS)[number];

/** One instance that a driver may connect to. */
export interface Candidate {
  readonly instance: number;
  readonly port: number;
  readonly bits: number;
  /** As configured: the name for TLS verification and messages. */
  readonly host: string;
  /** Address of conmgr's own link; '' when there is none. */
  readonly hostaddr: string;
}

/** conmgr -> client. */
export type ConmgrMessage =
  | {
      readonly kind: 'hello';
      readonly version: number;
      readonly view: number;
      readonly graceMs: number;
      readonly software: string;
    }
  | { readonly kind: 'candidates'; readonly view: number; readonly candidates: readonly Candidate[] }
  | {
      readonly kind: 'down';
      readonly view: number;
      readonly instance: number;
      /** drop: end the SQL connection now; advice: for information. */
      readonly action: 'drop' | 'advice';
      readonly reason: DownReason;
      readonly text: string;
    }
  | { readonly kind: 'changed'; readonly view: number; readonly instance: number; readonly bits: number }
  | { readonly kind: 'bye'; readonly bye: ByeKind; readonly retryAfterMs: number; readonly text: string }
  | { readonly kind: 'ping' };

/** client -> conmgr: which instance the SQL connection goes to, by its local end. */
export interface BoundMessage {
  readonly kind: 'bound';
  readonly instance: number;
  readonly port: number;
  readonly address: string;
}

/** client -> conmgr, behind BOUND: the process ID that the server told it. */
export interface BackendMessage {
  readonly kind: 'backend';
  readonly pid: number;
}

/** Longest `m` message a client takes, and what a peer may send conmgr behind the start-up packet. */
export const MAX_FIRST_PHASE_BYTES = 16_384;
/** Candidates in one message at the most: with the longest names (520 octets each) they are still taken by a client. */
export const MOST_CANDIDATES = 31;
export const MAX_CLIENT_MESSAGE_BYTES = 80;

function body(kind: number, ...parts: readonly (readonly [8 | 16 | 32, number] | string)[]): Buffer {
  const chunks = parts.map((part) => {
    if (typeof part === 'string') return Buffer.from(part, 'utf8');
    const [bits, value] = part;
    const out = Buffer.alloc(bits / 8);
    out.writeUIntBE(value, 0, bits / 8);
    return out;
  });
  return Buffer.concat([Buffer.from([kind]), ...chunks]);
}

/** Bytes of a message to a client. */
export function encodeConmgrMessage(message: ConmgrMessage): Buffer {
  return encodeMessage('m', conmgrBody(message));
}

function conmgrBody(message: ConmgrMessage): Buffer {
  const kind = FIRST_PHASE_KINDS[message.kind];
  switch (message.kind) {
    case 'hello':
      return body(
        kind,
        [16, message.version],
        [32, message.view],
        [32, message.graceMs],
        clipText(message.software),
      );
    case 'candidates': {
      const blocks = message.candidates.map((candidate) => {
        const host = Buffer.from(clipText(candidate.host, 255), 'utf8');
        const hostaddr = Buffer.from(clipText(candidate.hostaddr, 255), 'utf8');
        const out = Buffer.alloc(10 + host.length + hostaddr.length);
        out.writeUInt16BE(out.length - 2, 0);
        out.writeUInt16BE(candidate.instance, 2);
        out.writeUInt16BE(candidate.port, 4);
        out.writeUInt16BE(candidate.bits, 6);
        out.writeUInt8(host.length, 8);
        host.copy(out, 9);
        out.writeUInt8(hostaddr.length, 9 + host.length);
        hostaddr.copy(out, 10 + host.length);
        return out;
      });
      return Buffer.concat([body(kind, [32, message.view], [16, blocks.length]), ...blocks]);
    }
    case 'down':
      return body(
        kind,
        [32, message.view],
        [16, message.instance],
        [8, message.action === 'drop' ? 1 : 0],
        [8, DOWN_REASONS.indexOf(message.reason)],
        clipText(message.text),
      );
    case 'changed':
      return body(kind, [32, message.view], [16, message.instance], [16, message.bits]);
    case 'bye':
      return body(
        kind,
        [8, BYE_KINDS.indexOf(message.bye)],
        [32, message.retryAfterMs],
        clipText(message.text),
      );
    case 'ping':
      return body(kind);
  }
}

/** Reads the body of an `m` message; undefined for an unknown kind (ignored) and for a malformed one ('malformed'). */
export function decodeConmgrMessage(payload: Buffer): ConmgrMessage | 'malformed' | undefined {
  try {
    return readConmgrMessage(payload);
  } catch (error) {
    if (error instanceof RangeError) return 'malformed';
    throw error;
  }
}

function readConmgrMessage(payload: Buffer): ConmgrMessage | undefined {
  switch (payload.readUInt8(0)) {
    case FIRST_PHASE_KINDS.hello:
      return {
        kind: 'hello',
        version: payload.readUInt16BE(1),
        view: payload.readUInt32BE(3),
        graceMs: payload.readUInt32BE(7),
        software: payload.toString('utf8', 11),
      };
    case FIRST_PHASE_KINDS.candidates:
      return { kind: 'candidates', view: payload.readUInt32BE(1), candidates: readCandidates(payload) };
    case FIRST_PHASE_KINDS.down:
      return {
        kind: 'down',
        view: payload.readUInt32BE(1),
        instance: payload.readUInt16BE(5),
        action: payload.readUInt8(7) === 1 ? 'drop' : 'advice',
        reason: DOWN_REASONS[payload.readUInt8(8)] ?? 'operator',
        text: payload.toString('utf8', 9),
      };
    case FIRST_PHASE_KINDS.changed:
      return {
        kind: 'changed',
        view: payload.readUInt32BE(1),
        instance: payload.readUInt16BE(5),
        bits: payload.readUInt16BE(7),
      };
    case FIRST_PHASE_KINDS.bye:
      return {
        kind: 'bye',
        bye: BYE_KINDS[payload.readUInt8(1)] ?? 'other',
        retryAfterMs: payload.readUInt32BE(2),
        text: payload.toString('utf8', 6),
      };
    case FIRST_PHASE_KINDS.ping:
      return { kind: 'ping' };
    default:
      return undefined;
  }
}

function readCandidates(payload: Buffer): readonly Candidate[] {
  const candidates: Candidate[] = [];
  let at = 7;
  for (let left = payload.readUInt16BE(5); left > 0; left -= 1) {
    const length = payload.readUInt16BE(at);
    const block = payload.subarray(at + 2, at + 2 + length);
    if (block.length < length) throw new RangeError('candidate runs past the message');
    const hostEnd = 7 + block.readUInt8(6);
    const hostaddrEnd = hostEnd + 1 + block.readUInt8(hostEnd);
    if (hostaddrEnd > block.length) throw new RangeError('address runs past the candidate');
    candidates.push({
      instance: block.readUInt16BE(0),
      port: block.readUInt16BE(2),
      bits: block.readUInt16BE(4),
      host: block.toString('utf8', 7, hostEnd),
      hostaddr: block.toString('utf8', hostEnd + 1, hostaddrEnd),
    });
    at += 2 + length;
  }
  return candidates;
}

/** Bytes of BACKEND. */
export function encodeBackend({ pid }: BackendMessage): Buffer {
  return encodeMessage('m', body(FIRST_PHASE_KINDS.backend, [32, pid]));
}

/** Bytes of BOUND. The address is cut at 45 octets, the longest textual IPv6 address. */
export function encodeBound(message: BoundMessage): Buffer {
  return encodeMessage(
    'm',
    body(FIRST_PHASE_KINDS.bound, [16, message.instance], [16, message.port], clipText(message.address, 45)),
  );
}

/** What a client sent behind its start-up packet. */
export type ClientMessage =
  | BoundMessage
  | BackendMessage
  | { readonly kind: 'close' }
  | { readonly kind: 'violation'; readonly why: string };

/** Cuts client messages off the front of `data`; `rest` is what is incomplete. Unknown `m` kinds are skipped. Never throws. */
export function readClientMessages(data: Buffer): {
  readonly messages: readonly ClientMessage[];
  readonly rest: Buffer;
} {
  const messages: ClientMessage[] = [];
  let at = 0;
  while (data.length - at >= 5) {
    const type = data.toString('latin1', at, at + 1);
    const length = data.readUInt32BE(at + 1);
    if ((type !== 'm' && type !== 'X') || length < 4 || length > MAX_CLIENT_MESSAGE_BYTES) {
      messages.push({ kind: 'violation', why: 'message is not one of the first phase' });
      return { messages, rest: Buffer.alloc(0) };
    }
    if (data.length - at < 1 + length) break;
    const payload = data.subarray(at + 5, at + 1 + length);
    at += 1 + length;
    if (type === 'X') messages.push({ kind: 'close' });
    else if (payload[0] === FIRST_PHASE_KINDS.bound) {
      messages.push(
        payload.length < 5
          ? { kind: 'violation', why: 'BOUND is too short' }
          : {
              kind: 'bound',
              instance: payload.readUInt16BE(1),
              port: payload.readUInt16BE(3),
              address: payload.toString('utf8', 5),
            },
      );
    } else if (payload[0] === FIRST_PHASE_KINDS.backend) {
      messages.push(
        payload.length < 5
          ? { kind: 'violation', why: 'BACKEND is too short' }
          : { kind: 'backend', pid: payload.readUInt32BE(1) },
      );
    }
  }
  return { messages, rest: Buffer.from(data.subarray(at)) };
}
