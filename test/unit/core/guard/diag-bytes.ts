/** Messages as the kernel writes them (linux/netlink.h, linux/inet_diag.h), built field by field. */
import { isIPv4 } from 'node:net';

/** One netlink message, padded to 4 bytes. */
export function diagMessage(type: number, body: Buffer): Buffer {
  const padding = Buffer.alloc((4 - (body.length % 4)) % 4);
  const header = Buffer.alloc(16);
  header.writeUInt32LE(16 + body.length, 0);
  header.writeUInt16LE(type, 4);
  return Buffer.concat([header, body, padding]);
}

export interface SocketFields {
  readonly family: number;
  readonly state: number;
  readonly local: readonly [string, number];
  readonly remote: readonly [string, number];
  readonly cookie?: bigint;
  /** Bytes of attributes behind it. */
  readonly attributes?: number;
}

/** A socket of a list. */
export function socketMessage({
  family,
  state,
  local,
  remote,
  cookie = 99n,
  attributes = 0,
}: SocketFields): Buffer {
  const body = Buffer.alloc(72 + attributes);
  body[0] = family;
  body[1] = state;
  body.writeUInt16BE(local[1], 4);
  body.writeUInt16BE(remote[1], 6);
  addressBytes(local[0]).copy(body, 8);
  addressBytes(remote[0]).copy(body, 24);
  body.writeBigUInt64LE(cookie, 44);
  return diagMessage(20, body);
}

/** By the rules of the URL standard, which knows both notations. */
function addressBytes(text: string): Buffer {
  if (isIPv4(text)) return Buffer.from(text.split('.').map(Number));
  const [head = '', tail = ''] = new URL(`http://[${text}]`).hostname.slice(1, -1).split('::');
  const groups = (part: string): string[] => (part === '' ? [] : part.split(':'));
  const missing = 8 - groups(head).length - groups(tail).length;
  const all = [...groups(head), ...Array.from({ length: missing }, () => '0'), ...groups(tail)];
  return Buffer.from(all.map((group) => group.padStart(4, '0')).join(''), 'hex');
}
