/** What every benchmark needs: samples and their quantiles, rounds in shuffled order, CPU time, and one block of figures. */
import { appendFileSync, readFileSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, release, totalmem } from 'node:os';
import { type Block, RESULTS_VARIABLE } from './results.js';

/** Values of one thing measured many times, in the unit of the caller. */
export class Samples {
  readonly #values: number[] = [];
  #sorted: Float64Array | undefined;

  add(...values: readonly number[]): void {
    for (const value of values) this.#values.push(value);
    this.#sorted = undefined;
  }

  get count(): number {
    return this.#values.length;
  }

  /** The value below which this share (0 to 1) of all values lies. */
  quantile(share: number): number {
    this.#sorted ??= Float64Array.from(this.#values).sort();
    const last = this.#sorted.length - 1;
    return this.#sorted[Math.round(share * last)] ?? Number.NaN;
  }

  get median(): number {
    return this.quantile(0.5);
  }

  get p99(): number {
    return this.quantile(0.99);
  }

  get min(): number {
    return this.quantile(0);
  }

  get max(): number {
    return this.quantile(1);
  }
}

/**
 * Runs every contestant `rounds` times, each round in another order, so that neither the order nor what else happens
 * on the machine favours one. The first round warms up; `round` is 0 in it.
 */
export async function shuffledRounds(
  rounds: number,
  contestants: readonly ((round: number) => Promise<void>)[],
): Promise<void> {
  for (let round = 0; round <= rounds; round += 1) {
    const order = contestants
      .map((run) => ({ run, at: Math.random() }))
      .sort((a, b) => a.at - b.at)
      .map(({ run }) => run);
    for (const run of order) await run(round);
  }
}

/** CPU time a process has used so far, user and system, of all its threads, in ms (resolution 10 ms). */
export function cpuMs(pid: number): number {
  const { own, kernel } = cpuShares(pid);
  return own + kernel;
}

/** The same by where it was spent: in the program, and in the kernel on its behalf. */
export function cpuShares(pid: number): { readonly own: number; readonly kernel: number } {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  // utime and stime of proc(5), in clock ticks, of which there are 100 a second on every Linux.
  return { own: Number(fields[11]) * 10, kernel: Number(fields[12]) * 10 };
}

/** Resident memory of a process in MB (10^6 bytes). */
export function residentMb(pid: number): number {
  return (Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1]) * 1024) / 1e6;
}

export const ms = (value: number): string =>
  `${value.toFixed(Math.abs(value) < 10 ? 2 : Math.abs(value) < 100 ? 1 : 0)} ms`;
export const times = (value: number): string => `${value.toFixed(value < 10 ? 2 : 0)}x`;
export const mb = (value: number): string => `${value.toFixed(0)} MB`;

/** One line of a block: what was measured, its figures, and how it compares. */
export type FigureRow = readonly string[];

/**
 * Prints one block: title, columns, rows, and the targets with whether they were met. It is recorded for the page at the end of
 * the run, and for the document.
 * @param points what a plot draws: numbers by their name
 */
export function printBlock(
  title: string,
  columns: readonly string[],
  rows: readonly FigureRow[],
  targets: readonly (readonly [target: string, met: boolean, measured: string])[] = [],
  points: Readonly<Record<string, readonly (readonly [x: number, y: number])[]>> = {},
): void {
  const file = process.env[RESULTS_VARIABLE];
  const block: Block = { title, columns, rows, targets, points, machine: machine() };
  if (file !== undefined) appendFileSync(file, `${JSON.stringify(block)}\n`);
  const table = [['', ...columns], ...rows];
  const widths = table[0]!.map((_cell, at) => Math.max(...table.map((row) => (row[at] ?? '').length)));
  const lines = table.map((row) =>
    row
      .map((cell, at) => (at === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[at] ?? 0)))
      .join('  ')
      .trimEnd(),
  );
  console.log(`\n${title}\n${machine()}\n`);
  for (const line of lines) console.log(`  ${line}`);
  for (const [target, met, measured] of targets)
    console.log(`  target: ${target}: ${met ? 'met' : 'MISSED'} (${measured})`);
}

/** What the figures were measured on, and how busy it was besides. */
export function machine(): string {
  const memory = Math.round(totalmem() / 2 ** 30);
  const [load = 0] = loadavg();
  return (
    `${availableParallelism()} cores (${cpus()[0]?.model.trim() ?? 'unknown'}), ${memory} GiB, ` +
    `Linux ${release()}, Node.js ${process.versions.node}, load ${load.toFixed(1)}`
  );
}
