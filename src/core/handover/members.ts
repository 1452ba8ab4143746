/** Readers of the members of a hand-over document: each yields a value within its bounds, or throws InvalidMember. */
import { Buffer } from 'node:buffer';
import { DOCUMENT_LIMITS } from './document.js';

/** A member that is missing without a default, of another type or out of bounds; `message` names it. */
export class InvalidMember extends Error {
  constructor(name: string, wanted: string) {
    super(`"${name}" is not ${wanted}`);
    this.name = 'InvalidMember';
  }
}

const NO_OCTETS = Buffer.alloc(0);

export type Members = Readonly<Record<string, unknown>>;

/** An object that is no array. */
export function membersOf(value: unknown, name: string): Members {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new InvalidMember(name, 'an object');
  return value as Members;
}

/** An integer from 0 to `most`. */
export function whole(of: Members, name: string, most: number, otherwise?: number): number {
  const value = own(of, name) ?? otherwise;
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 0 || value > most)
    throw new InvalidMember(name, `a whole number up to ${most}`);
  return value;
}

/** A number that is not negative, as a count or a time may be. */
export function amount(of: Members, name: string): number {
  const value = own(of, name) ?? 0;
  if (typeof value !== 'number' || !Number.isFinite(value) || value < 0)
    throw new InvalidMember(name, 'a number');
  return value;
}

export function text(of: Members, name: string, otherwise?: string): string {
  const value = own(of, name) ?? otherwise;
  if (typeof value !== 'string' || value.length > DOCUMENT_LIMITS.text)
    throw new InvalidMember(name, `a text of up to ${DOCUMENT_LIMITS.text} characters`);
  return value;
}

export function flag(of: Members, name: string): boolean {
  const value = own(of, name) ?? false;
  if (typeof value !== 'boolean') throw new InvalidMember(name, 'true or false');
  return value;
}

/** One of a list of words. */
export function oneOf<Word extends string>(of: Members, name: string, words: readonly Word[]): Word {
  const word = words[words.indexOf(own(of, name) as Word)];
  if (word === undefined) throw new InvalidMember(name, `one of ${words.join(', ')}`);
  return word;
}

/** A list of at most `most` values, empty where there is none. */
export function list(of: Members, name: string, most: number = DOCUMENT_LIMITS.list): readonly unknown[] {
  const value = own(of, name) ?? [];
  if (!Array.isArray(value) || value.length > most)
    throw new InvalidMember(name, `a list of up to ${most} values`);
  return value;
}

/** Octets in base64, few enough for a text. */
export function octets(of: Members, name: string): Buffer {
  const encoded = text(of, name, '');
  return encoded === '' ? NO_OCTETS : Buffer.from(encoded, 'base64');
}

/** Octets behind the text. */
export function held(of: Members, name: string, heap: Buffer): Buffer {
  const value = own(of, name);
  if (value === undefined) return NO_OCTETS;
  const [offset, length] = Array.isArray(value) ? (value as readonly unknown[]) : [];
  if (
    !Number.isInteger(offset) ||
    !Number.isInteger(length) ||
    (offset as number) < 0 ||
    (length as number) < 0 ||
    (length as number) > DOCUMENT_LIMITS.heldBytes ||
    (offset as number) + (length as number) > heap.length
  )
    throw new InvalidMember(name, 'a place in the document');
  // Not a view: one session must not pin what was held of all.
  return Buffer.from(heap.subarray(offset as number, (offset as number) + (length as number)));
}

/** What the object itself has, not what objects inherit; null is as good as nothing. */
export function own(of: Members, name: string): unknown {
  return Object.hasOwn(of, name) ? (of[name] ?? undefined) : undefined;
}
