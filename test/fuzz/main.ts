/**
 * Fuzzes the parsers and the two ports for SECONDS (default 60), half of it each. SEED repeats a run of the parsers, given as
 * many inputs; INPUTS bounds both. ONLY=words takes the targets with these names. A crash is kept as a file and printed.
 */
import { createHash } from 'node:crypto';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CORPUS, corpusOf } from './corpus.js';
import { type Crash, fuzz } from './fuzz.js';
import { fuzzPorts } from './ports.js';
import { TARGETS } from './targets.js';

const SECONDS = Number(process.env['SECONDS'] || 60);
const SEED = Number(process.env['SEED'] || Date.now() % 1_000_000);
const INPUTS = Number(process.env['INPUTS'] || 0) || Number.POSITIVE_INFINITY;
const words = (process.env['ONLY'] ?? '').split(/[\s,]+/).filter((word) => word !== '');
const wanted = (name: string): boolean => words.length === 0 || words.some((word) => name.includes(word));

/** Keeps the input as a file; put into the corpus, `make test` plays it for ever. */
function keep(target: string, { input, error }: Crash): void {
  const name = `crash-${createHash('sha256').update(input).digest('hex').slice(0, 8)}`;
  const path = join(mkdtempSync('/tmp/fuzz-'), name);
  writeFileSync(path, input);
  console.log(`\n${target} crashes: ${error.stack ?? error.message}`);
  console.log(`input: ${input.toString('base64')}\nkept as ${path}; for ${CORPUS}/${target}/${name}`);
}

console.log(`fuzz: SECONDS=${SECONDS} SEED=${SEED}`);
let well = true;
const parsers = Object.entries(TARGETS).filter(([name]) => wanted(name));
const share = (SECONDS * 1000 * (wanted('ports') ? 0.5 : 1)) / Math.max(1, parsers.length);
for (const [name, target] of parsers) {
  const corpus = corpusOf(name).map(({ input }) => input);
  const { inputs, blocks, found, crash } = fuzz(target, corpus, {
    seed: SEED,
    inputs: INPUTS,
    until: performance.now() + share,
  });
  console.log(`${name}: ${inputs} inputs, ${blocks} blocks reached, ${found.length} inputs led there`);
  if (crash !== undefined) {
    well = false;
    keep(name, crash);
  }
}
if (wanted('ports')) {
  const of = (name: string) => ({
    target: TARGETS[name]!,
    corpus: corpusOf(name).map(({ input }) => input),
  });
  const until = performance.now() + SECONDS * 500;
  const result = await fuzzPorts(SEED, { until, inputs: INPUTS }, of('application'), of('heartbeat'));
  console.log(`ports: ${result.inputs} inputs\n${result.figures.join('\n')}`);
  for (const problem of result.problems) console.log(`\nFAILED: ${problem}`);
  well &&= result.problems.length === 0;
}
console.log(well ? 'fuzz: no crash, nothing grows' : 'fuzz: FAILED');
process.exit(well ? 0 : 1);
