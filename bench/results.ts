/** The figures of a run, as they are recorded: for the page at its end, and for docs/performance.md. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';

/** What docs/performance.md is made of. */
export const RESULTS = 'bench/results.json';
/** The environment variable that names the file to which a benchmark appends its blocks, one a line. */
export const RESULTS_VARIABLE = 'BENCH_RESULTS';

/** What one benchmark has printed. */
export interface Block {
  readonly title: string;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly string[])[];
  readonly targets: readonly (readonly [target: string, met: boolean, measured: string])[];
  readonly points: Readonly<Record<string, readonly (readonly [x: number, y: number])[]>>;
  readonly machine: string;
}

/** The blocks in a file of lines; none when it is missing. */
export function readBlocks(path: string): readonly Block[] {
  if (!existsSync(path)) return [];
  const lines = readFileSync(path, 'utf8').split('\n');
  return lines.filter((line) => line !== '').map((line) => JSON.parse(line) as Block);
}

/** The recorded blocks by title. */
export function readResults(path: string): Readonly<Record<string, Block>> {
  return existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as Record<string, Block>) : {};
}

/** Puts the blocks of a run in the place of those of the same titles. */
export function recordResults(path: string, blocks: readonly Block[]): void {
  const all = { ...readResults(path), ...Object.fromEntries(blocks.map((block) => [block.title, block])) };
  const sorted = Object.fromEntries(Object.entries(all).sort(([a], [b]) => (a < b ? -1 : 1)));
  writeFileSync(path, `${JSON.stringify(sorted, undefined, 2)}\n`);
}

/** The page at the end of a run: every target with its figure, block by block. */
export function pageOf(blocks: readonly Block[]): string {
  const lines = blocks.flatMap(({ title, targets }) => [
    '',
    title,
    ...targets.map(([target, met, measured]) => `  ${met ? 'met   ' : 'MISSED'}  ${target}: ${measured}`),
  ]);
  const all = blocks.flatMap(({ targets }) => targets);
  const met = all.filter(([, isMet]) => isMet).length;
  return [...lines, '', `${met} of ${all.length} targets met`].join('\n');
}
