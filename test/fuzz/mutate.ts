/** Makes new inputs of old ones. The same seed makes the same inputs. */
import { Buffer } from 'node:buffer';
import type { Target } from './targets.js';

export const MOST_BYTES = 20_000;

const EDGES = [
  0, 1, 2, 3, 4, 7, 8, 0x7f, 0x80, 0xff, 0x100, 0x7fff, 0xffff, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff,
];

type Random = () => number;

const below = (random: Random, end: number): number => Math.floor(random() * end);

/** One to eight changes of an input; `corpus` lends parts. Half of the time the length in front is made right again. */
export function mutate(input: Buffer, corpus: readonly Buffer[], target: Target, random: Random): Buffer {
  let bytes: Buffer = Buffer.from(input);
  for (let left = 1 + below(random, 8); left > 0; left -= 1) bytes = change(bytes, corpus, target, random);
  if (bytes.length > MOST_BYTES) bytes = bytes.subarray(0, MOST_BYTES);
  const { length } = target;
  if (length !== undefined && random() < 0.5 && bytes.length >= length.at + 4)
    bytes.writeUInt32BE(Math.max(0, bytes.length - length.extra), length.at);
  return bytes;
}

function change(bytes: Buffer, corpus: readonly Buffer[], target: Target, random: Random): Buffer {
  // What stands in front decides how the rest is read, so half of the changes are made there.
  const at = below(random, (random() < 0.5 ? Math.min(bytes.length, 16) : bytes.length) + 1);
  const end = Math.min(bytes.length, at + 1 + below(random, 32));
  switch (below(random, 9)) {
    case 0:
      return put(bytes, at, Buffer.from([below(random, 256)]), 1);
    case 1:
      return put(bytes, at, Buffer.from([(bytes[at] ?? 0) ^ (1 << below(random, 8))]), 1);
    case 2: {
      const value = Buffer.alloc(4);
      value.writeUInt32BE(EDGES[below(random, EDGES.length)]!);
      const size = [1, 2, 4][below(random, 3)]!;
      return put(bytes, at, value.subarray(4 - size), random() < 0.7 ? size : 0);
    }
    case 3:
      return put(bytes, at, Buffer.alloc(0), end - at);
    case 4:
      return put(bytes, at, bytes.subarray(at, end), 0);
    case 5: {
      const word = Buffer.from(target.words[below(random, target.words.length)] ?? '');
      return put(bytes, at, word, random() < 0.5 ? word.length : 0);
    }
    case 6: {
      const other = corpus[below(random, corpus.length)] ?? bytes;
      const from = below(random, other.length + 1);
      return put(bytes, at, other.subarray(from, from + below(random, 200)), random() < 0.5 ? end - at : 0);
    }
    case 7:
      return Buffer.concat([bytes, corpus[below(random, corpus.length)] ?? bytes]);
    default: {
      const many = Buffer.concat(
        Array.from({ length: 1 + below(random, 64) }, () => bytes.subarray(at, end)),
      );
      return put(bytes, at, many, end - at);
    }
  }
}

/** Puts `word` in the place of so many octets. */
function put(bytes: Buffer, at: number, word: Buffer, instead: number): Buffer {
  return Buffer.concat([bytes.subarray(0, at), word, bytes.subarray(Math.min(bytes.length, at + instead))]);
}
