/**
 * What the server's first answer means for a connection that is being forwarded: whether it serves the application, or
 * the next server is to be tried before the application notices anything.
 *
 * PostgreSQL documentation, 53.2.1, 53.2.10 and 53.2.11: an encryption request is answered by one octet, or by an
 * ErrorResponse when the server cannot even fork; a start-up packet by a message.
 */
import type { Buffer } from 'node:buffer';
import { decodeErrorResponse } from '../protocol/startup.js';

/** What the application has sent and the server has not answered yet. */
export type Question = 'startup' | 'encryption' | 'tls';

export type FirstAnswer =
  | { readonly kind: 'incomplete' }
  /** From here on everything is forwarded; `plain`: what the server says can be read. */
  | { readonly kind: 'serves'; readonly plain: boolean }
  /** No encryption; the application goes on with another packet. */
  | { readonly kind: 'declines' }
  /** Another server may do better. */
  | { readonly kind: 'refuses'; readonly text: string };

/** cannot_connect_now, too_many_connections, and what a postmaster without memory or processes says. */
const NEXT_PLEASE: ReadonlySet<string> = new Set(['57P03', '53300', '53200', '53000']);
/** A longer ErrorResponse is passed on unread. */
const MAX_REFUSAL_BYTES = 16 * 1024;

/** Judges the octets that have come so far, at least one. */
export function readFirstAnswer(question: Question, answer: Buffer): FirstAnswer {
  const type = String.fromCharCode(answer[0] ?? 0);
  if (question === 'tls') return { kind: 'serves', plain: false };
  if (type === 'E') return readRefusal(answer);
  if (question === 'startup') return { kind: 'serves', plain: true };
  return type === 'N' && answer.length === 1 ? { kind: 'declines' } : { kind: 'serves', plain: false };
}

function readRefusal(answer: Buffer): FirstAnswer {
  if (answer.length < 5) return { kind: 'incomplete' };
  const length = answer.readUInt32BE(1);
  // An error of protocol 2 is text; only fork failure still comes so (src/backend/postmaster/postmaster.c).
  if (length > MAX_REFUSAL_BYTES)
    return { kind: 'refuses', text: answer.toString('utf8', 1, 200).replace(/\0.*|\n/gs, '') };
  if (answer.length <= length) return { kind: 'incomplete' };
  const fields = decodeErrorResponse(answer.subarray(5, 1 + length));
  if (!NEXT_PLEASE.has(fields.get('C') ?? '')) return { kind: 'serves', plain: true };
  return { kind: 'refuses', text: fields.get('M') ?? 'refused' };
}
