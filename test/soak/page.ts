/** The one page that a soak ends with. */
import type { Verdict } from './ledger.js';
import { type Course, complaintOf, growthOf, type Sample } from './resources.js';
import { FOR_STANDBY, isTooLong, LONG_MS } from './waits.js';
import type { Application } from './workload.js';

/** One fault that was survived. */
export interface Episode {
  readonly name: string;
  readonly struckMs: number;
  /** From its end until every application had answers again. */
  readonly recoveredMs: number;
  /** How many applications had an error. */
  readonly troubled: number;
}

export interface SoakResult {
  readonly minutes: number;
  readonly seed: number;
  readonly boundMs: number;
  readonly episodes: readonly Episode[];
  readonly applications: readonly Application[];
  readonly verdict: Verdict;
  readonly processes: readonly (Course & { readonly name: string })[];
  readonly problems: readonly string[];
}

const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;
const median = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;

/** Memory at some twenty moments, evenly spread. */
function course(samples: readonly Sample[]): string {
  const every = Math.max(1, Math.floor(samples.length / 20));
  const some = samples.filter((_, at) => at % every === 0);
  return some.map(({ residentKb }) => (residentKb / 1024).toFixed(0)).join(' ');
}

const mebibytes = (kb: number): string => `${(kb / 1024).toFixed(1)} MiB`;

/** Why somebody waited long, as far as was seen. */
function printLongWaits({ applications, boundMs }: SoakResult): void {
  const waits = applications.flatMap(({ longWaits }) => longWaits);
  const groups = [
    [`a commit seen under ${FOR_STANDBY}`, waits.filter(({ seen }) => seen.includes(FOR_STANDBY))],
    ['another statement', waits.filter(({ what, seen }) => what === 'query' && !seen.includes(FOR_STANDBY))],
    ['a connection', waits.filter(({ what }) => what === 'connect')],
  ] as const;
  console.log(
    `\n| waits longer than ${seconds(LONG_MS)} | number | longest | longest in vain | longer than the bound for want of a processor |`,
  );
  console.log('| --- | --- | --- | --- | --- |');
  for (const [what, all] of groups) {
    const starved = all.filter((one) => one.inVainMs > boundMs && !isTooLong(one, boundMs));
    const most = (values: readonly number[]) => `${Math.max(0, ...values)} ms`;
    const cells = [
      what,
      all.length,
      most(all.map(({ ms }) => ms)),
      most(all.map(({ inVainMs }) => inVainMs)),
      starved.length,
    ];
    console.log(`| ${cells.join(' | ')} |`);
  }
}

/** Prints it; returns whether all is well. */
export function printPage(result: SoakResult): boolean {
  const { verdict, applications, episodes } = result;
  const problems = [...result.problems];
  if (verdict.counts.acknowledged === 0) problems.push('nothing was acknowledged: this was no soak');
  for (const id of verdict.lost.slice(0, 20)) problems.push(`acknowledged and lost: ${id}`);
  for (const id of verdict.ghosts.slice(0, 20)) problems.push(`refused or never sent, and there: ${id}`);

  console.log(`\n# Soak of ${result.minutes.toFixed(1)} minutes, SEED=${result.seed}\n`);
  console.log(
    '| fault | times | took, median | then all answered within, median | most | applications troubled, most |',
  );
  console.log('| --- | --- | --- | --- | --- | --- |');
  for (const name of [...new Set(episodes.map((one) => one.name))].sort()) {
    const all = episodes.filter((one) => one.name === name);
    const recovered = all.map(({ recoveredMs }) => recoveredMs);
    const cells = [
      name,
      all.length,
      seconds(median(all.map(({ struckMs }) => struckMs))),
      seconds(median(recovered)),
      seconds(Math.max(...recovered)),
      `${Math.max(...all.map(({ troubled }) => troubled))} of ${applications.length}`,
    ];
    console.log(`| ${cells.join(' | ')} |`);
  }
  const { acknowledged, unknown, failed } = verdict.counts;
  console.log('\n| elements | |\n| --- | --- |');
  console.log(`| acknowledged | ${acknowledged} |`);
  console.log(`| acknowledged and lost | ${verdict.lost.length} |`);
  console.log(`| unknown, of these in the table | ${unknown}, ${verdict.arrived} |`);
  console.log(`| failed, of these in the table | ${failed}, ${verdict.ghosts.length} |`);
  const longest = Math.max(...applications.map(({ longestMs }) => longestMs));
  console.log(`| longest wait of an application (bound ${result.boundMs} ms) | ${longest} ms |`);

  printLongWaits(result);

  console.log(
    '\n| process, the least of the first and last eighth of the last two thirds | first | last | a minute |',
  );
  console.log('| --- | --- | --- | --- |');
  for (const process of result.processes) {
    const growth = growthOf(process);
    const complaint = complaintOf(growth);
    if (complaint !== undefined) problems.push(`${process.name}: ${complaint}`);
    const memory = (what: string, [first, last]: readonly [number, number], perMinute: number) =>
      console.log(
        `| ${process.name}, ${what} | ${mebibytes(first)} | ${mebibytes(last)} | ${perMinute.toFixed(0)} kB |`,
      );
    memory('resident', growth.residentKb, growth.residentKbPerMinute);
    memory('what lives', growth.livingKb, growth.livingKbPerMinute);
    const [first, last] = growth.descriptors;
    console.log(
      `| ${process.name}, descriptors | ${first} | ${last} | ${growth.descriptorsPerMinute.toFixed(2)} |`,
    );
  }
  for (const { name, samples, living } of result.processes) {
    console.log(`\n${name}, resident MiB over time: ${course(samples)}`);
    console.log(`What lives, MiB: ${living.map(({ kb }) => (kb / 1024).toFixed(2)).join(' ')}`);
  }
  for (const problem of problems) console.log(`\nFAILED: ${problem}`);
  if (problems.length === 0) console.log('\nAll is well.');
  return problems.length === 0;
}
