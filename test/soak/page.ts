/** The one page that a soak ends with. */
import type { Verdict } from './ledger.js';
import { complaintOf, growthOf, type Sample } from './resources.js';
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
  readonly processes: readonly { readonly name: string; readonly samples: readonly Sample[] }[];
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

  console.log(
    '\n| process | memory at a third | at the end | a minute | descriptors at a third | at the end |',
  );
  console.log('| --- | --- | --- | --- | --- | --- |');
  for (const { name, samples } of result.processes) {
    const growth = growthOf(samples);
    const complaint = complaintOf(growth);
    if (complaint !== undefined) problems.push(`${name}: ${complaint}`);
    const { first, last } = growth;
    const cells = [
      name,
      `${(first.residentKb / 1024).toFixed(1)} MiB`,
      `${(last.residentKb / 1024).toFixed(1)} MiB`,
      `${growth.residentKbPerMinute.toFixed(0)} kB`,
      first.descriptors,
      last.descriptors,
    ];
    console.log(`| ${cells.join(' | ')} |`);
  }
  for (const { name, samples } of result.processes)
    console.log(`\n${name}, MiB over time: ${course(samples)}`);
  for (const problem of problems) console.log(`\nFAILED: ${problem}`);
  if (problems.length === 0) console.log('\nAll is well.');
  return problems.length === 0;
}
