/**
 * Plays random schedules of faults on a simulated cluster, on every core: SCHEDULES (default 10,000) from SEED (default 1)
 * on. A schedule that breaks a promise is made as small as it can be and printed as a scenario. FLAW plants a defect, to
 * see that it would be found.
 */
import { fork } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { type Plan, planOf } from '../support/simulation/plan.js';
import { type Breach, runPlan } from '../support/simulation/run.js';
import { breachText, scenarioOf, shrink } from '../support/simulation/shrink.js';
import { FLAWS } from '../support/simulation/world.js';

/** A worker takes so many seeds at a time. */
const SHARE = 25;
/** Failing schedules that are made small and printed. */
const MOST_PRINTED = 3;

interface Task {
  readonly from: number;
  readonly to: number;
}

interface Result {
  readonly played: number;
  readonly events: number;
  readonly breaches: readonly { readonly seed: number; readonly breach: Breach }[];
}

const flaw = FLAWS.find((one) => one === process.env['FLAW']);

/** The schedule of a seed, with the planted defect. */
function scheduleOf(seed: number): Plan {
  const [first = '', ...rest] = planOf(seed);
  return flaw === undefined ? [first, ...rest] : [first, `flaw ${flaw}`, ...rest];
}

function play({ from, to }: Task): Result {
  let events = 0;
  const breaches: { seed: number; breach: Breach }[] = [];
  for (let seed = from; seed < to; seed += 1) {
    const played = runPlan(scheduleOf(seed), { notes: false });
    events += played.events;
    if (played.breach !== undefined) breaches.push({ seed, breach: played.breach });
  }
  return { played: to - from, events, breaches };
}

/** Hands out tasks until there are none, or enough has failed. */
function runAll(first: number, count: number): Promise<Result> {
  const total = { played: 0, events: 0, breaches: [] as { seed: number; breach: Breach }[] };
  let next = first;
  const workers = Array.from({ length: Math.min(availableParallelism(), Math.ceil(count / SHARE)) }, () => {
    const worker = fork(process.argv[1]!, ['worker']);
    const give = (): void => {
      if (next >= first + count || total.breaches.length >= MOST_PRINTED) worker.disconnect();
      else {
        const from = next;
        next = Math.min(first + count, from + SHARE);
        worker.send({ from, to: next } satisfies Task);
      }
    };
    worker.on('message', (result: Result) => {
      total.played += result.played;
      total.events += result.events;
      total.breaches.push(...result.breaches);
      give();
    });
    give();
    return new Promise<void>((resolve, reject) => {
      worker.once('error', reject);
      worker.once('exit', (code) =>
        code === 0 ? resolve() : reject(new Error(`a worker ended with status ${code}`)),
      );
    });
  });
  return Promise.all(workers).then(() => total);
}

function report(seed: number, breach: Breach): void {
  console.log(`\nSEED=${seed} breaks a promise: ${breachText(breach)}`);
  const small = shrink(scheduleOf(seed));
  const again = runPlan(small).breach;
  console.log(`As a scenario, for test/scenarios (it fails with: ${again && breachText(again)}):\n`);
  console.log(scenarioOf(small, `To be named: found by SEED=${seed}.`));
}

async function main(): Promise<number> {
  const count = Number(process.env['SCHEDULES'] || 10_000);
  const first = Number(process.env['SEED'] || 1);
  const begun = performance.now();
  const { played, events, breaches } = await runAll(first, count);
  const seconds = (performance.now() - begun) / 1000;
  const rate = `${(played / seconds).toFixed(0)} a second, ${(events / played).toFixed(0)} events each`;
  console.log(`simulate: ${played} schedules from SEED=${first} in ${seconds.toFixed(1)} s (${rate})`);
  for (const { seed, breach } of [...breaches].sort((a, b) => a.seed - b.seed).slice(0, MOST_PRINTED))
    report(seed, breach);
  if (breaches.length === 0) console.log('simulate: no promise was broken');
  return breaches.length === 0 ? 0 : 1;
}

if (process.argv[2] === 'worker') {
  process.on('message', (task: Task) => process.send!(play(task)));
} else process.exitCode = await main();
