/** The kept inputs: files of test/fuzz/corpus, a folder for each target. A crash that was found becomes one of them. */
import type { Buffer } from 'node:buffer';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export const CORPUS = 'test/fuzz/corpus';

export interface Kept {
  readonly name: string;
  readonly input: Buffer;
}

/** Those of one target, in the order of their names. */
export function corpusOf(target: string): readonly Kept[] {
  const folder = join(CORPUS, target);
  return readdirSync(folder)
    .sort()
    .map((name) => ({ name, input: readFileSync(join(folder, name)) }));
}
