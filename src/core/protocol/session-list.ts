/** The list in SESSIONS: local ends of SQL sessions of one local address, six octets each. */
import { Buffer } from 'node:buffer';
import { formatIp, parseIp, unmapIp } from '../config/address.js';
import { FRAME_LIMITS, type HeartbeatMessageOf, SESSION_PARTS, type SessionPart } from './messages.js';

/** The client's end of an SQL session, as its host sees it. */
export interface WatchedEnd {
  /** Normalised (normaliseIp), without zone. */
  readonly address: string;
  readonly port: number;
  /** Process ID of the backend; 0 = not known. */
  readonly pid: number;
}

/** u16 port, u32 process ID. */
const ENTRY_BYTES = 6;
/** Octets of a SESSIONS frame before its first entry: length, type, flags, part, address, tag and length of the list. */
export const SESSIONS_HEAD_BYTES = 4 + 2 + 1 + 16 + 4;

/** Sessions that fit into one SESSIONS for a peer that takes frames of `maxFrame` (as agreed). */
export function entriesPerPiece(maxFrame: number): number {
  const limit = Math.min(maxFrame, FRAME_LIMITS.max);
  return Math.floor((limit - (SESSIONS_HEAD_BYTES - 4)) / ENTRY_BYTES);
}

/** Octets that so many sessions of one address take on the wire. */
export function pieceBytes(entries: number): number {
  return SESSIONS_HEAD_BYTES + entries * ENTRY_BYTES;
}

/** One SESSIONS for sessions of one address; undefined when that is no address. */
export function encodeSessions(
  part: SessionPart,
  address: string,
  ends: readonly WatchedEnd[],
): HeartbeatMessageOf<'sessions'> | undefined {
  const ip = parseIp(address);
  if (ip === undefined) return undefined;
  const mapped = ip.family === 6 ? ip.bytes : [...Array<number>(10).fill(0), 0xff, 0xff, ...ip.bytes];
  const list = Buffer.alloc(ends.length * ENTRY_BYTES);
  for (const [index, { port, pid }] of ends.entries()) {
    list.writeUInt16BE(port, index * ENTRY_BYTES);
    list.writeUInt32BE(pid, index * ENTRY_BYTES + 2);
  }
  return {
    name: 'sessions',
    part: SESSION_PARTS.indexOf(part),
    address: Buffer.from(mapped).toString('hex'),
    list,
  };
}

/** What a SESSIONS says; undefined for a part of a later version. An incomplete entry at the end is dropped. */
export function decodeSessions(
  message: HeartbeatMessageOf<'sessions'>,
): { readonly part: SessionPart; readonly ends: readonly WatchedEnd[] } | undefined {
  const part = SESSION_PARTS[message.part];
  if (part === undefined) return undefined;
  const bytes = Buffer.from(message.address, 'hex');
  const address = formatIp(unmapIp({ family: 6, bytes, scope: undefined }));
  const ends: WatchedEnd[] = [];
  for (let at = 0; at + ENTRY_BYTES <= message.list.length; at += ENTRY_BYTES) {
    ends.push({ address, port: message.list.readUInt16BE(at), pid: message.list.readUInt32BE(at + 2) });
  }
  return { part, ends };
}
