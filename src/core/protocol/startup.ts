/**
 * The first packet of a PostgreSQL connection, and the packets conmgr itself must be able to write.
 * Formats: PostgreSQL documentation, 53.7 Message Formats. Pure; callers bound what they buffer by MAX_STARTUP_BYTES.
 */
import { Buffer } from 'node:buffer';

/** Longest start-up packet PostgreSQL takes (MAX_STARTUP_PACKET_LENGTH in src/include/libpq/pqcomm.h). */
export const MAX_STARTUP_BYTES = 10_000;
/** A full start-up packet must have arrived this long after accept. */
export const STARTUP_TIMEOUT_MS = 3000;

const SSL_REQUEST = 80_877_103;
const CANCEL_REQUEST = 80_877_102;
const GSSENC_REQUEST = 80_877_104;
const PROTOCOL_3_0 = 196_608;
/** A CancelRequest with a key of protocol 3.2 is at most 12 + 256 octets. */
const MAX_CANCEL_BYTES = 268;

/** What the bytes that a peer has sent so far are. `rest` is what follows the packet. */
export type FirstPacket =
  | { readonly kind: 'incomplete' }
  | {
      readonly kind: 'startup';
      readonly version: number;
      readonly params: ReadonlyMap<string, string>;
      readonly rest: Buffer;
    }
  | { readonly kind: 'ssl-request'; readonly rest: Buffer }
  | { readonly kind: 'gssenc-request'; readonly rest: Buffer }
  | { readonly kind: 'cancel'; readonly pid: number; readonly key: Buffer }
  | { readonly kind: 'direct-tls' }
  | { readonly kind: 'garbage'; readonly why: string };

/** Classifies the beginning of a connection. Decides after 8 octets, after 1 for direct TLS. Never throws. */
export function readFirstPacket(data: Buffer): FirstPacket {
  if (data.length >= 1 && data[0] === 0x16) return { kind: 'direct-tls' };
  if (data.length < 4) return { kind: 'incomplete' };
  const length = data.readUInt32BE(0);
  if (length < 8 || length > MAX_STARTUP_BYTES)
    return { kind: 'garbage', why: `start-up packet of ${length} bytes` };
  if (data.length < 8) return { kind: 'incomplete' };
  const code = data.readUInt32BE(4);
  if (code === SSL_REQUEST || code === GSSENC_REQUEST) {
    if (length !== 8) return { kind: 'garbage', why: `encryption request of ${length} bytes` };
    return { kind: code === SSL_REQUEST ? 'ssl-request' : 'gssenc-request', rest: data.subarray(8) };
  }
  if (code === CANCEL_REQUEST) {
    if (length < 16 || length > MAX_CANCEL_BYTES)
      return { kind: 'garbage', why: `cancel request of ${length} bytes` };
    if (data.length < length) return { kind: 'incomplete' };
    return { kind: 'cancel', pid: data.readUInt32BE(8), key: Buffer.from(data.subarray(12, length)) };
  }
  if (code >>> 16 !== 3)
    return { kind: 'garbage', why: `unsupported frontend protocol ${code >>> 16}.${code & 0xffff}` };
  if (data.length < length) return { kind: 'incomplete' };
  const params = readParams(data.subarray(8, length));
  if (params === undefined)
    return { kind: 'garbage', why: 'invalid startup packet layout: expected terminator as last byte' };
  return { kind: 'startup', version: code, params, rest: data.subarray(length) };
}

function readParams(body: Buffer): ReadonlyMap<string, string> | undefined {
  const params = new Map<string, string>();
  let at = 0;
  for (;;) {
    const nameEnd = body.indexOf(0, at);
    if (nameEnd < 0) return undefined;
    if (nameEnd === at) return at === body.length - 1 ? params : undefined;
    const valueEnd = body.indexOf(0, nameEnd + 1);
    if (valueEnd < 0) return undefined;
    params.set(body.toString('utf8', at, nameEnd), body.toString('utf8', nameEnd + 1, valueEnd));
    at = valueEnd + 1;
  }
}

/** A StartupMessage. Names and values must not hold NUL (RangeError). */
export function encodeStartup(
  params: Iterable<readonly [string, string]>,
  version: number = PROTOCOL_3_0,
): Buffer {
  const words = [...params].flat();
  for (const word of words) {
    if (word.includes('\0')) throw new RangeError('start-up parameter contains a NUL character');
  }
  const body = Buffer.from(words.map((word) => `${word}\0`).join('') + '\0', 'utf8');
  const head = Buffer.alloc(8);
  head.writeUInt32BE(8 + body.length, 0);
  head.writeUInt32BE(version, 4);
  return Buffer.concat([head, body]);
}

/** A CancelRequest. */
export function encodeCancelRequest(pid: number, key: Buffer): Buffer {
  const out = Buffer.alloc(12 + key.length);
  out.writeUInt32BE(out.length, 0);
  out.writeUInt32BE(CANCEL_REQUEST, 4);
  out.writeUInt32BE(pid, 8);
  key.copy(out, 12);
  return out;
}

/** One PostgreSQL message: type octet, length, body. */
export function encodeMessage(type: string, body: Buffer): Buffer {
  const out = Buffer.alloc(5 + body.length);
  out.write(type, 0, 'latin1');
  out.writeUInt32BE(4 + body.length, 1);
  body.copy(out, 5);
  return out;
}

/** Fields of an ErrorResponse (PostgreSQL documentation, 53.8). */
export interface ErrorFields {
  readonly severity: 'ERROR' | 'FATAL';
  readonly sqlState: string;
  readonly message: string;
  readonly detail?: string | undefined;
  readonly hint?: string | undefined;
}

/** An ErrorResponse as a server would send it. */
export function encodeErrorResponse(fields: ErrorFields): Buffer {
  const parts: string[] = [
    `S${fields.severity}`,
    `V${fields.severity}`,
    `C${fields.sqlState}`,
    `M${fields.message}`,
  ];
  if (fields.detail !== undefined && fields.detail !== '') parts.push(`D${fields.detail}`);
  if (fields.hint !== undefined && fields.hint !== '') parts.push(`H${fields.hint}`);
  const text = parts.map((part) => `${part.replaceAll('\0', '')}\0`).join('');
  return encodeMessage('E', Buffer.from(text + '\0', 'utf8'));
}

/** The fields of an ErrorResponse body by their letter. */
export function decodeErrorResponse(body: Buffer): ReadonlyMap<string, string> {
  const fields = new Map<string, string>();
  let at = 0;
  while (at < body.length && body[at] !== 0) {
    const end = body.indexOf(0, at + 1);
    if (end < 0) break;
    fields.set(String.fromCharCode(body[at] ?? 0), body.toString('utf8', at + 1, end));
    at = end + 1;
  }
  return fields;
}

/**
 * NegotiateProtocolVersion: what a server answers to `_pq_.` options or minor versions it does not
 * know (src/backend/tcop/backend_startup.c). conmgr speaks 3.0 and none of the options given here.
 */
export function encodeNegotiateProtocolVersion(unknownOptions: readonly string[]): Buffer {
  const names = Buffer.from(unknownOptions.map((name) => `${name}\0`).join(''), 'utf8');
  const body = Buffer.alloc(8 + names.length);
  body.writeUInt32BE(0, 0);
  body.writeUInt32BE(unknownOptions.length, 4);
  names.copy(body, 8);
  return encodeMessage('v', body);
}

/** Option names listed in a NegotiateProtocolVersion body; undefined when malformed. */
export function decodeNegotiateProtocolVersion(body: Buffer): readonly string[] | undefined {
  if (body.length < 8) return undefined;
  const count = body.readUInt32BE(4);
  const names = body.toString('utf8', 8).split('\0');
  names.pop();
  return names.length === count ? names : undefined;
}
