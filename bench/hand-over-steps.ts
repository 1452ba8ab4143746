/** When each step of a hand-over was reached in either process (src/io/hand-over-steps.ts), and what it cost. */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { HAND_OVER_CHANNEL, type HandOverStep } from '../src/io/hand-over-steps.js';
import { temporaryDirectory } from '../test/support/tree.js';
import { type FigureRow, ms, Samples } from './figures.js';

/** One step; both processes have the same clock (CLOCK_MONOTONIC). */
interface Stamp {
  readonly pid: number;
  readonly step: HandOverStep;
  readonly atMs: number;
  /** Processor time of the process so far, of all its threads. */
  readonly cpuMs: number;
  /** How long its main thread has waited for a processor so far. */
  readonly waitedMs: number;
}

/** Loaded into conmgr before its own code. */
const RECORDER = `
const { appendFileSync, readFileSync } = require('node:fs');
require('node:diagnostics_channel').subscribe(${JSON.stringify(HAND_OVER_CHANNEL)}, (step) => {
  const atMs = Number(process.hrtime.bigint()) / 1e6;
  const { user, system } = process.cpuUsage();
  const waitedMs = Number(readFileSync('/proc/thread-self/schedstat', 'utf8').split(' ')[1]) / 1e6;
  const stamp = { pid: process.pid, step, atMs, cpuMs: (user + system) / 1000, waitedMs };
  appendFileSync(process.env.HAND_OVER_STEPS, JSON.stringify(stamp) + '\\n');
});
`;

export class HandOverSteps {
  readonly #file: string;
  readonly #of = new Map<string, Record<'atMs' | 'cpuMs' | 'waitedMs', Samples>>();
  /** For the processes whose steps are to be recorded. */
  readonly env: NodeJS.ProcessEnv;

  constructor() {
    const directory = temporaryDirectory('steps-');
    this.#file = join(directory, 'steps');
    const recorder = join(directory, 'recorder.cjs');
    writeFileSync(recorder, RECORDER);
    this.env = { HAND_OVER_STEPS: this.#file, NODE_OPTIONS: `--require=${recorder}` };
  }

  /** Adds the hand-over that is over to the figures; `counts`: it is one of them. */
  note(counts: boolean): void {
    const stamps = this.#take();
    const successor = stamps.find(({ step }) => step === 'asking')?.pid;
    const begunMs = stamps.find(({ step }) => step === 'watchdogs told')?.atMs ?? Number.NaN;
    const before = new Map<number, Stamp>();
    for (const stamp of stamps) {
      const last = before.get(stamp.pid);
      before.set(stamp.pid, stamp);
      if (!counts || stamp.atMs < begunMs) continue;
      const figures = this.#figuresOf(
        `${stamp.pid === successor ? 'successor' : 'predecessor'}: ${stamp.step}`,
      );
      figures.atMs.add(stamp.atMs - begunMs);
      figures.cpuMs.add(stamp.cpuMs - (last?.cpuMs ?? stamp.cpuMs));
      figures.waitedMs.add(stamp.waitedMs - (last?.waitedMs ?? stamp.waitedMs));
    }
  }

  /** Medians, in the order in which the steps were reached. */
  rows(): readonly FigureRow[] {
    return [...this.#of]
      .sort(([, a], [, b]) => a.atMs.median - b.atMs.median)
      .map(([step, { atMs, cpuMs, waitedMs }]) => [
        step,
        ms(atMs.median),
        ms(cpuMs.median),
        ms(waitedMs.median),
      ]);
  }

  #figuresOf(step: string): Record<'atMs' | 'cpuMs' | 'waitedMs', Samples> {
    const figures = this.#of.get(step) ?? {
      atMs: new Samples(),
      cpuMs: new Samples(),
      waitedMs: new Samples(),
    };
    this.#of.set(step, figures);
    return figures;
  }

  /** What was reached since this was asked last, in order. */
  #take(): readonly Stamp[] {
    const lines = readFileSync(this.#file, 'utf8').split('\n').filter(Boolean);
    rmSync(this.#file);
    return lines.map((line) => JSON.parse(line) as Stamp).sort((a, b) => a.atMs - b.atMs);
  }
}
