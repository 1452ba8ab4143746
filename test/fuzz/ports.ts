/**
 * Fuzzing of the two ports of real processes: conmgr's port for applications and the watchdog's for heartbeat links. Many
 * clients at a time, each from an address of its own, send mutated inputs in one piece or several and go away by FIN, by
 * RST or not at all. Afterwards both processes live, serve a real client, and hold neither memory nor descriptors.
 */
import { connect } from 'node:net';
import { sampleOf } from '../soak/resources.js';
import { ConmgrProcess } from '../support/conmgr-process.js';
import { eventually } from '../support/eventually.js';
import { startPrimary } from '../support/postgres.js';
import { seeded } from '../support/simulation/timeline.js';
import { TestWatchdog } from '../support/watchdog.js';
import { mutate } from './mutate.js';
import type { Target } from './targets.js';

/** At a time, on each port. */
const CLIENTS = 24;
/** Nobody may keep a connection without having said something sensible for longer; 3 s, and a busy machine. */
const MOST_MS = 5000;
/** A heap breathes; what leaks with every input is beyond this after some ten thousand. */
const MOST_GROWTH_KB = 24 * 1024;

export interface PortsFuzzed {
  readonly inputs: number;
  readonly problems: readonly string[];
  readonly figures: readonly string[];
}

export interface PortInputs {
  readonly target: Target;
  readonly corpus: readonly Buffer[];
}

/** Sends one input and goes away; rejects when the other end keeps the connection for too long. */
function send(port: number, from: string, input: Buffer, random: () => number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port, localAddress: from });
    const leave = random();
    socket.on('error', () => {});
    socket.on('data', () => {});
    const timer = setTimeout(() => {
      socket.destroy();
      reject(new Error(`port ${port} kept a connection for ${MOST_MS} ms after ${input.toString('hex')}`));
    }, MOST_MS);
    socket.on('close', () => {
      clearTimeout(timer);
      resolve();
    });
    socket.on('connect', () => {
      const half = random() < 0.3 ? Math.floor(random() * input.length) : input.length;
      socket.write(input.subarray(0, half));
      if (half < input.length) socket.write(input.subarray(half));
      // A few wait for the other end; what is understood may rightly be kept, so not for ever.
      if (leave < 0.05) setTimeout(() => socket.destroy(), 100);
      else if (leave < 0.4) socket.resetAndDestroy();
      else socket.end();
    });
  });
}

async function flood(
  port: number,
  { target, corpus }: PortInputs,
  random: () => number,
  goesOn: () => boolean,
): Promise<number> {
  let sent = 0;
  const client = async (number: number): Promise<void> => {
    while (goesOn()) {
      sent += 1;
      const input = mutate(corpus[Math.floor(random() * corpus.length)]!, corpus, target, random);
      await send(port, `127.0.${2 + number}.${1 + (sent % 250)}`, input, random);
    }
  };
  await Promise.all(Array.from({ length: CLIENTS }, (_, number) => client(number)));
  return sent;
}

/** Ends after so many inputs on each port, or at that moment, whichever comes first. */
export async function fuzzPorts(
  seed: number,
  { until, inputs }: { readonly until: number; readonly inputs: number },
  ofConmgr: PortInputs,
  ofWatchdog: PortInputs,
): Promise<PortsFuzzed> {
  const random = seeded(seed);
  const server = await startPrimary();
  const watchdog = await TestWatchdog.start(server, { settings: { log_min_messages: 'LOG' } });
  const conmgr = await ConmgrProcess.start({
    instances: [{ backendPort: server.port, watchdogPort: watchdog.port }],
    settings: { gateway: 'on', log_min_messages: 'LOG', max_connections: 200 },
  });
  const problems: string[] = [];
  const figures: string[] = [];
  let total = 0;
  try {
    await conmgr.linked();
    const atRest = { conmgr: sampleOf(conmgr.pid, 0), watchdog: sampleOf(watchdog.running.pid, 0) };
    const round = async (most: number, end: number): Promise<void> => {
      let left = 2 * most;
      const goesOn = (): boolean => left-- > 0 && performance.now() < end;
      const sent = await Promise.all([
        flood(conmgr.port, ofConmgr, random, goesOn),
        flood(watchdog.port, ofWatchdog, random, goesOn),
      ]);
      total += sent[0]! + sent[1]!;
    };
    // A fifth of it, so that heaps find their size; what is measured grows after that.
    const now = performance.now();
    await round(inputs / 5, now + (until - now) / 5);
    const warm = { conmgr: sampleOf(conmgr.pid, 0), watchdog: sampleOf(watchdog.running.pid, 0) };
    await round((4 * inputs) / 5, until);
    // Whoever belongs here is served as ever.
    const begun = performance.now();
    const client = await conmgr.bound();
    client.leave();
    const peer = await watchdog.connect();
    await peer.end();
    const servedMs = performance.now() - begun;
    if (servedMs > 1000) problems.push(`a real client and a real conmgr waited ${servedMs.toFixed(0)} ms`);
    const link = (await conmgr.status()).instances[0]?.link;
    if (link?.phase !== 'up') problems.push(`the link is ${link?.phase}: ${link?.failure}`);
    for (const [name, pid] of [
      ['conmgr', conmgr.pid],
      ['watchdog', watchdog.running.pid],
    ] as const) {
      const most = atRest[name].descriptors;
      await eventually(() => sampleOf(pid, 0).descriptors <= most, { what: 'descriptors' }).catch(() =>
        problems.push(`${name} had ${most} descriptors and has ${sampleOf(pid, 0).descriptors}`),
      );
      const end = sampleOf(pid, 0);
      const grownKb = end.residentKb - warm[name].residentKb;
      figures.push(
        `${name}: ${(warm[name].residentKb / 1024).toFixed(1)} MiB after a fifth, ${(end.residentKb / 1024).toFixed(1)} MiB ` +
          `in the end; ${most} descriptors before, ${end.descriptors} after`,
      );
      if (grownKb > MOST_GROWTH_KB) problems.push(`${name} has grown by ${grownKb} kB`);
    }
  } catch (error) {
    problems.push(error instanceof Error ? error.message : String(error));
  } finally {
    for (const [name, running] of [
      ['conmgr', conmgr.running],
      ['watchdog', watchdog.running],
    ] as const) {
      const crashed = running.stderr.split('\n').findIndex((line) => /PANIC|^\s+at .*\.js|Error:/.test(line));
      if (crashed >= 0) problems.push(`${name} has logged:\n${running.lines.slice(-30).join('\n')}`);
    }
    await conmgr.stop('SIGKILL');
    await watchdog.stop('SIGKILL');
    await server.end();
  }
  return { inputs: total, problems, figures };
}
