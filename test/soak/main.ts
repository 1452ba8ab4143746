/**
 * The soak: a set workload under random faults for MINUTES (default 60). Every element that was acknowledged is in the
 * table afterwards, nobody waits longer than the bound, whom a fault does not concern does not notice it, and neither
 * memory nor descriptors of what runs all the time grow. SEED repeats the sequence of faults; ONLY=words,separated:
 * those faults only.
 */
import { mkdtempSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { eventually } from '../support/eventually.js';
import { heapOf } from '../support/heap-report.js';
import { seeded } from '../support/simulation/timeline.js';
import { FAULTS, type Surroundings, type Victims, withholding } from './faults.js';
import { judge } from './ledger.js';
import { type Episode, printPage } from './page.js';
import { Patience } from './patience.js';
import { descriptorsOf, type Living, type Sample, sampleOf } from './resources.js';
import { type ApplicationHost, Scene, TIMEOUT_MS } from './scene.js';
import { Starvation } from './starvation.js';
import { type Judge, type LongWait, lookInServer } from './waits.js';
import { type Application, type Driver, Reader, Writer } from './workload.js';

const MINUTES = Number(process.env['MINUTES'] || 60);
const SEED = Number(process.env['SEED'] || Date.now() % 1_000_000);
const SAMPLE_MS = 2000;
/** Waits are looked at so often. */
const LOOK_MS = 500;
/** What lives is measured so often in all, for each time costs a collection that would not have been. */
const HEAP_LOOKS = 24;
/** heartbeat_timeout + 1 s as promised, and half a second for a busy machine. */
const BOUND_MS = TIMEOUT_MS + 1000 + 500;
/** After a fault has been mended, everybody gets an answer again within this. */
const RECOVERY_MS = 15_000;
/** Pause before the next fault. */
const REST_MS = 1000;

/** May this application have been troubled by a fault with these victims? */
function concerns(victims: Victims, application: Application): boolean {
  if (victims === 'all') return true;
  if (victims === 'app2') return application.host.name === 'app2';
  return victims === 'readers' && application.target === 'prefer-standby';
}

/** Everybody gets answers; rejects with the names of those who do not. */
async function everybodyWorks(applications: readonly Application[]): Promise<number> {
  const begun = performance.now();
  const before = new Map(applications.map((one) => [one, one.answers]));
  const idle = () => applications.filter((one) => one.answers - (before.get(one) ?? 0) < 2);
  await eventually(() => idle().length === 0, {
    timeoutMs: RECOVERY_MS,
    everyMs: 20,
    what: 'every application gets answers',
  }).catch(() => {
    const names = idle().map(({ name, lastTrouble }) => `${name} (${lastTrouble})`);
    throw new Error(`no answer within ${RECOVERY_MS / 1000} s of the end of a fault: ${names.join(', ')}`);
  });
  return performance.now() - begun;
}

function inWords({ who, what, ms, inVainMs, starvedMs, seen }: LongWait): string {
  const sight = seen.length === 0 ? 'not seen in the server' : `seen under ${seen.join(', ')}`;
  return `${who} waited ${ms} ms (${what}, ${sight}), ${inVainMs} ms of it in vain, ${starvedMs} ms for a processor`;
}

async function soak(scene: Scene): Promise<boolean> {
  const random = seeded(SEED);
  const begun = performance.now();
  const patience = new Map<ApplicationHost, Patience>(
    scene.applicationHosts.map((host) => [host, new Patience(BOUND_MS)]),
  );
  const problems: string[] = [];
  const common = () => [process.pid, ...scene.watchdogs.map(({ running }) => running.pid)];
  const starvation = new Starvation(() => [
    ...common(),
    ...scene.applicationHosts.map(({ conmgr }) => conmgr.pid),
  ]);
  const applications: Application[] = [];
  for (const host of scene.applicationHosts) {
    const judge: Judge = {
      patience: patience.get(host)!,
      starvedMs: (since) => starvation.sinceMs(since, [...common(), host.conmgr.pid]),
    };
    for (const driver of ['aware', 'stock'] as Driver[]) {
      for (const at of [1, 2])
        applications.push(new Writer(`${host.name}-${driver}-${at}`, host, driver, judge));
      applications.push(new Reader(`${host.name}-${driver}-reader`, host, driver, judge));
    }
  }
  const steady = scene.lasting.map(([name, program]) => ({
    name,
    program,
    samples: [] as Sample[],
    living: [] as Living[],
    descriptorsAtRest: sampleOf(program.pid, 0).descriptors,
  }));
  const running = applications.map((one) => one.run());
  const sampler = setInterval(() => {
    const at = performance.now() - begun;
    for (const { program, samples } of steady) samples.push(sampleOf(program.pid, at));
  }, SAMPLE_MS);
  let looking = false;
  const looker = setInterval(() => {
    const now = performance.now();
    starvation.look(now);
    for (const one of applications) one.look(now);
    if (looking) return;
    looking = true;
    // A server that has ended or is frozen cannot be asked.
    lookInServer(scene.server(scene.primary), applications, now)
      .catch(() => {})
      .finally(() => {
        looking = false;
      });
  }, LOOK_MS);
  const heapLooker = setInterval(
    () => {
      for (const { program, living } of steady) {
        const atMs = performance.now() - begun;
        heapOf(program).then(
          ({ liveKb, outsideKb }) => living.push({ atMs, kb: liveKb + outsideKb }),
          (error: Error) => problems.push(error.message),
        );
      }
    },
    (MINUTES * 60_000) / HEAP_LOOKS,
  );

  const surroundings: Surroundings = {
    scene,
    random,
    withheld: (host, reason, while_) =>
      withholding(host === 'all' ? [...patience.values()] : [patience.get(host)!], reason, while_),
  };
  const episodes: Episode[] = [];
  await everybodyWorks(applications);
  const words = (process.env['ONLY'] ?? '').split(',').filter((word) => word !== '');
  const names = Object.keys(FAULTS).filter(
    (name) => words.length === 0 || words.some((word) => name.includes(word)),
  );
  if (names.length === 0) throw new Error(`no fault is called ${words.join(' or ')}`);
  let bag: string[] = [];
  while (performance.now() - begun < MINUTES * 60_000 && problems.length === 0) {
    // A shuffled bag of all faults, so that a long soak has each equally often.
    if (bag.length === 0) bag = [...names].sort(() => random() - 0.5);
    const name = bag.pop()!;
    const fault = FAULTS[name]!;
    const troubles = new Map(applications.map((one) => [one, one.troubles]));
    const at = performance.now();
    try {
      await fault.strike(surroundings);
      const struckMs = performance.now() - at;
      await scene.recovered();
      const recoveredMs = await everybodyWorks(applications);
      const troubled = applications.filter((one) => one.troubles > (troubles.get(one) ?? 0));
      episodes.push({ name, struckMs, recoveredMs, troubled: troubled.length });
      for (const one of troubled.filter((each) => !concerns(fault.victims, each)))
        problems.push(`"${name}" troubled ${one.name}: ${one.lastTrouble}`);
    } catch (error) {
      problems.push(`"${name}": ${error instanceof Error ? error.message : String(error)}`);
    }
    for (const wait of applications.flatMap(({ stuck }) => stuck))
      problems.push(`"${name}": ${inWords(wait)}, the bound is ${BOUND_MS} ms`);
    if (problems.length > 0) problems[0] = `at ${((at - begun) / 1000).toFixed(1)} s ${problems[0]}`;
    await delay(REST_MS);
  }
  for (const timer of [sampler, looker, heapLooker]) clearInterval(timer);
  for (const one of applications) one.stop();
  const ended = await Promise.race([Promise.all(running), delay(2 * BOUND_MS, undefined, { ref: false })]);
  if (ended === undefined) problems.push('an application did not end');

  const rows = await scene
    .server(scene.primary)
    .sql<{ writer: string; id: number }>("select writer, id from soak_row where writer <> 'scene'");
  const table = new Map<string, Set<number>>();
  for (const { writer, id } of rows) {
    const ids = table.get(writer) ?? new Set<number>();
    table.set(writer, ids.add(id));
  }
  const verdict = judge(
    applications.filter((one): one is Writer => one instanceof Writer),
    table,
  );
  const leaked: string[] = [];
  for (const { name, program, descriptorsAtRest } of steady) {
    const descriptors = () => sampleOf(program.pid, 0).descriptors;
    await eventually(() => descriptors() <= descriptorsAtRest, { what: 'descriptors' }).catch(() =>
      leaked.push(
        `${name} had ${descriptorsAtRest} descriptors at rest and has ${descriptors()}: ${descriptorsOf(program.pid).join(', ')}`,
      ),
    );
  }
  if (leaked.length > 0)
    leaked.push(
      `${scene.steady.name} knows ${JSON.stringify((await scene.steady.conmgr.status()).applications)}`,
    );
  return printPage({
    minutes: (performance.now() - begun) / 60_000,
    seed: SEED,
    boundMs: BOUND_MS,
    episodes,
    applications,
    verdict,
    processes: steady,
    problems: [...problems, ...leaked],
  });
}

console.log(`soak: MINUTES=${MINUTES} SEED=${SEED}`);
const scene = await Scene.start();
let well = false;
try {
  well = await soak(scene);
} finally {
  if (!well) {
    const kept = mkdtempSync('/tmp/soak-');
    console.log(`logs: ${scene.writeLogs(kept).join(' ')}`);
  }
  await scene.end();
}
process.exit(well ? 0 : 1);
