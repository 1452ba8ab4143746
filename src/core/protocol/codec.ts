/** Heartbeat messages <-> bytes, driven by the table in messages.ts. Pure; input is bounded by the framer. */
import { Buffer } from 'node:buffer';
import { CONMGR_BITS, INSTANCE_STATES, type InstanceAttributes } from './attributes.js';
import {
  FIELD_SIZES,
  FLAG_MUST_UNDERSTAND,
  FRAME_LIMITS,
  HEARTBEAT_MESSAGES,
  type HeartbeatMessage,
  type HeartbeatMessageName,
  type HeartbeatMessageOf,
  MAX_TEXT_BYTES,
  type MessageRow,
} from './messages.js';

/** The peer broke the protocol; `message` says how. The link is given up, nothing else happens. */
export class ProtocolViolation extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'ProtocolViolation';
  }
}

/** One frame without its length field. */
export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly payload: Buffer;
}

const ROWS: ReadonlyMap<number, readonly [HeartbeatMessageName, MessageRow]> = new Map(
  (Object.entries(HEARTBEAT_MESSAGES) as [HeartbeatMessageName, MessageRow][]).map(([name, row]) => [
    row.id,
    [name, row] as const,
  ]),
);

/** Octets of the body of each message. */
const BODY_SIZES = Object.fromEntries(
  Object.entries(HEARTBEAT_MESSAGES).map(([name, { body }]) => [
    name,
    (body as MessageRow['body']).reduce((size, [, type]) => size + FIELD_SIZES[type], 0),
  ]),
) as Readonly<Record<HeartbeatMessageName, number>>;

/** A BEAT has no text, and what thousands of links send all the time shall not be found field by field. */
const BEAT = { id: HEARTBEAT_MESSAGES.beat.id, body: 16, frame: 4 + 2 + 16 } as const;

function encodeBeat({ seq, echoSeq, echoDelayUs, attrVersion }: HeartbeatMessageOf<'beat'>): Buffer {
  const out = Buffer.allocUnsafe(BEAT.frame);
  out.writeUInt32BE(BEAT.frame - 4, 0);
  out[4] = BEAT.id;
  out[5] = FLAG_MUST_UNDERSTAND;
  out.writeUInt32BE(seq, 6);
  out.writeUInt32BE(echoSeq, 10);
  out.writeUInt32BE(echoDelayUs, 14);
  out.writeUInt32BE(attrVersion, 18);
  return out;
}

/** Cuts text to MAX_TEXT_BYTES octets without splitting a character. */
export function clipText(text: string, maxBytes: number = MAX_TEXT_BYTES): string {
  const bytes = Buffer.from(text, 'utf8');
  if (bytes.length <= maxBytes) return text;
  let end = maxBytes;
  while (end > 0 && ((bytes[end] ?? 0) & 0xc0) === 0x80) end -= 1;
  return bytes.subarray(0, end).toString('utf8');
}

/** Text elements that fit behind the body: a frame never exceeds what every receiver takes, before WELCOME too. */
function encodeTexts(
  row: MessageRow,
  values: Readonly<Record<string, unknown>>,
  bodySize: number,
): readonly (readonly [tag: number, bytes: Buffer])[] {
  let room = FRAME_LIMITS.beforeWelcome - FRAME_LIMITS.min - bodySize;
  return row.texts.flatMap(([name, tag]) => {
    const limit = Math.min(MAX_TEXT_BYTES, Math.max(0, room - 4));
    const bytes = Buffer.from(clipText(String(values[name] ?? ''), limit), 'utf8');
    if (bytes.length === 0) return [];
    room -= 4 + bytes.length;
    return [[tag, bytes] as const];
  });
}

/** What stands behind the body; the messages that are sent most have nothing there. */
function encodeElements(
  row: MessageRow,
  values: Readonly<Record<string, unknown>>,
  bodySize: number,
): readonly (readonly [tag: number, bytes: Buffer])[] {
  if (row.texts.length === 0 && row.octets === undefined) return [];
  return [
    ...encodeTexts(row, values, bodySize),
    ...(row.octets ?? []).map(([name, tag]) => [tag, values[name] as Buffer] as const),
  ];
}

/** Bytes of one message, length field included; texts that would exceed the frame are cut. Throws RangeError for a value that does not fit its field. */
export function encodeHeartbeat(message: HeartbeatMessage): Buffer {
  if (message.name === 'beat') return encodeBeat(message);
  const row: MessageRow = HEARTBEAT_MESSAGES[message.name];
  const values = message as unknown as Readonly<Record<string, number | bigint | string | Buffer>>;
  const bodySize = BODY_SIZES[message.name];
  const texts = encodeElements(row, values, bodySize);
  const textSize = texts.reduce((size, [, bytes]) => size + 4 + bytes.length, 0);
  // Every octet of it is written below.
  const out = Buffer.allocUnsafe(4 + 2 + bodySize + textSize);
  out.writeUInt32BE(2 + bodySize + textSize, 0);
  out.writeUInt8(row.id, 4);
  out.writeUInt8(row.mustUnderstand ? FLAG_MUST_UNDERSTAND : 0, 5);
  let at = 6;
  for (const [name, type] of row.body) {
    const value = values[name];
    switch (type) {
      case 'u8':
        out.writeUInt8(value as number, at);
        break;
      case 'u16':
        out.writeUInt16BE(value as number, at);
        break;
      case 'u32':
        out.writeUInt32BE(value as number, at);
        break;
      case 'u64':
        out.writeBigUInt64BE(value as bigint, at);
        break;
      case 'id':
        if (!/^[0-9a-f]{32}$/.test(value as string)) throw new RangeError(`${name} is not 32 hex digits`);
        out.write(value as string, at, 16, 'hex');
        break;
    }
    at += FIELD_SIZES[type];
  }
  for (const [tag, bytes] of texts) {
    out.writeUInt16BE(tag, at);
    out.writeUInt16BE(bytes.length, at + 2);
    bytes.copy(out, at + 4);
    at += 4 + bytes.length;
  }
  return out;
}

/**
 * The message of a frame; undefined for an unknown type that may be skipped.
 * Throws ProtocolViolation for anything malformed. A body may be longer only through text elements.
 */
export function decodeHeartbeat(frame: Frame): HeartbeatMessage | undefined {
  if (frame.type === BEAT.id && frame.payload.length === BEAT.body) {
    const { payload } = frame;
    return {
      name: 'beat',
      seq: payload.readUInt32BE(0),
      echoSeq: payload.readUInt32BE(4),
      echoDelayUs: payload.readUInt32BE(8),
      attrVersion: payload.readUInt32BE(12),
    };
  }
  const known = ROWS.get(frame.type);
  if (known === undefined) {
    if ((frame.flags & FLAG_MUST_UNDERSTAND) === 0) return undefined;
    throw new ProtocolViolation(`unknown message type ${frame.type} that must be understood`);
  }
  const [name, row] = known;
  const { payload } = frame;
  const result: Record<string, number | bigint | string | Buffer> = { name };
  let at = 0;
  for (const [field, type] of row.body) {
    const size = FIELD_SIZES[type];
    if (at + size > payload.length) throw new ProtocolViolation(`message ${name} is too short`);
    switch (type) {
      case 'u8':
        result[field] = payload.readUInt8(at);
        break;
      case 'u16':
        result[field] = payload.readUInt16BE(at);
        break;
      case 'u32':
        result[field] = payload.readUInt32BE(at);
        break;
      case 'u64':
        result[field] = payload.readBigUInt64BE(at);
        break;
      case 'id':
        result[field] = payload.toString('hex', at, at + 16);
        break;
    }
    at += size;
  }
  for (const [field] of row.texts) result[field] = '';
  for (const [field] of row.octets ?? []) result[field] = Buffer.alloc(0);
  if (at < payload.length) decodeTexts(row, name, payload.subarray(at), result);
  return result as unknown as HeartbeatMessage;
}

function decodeTexts(
  row: MessageRow,
  name: string,
  payload: Buffer,
  result: Record<string, number | bigint | string | Buffer>,
): void {
  let at = 0;
  while (at < payload.length) {
    if (at + 4 > payload.length) throw new ProtocolViolation(`message ${name} ends inside a text element`);
    const tag = payload.readUInt16BE(at);
    const length = payload.readUInt16BE(at + 2);
    at += 4;
    if (at + length > payload.length)
      throw new ProtocolViolation(`text element ${tag} of message ${name} runs past its end`);
    const known = row.texts.find(([, candidate]) => candidate === tag);
    if (known !== undefined) result[known[0]] = payload.toString('utf8', at, at + length);
    const raw = row.octets?.find(([, candidate]) => candidate === tag);
    // A copy, so that a list that is kept does not keep the chunk of the socket.
    if (raw !== undefined) result[raw[0]] = Buffer.from(payload.subarray(at, at + length));
    at += length;
  }
}

/** Attributes as an ATTR message. */
export function encodeAttributes(attributes: InstanceAttributes): HeartbeatMessageOf<'attr'> {
  const { state, ...rest } = attributes;
  return { name: 'attr', ...rest, state: INSTANCE_STATES.indexOf(state) };
}

/** An ATTR message as attributes; a state number of a later version reads as 'unknown', bits that are conmgr's are dropped. */
export function decodeAttributes(message: HeartbeatMessageOf<'attr'>): InstanceAttributes {
  const { name: _name, state, bits, ...rest } = message;
  return { ...rest, bits: bits & ~CONMGR_BITS, state: INSTANCE_STATES[state] ?? 'unknown' };
}

/** Highest version both ends speak, undefined when there is none. */
export function commonVersion(
  a: { readonly min: number; readonly max: number },
  b: { readonly min: number; readonly max: number },
): number | undefined {
  const version = Math.min(a.max, b.max);
  return version >= Math.max(a.min, b.min) ? version : undefined;
}

/** Longest frame that may be sent to or taken from a peer that announced `maxFrame`. */
export function agreedFrameLimit(maxFrame: number): number {
  return Math.min(Math.max(maxFrame, FRAME_LIMITS.beforeWelcome), FRAME_LIMITS.max);
}
