/** Memory and descriptors of processes over time, and whether they grow. */
import { readdirSync, readFileSync } from 'node:fs';

export interface Sample {
  readonly atMs: number;
  readonly residentKb: number;
  readonly descriptors: number;
}

/** The process as it is now; throws when it is gone. */
export function sampleOf(pid: number, atMs: number): Sample {
  return {
    atMs,
    residentKb: Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1]),
    descriptors: readdirSync(`/proc/${pid}/fd`).length,
  };
}

/** The slope of the straight line that lies closest to the points (least squares), a minute. */
export function slopePerMinute(points: readonly (readonly [atMs: number, value: number])[]): number {
  const count = points.length;
  if (count < 2) return 0;
  const meanAt = points.reduce((sum, [at]) => sum + at, 0) / count;
  const mean = points.reduce((sum, [, value]) => sum + value, 0) / count;
  let above = 0;
  let below = 0;
  for (const [at, value] of points) {
    above += (at - meanAt) * (value - mean);
    below += (at - meanAt) ** 2;
  }
  return below === 0 ? 0 : (above / below) * 60_000;
}

/** How a process has grown. The first third of the time is left out: a heap has to find its size. */
export interface Growth {
  readonly residentKbPerMinute: number;
  readonly descriptorsPerMinute: number;
  readonly minutes: number;
  readonly first: Sample;
  readonly last: Sample;
}

export function growthOf(samples: readonly Sample[]): Growth {
  const settled = samples.slice(Math.floor(samples.length / 3));
  const [first, last] = [settled[0]!, settled.at(-1)!];
  return {
    residentKbPerMinute: slopePerMinute(settled.map(({ atMs, residentKb }) => [atMs, residentKb])),
    descriptorsPerMinute: slopePerMinute(settled.map(({ atMs, descriptors }) => [atMs, descriptors])),
    minutes: (last.atMs - first.atMs) / 60_000,
    first,
    last,
  };
}

/** What the slope may add up to over the time looked at: 8 MB, for a heap breathes by some. */
export const MOST_GROWTH_KB = 8192;
/** A descriptor a quarter of an hour would be a leak. Sessions come and go, so a short look sees noise of some. */
export const MOST_DESCRIPTORS = 4;

/** What is wrong with that growth; undefined: nothing. */
export function complaintOf({
  residentKbPerMinute,
  descriptorsPerMinute,
  minutes,
}: Growth): string | undefined {
  if (residentKbPerMinute * minutes > MOST_GROWTH_KB)
    return `memory grows by ${residentKbPerMinute.toFixed(0)} kB a minute`;
  if (descriptorsPerMinute * minutes > MOST_DESCRIPTORS)
    return `descriptors grow by ${descriptorsPerMinute.toFixed(2)} a minute`;
  return undefined;
}
