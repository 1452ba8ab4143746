/**
 * The messages of PostgreSQL's protocol that the console reads and writes (PostgreSQL documentation, 53.7). Pure; a
 * message is bounded before it is collected.
 */
import { Buffer } from 'node:buffer';
import { encodeMessage } from '../protocol/startup.js';

/** A query of the console is a line; what is longer is none. */
export const MAX_CONSOLE_MESSAGE_BYTES = 64 * 1024;
/** OID of text: its binary form is its text, so every client may ask for either. */
const TEXT_OID = 25;

/** A complete message of the client. */
export interface FrontendMessage {
  readonly type: string;
  readonly body: Buffer;
}

/** Takes complete messages off the front; undefined: the peer does not keep to the protocol. */
export function readFrontendMessages(
  data: Buffer,
): { readonly messages: readonly FrontendMessage[]; readonly rest: Buffer } | undefined {
  const messages: FrontendMessage[] = [];
  let at = 0;
  while (data.length - at >= 5) {
    const length = data.readUInt32BE(at + 1);
    if (length < 4 || length > MAX_CONSOLE_MESSAGE_BYTES) return undefined;
    if (data.length - at < 1 + length) break;
    messages.push({
      type: String.fromCharCode(data[at] ?? 0),
      body: data.subarray(at + 5, at + 1 + length),
    });
    at += 1 + length;
  }
  return { messages, rest: Buffer.from(data.subarray(at)) };
}

/** Texts that end in NUL, from the front of a body; '' for what is missing. */
export function readTexts(body: Buffer, count: number): readonly string[] {
  const texts: string[] = [];
  let at = 0;
  for (let left = count; left > 0; left -= 1) {
    const end = body.indexOf(0, at);
    texts.push(body.toString('utf8', at, end < 0 ? body.length : end));
    at = end < 0 ? body.length : end + 1;
  }
  return texts;
}

const text = (value: string): Buffer => Buffer.from(`${value.replaceAll('\0', '')}\0`, 'utf8');

function int16(value: number): Buffer {
  const out = Buffer.alloc(2);
  out.writeInt16BE(value, 0);
  return out;
}

function int32(value: number): Buffer {
  const out = Buffer.alloc(4);
  out.writeInt32BE(value, 0);
  return out;
}

/** Columns, all of type text. */
export function encodeRowDescription(columns: readonly string[]): Buffer {
  const fields = columns.map((name) =>
    // Table, column number, type, its length (variable), modifier, format.
    Buffer.concat([text(name), int32(0), int16(0), int32(TEXT_OID), int16(-1), int32(-1), int16(0)]),
  );
  return encodeMessage('T', Buffer.concat([int16(columns.length), ...fields]));
}

export function encodeDataRow(values: readonly (string | null)[]): Buffer {
  const cells = values.map((value) => {
    if (value === null) return int32(-1);
    const bytes = Buffer.from(value, 'utf8');
    return Buffer.concat([int32(bytes.length), bytes]);
  });
  return encodeMessage('D', Buffer.concat([int16(values.length), ...cells]));
}

export function encodeCommandComplete(tag: string): Buffer {
  return encodeMessage('C', text(tag));
}

/** I: idle · T: in a transaction · E: in one that has failed. */
export type TransactionStatus = 'I' | 'T' | 'E';

export function encodeReadyForQuery(status: TransactionStatus): Buffer {
  return encodeMessage('Z', Buffer.from(status, 'latin1'));
}

export function encodeParameterStatus(name: string, value: string): Buffer {
  return encodeMessage('S', Buffer.concat([text(name), text(value)]));
}

const NOTHING = Buffer.alloc(0);

/** Messages without content. */
export const PLAIN = {
  authenticationOk: encodeMessage('R', int32(0)),
  parseComplete: encodeMessage('1', NOTHING),
  bindComplete: encodeMessage('2', NOTHING),
  closeComplete: encodeMessage('3', NOTHING),
  noData: encodeMessage('n', NOTHING),
  noParameters: encodeMessage('t', int16(0)),
  emptyQuery: encodeMessage('I', NOTHING),
  portalSuspended: encodeMessage('s', NOTHING),
} as const satisfies Readonly<Record<string, Buffer>>;
