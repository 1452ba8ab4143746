/**
 * MESSAGE_ID= of journald: one 128-bit number per kind of message, the same in every release.
 */
import { createHash } from 'node:crypto';

/** Namespace of this project's messages (RFC 4122, 4.3); made once at random, never changed. */
const NAMESPACE = Buffer.from('6e1f3a52c97b4d0ea8405d2b7c91f4d3', 'hex');

const known = new Map<string, string>();

/** The number of a kind of message (`kindOf`) as 32 hex digits: a name-based UUID, version 5 (SHA-1), of its name. */
export function messageId(kind: string): string {
  const before = known.get(kind);
  if (before !== undefined) return before;
  const uuid = createHash('sha1').update(NAMESPACE).update(kind, 'utf8').digest().subarray(0, 16);
  uuid.writeUInt8((uuid.readUInt8(6) & 0x0f) | 0x50, 6);
  uuid.writeUInt8((uuid.readUInt8(8) & 0x3f) | 0x80, 8);
  const id = uuid.toString('hex');
  known.set(kind, id);
  return id;
}
