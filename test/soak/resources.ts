/** Memory and descriptors of processes over time, and whether they grow. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

export interface Sample {
  readonly atMs: number;
  readonly residentKb: number;
  readonly descriptors: number;
}

/** What lived at a moment, in the heap and outside of it, after a collection. */
export interface Living {
  readonly atMs: number;
  readonly kb: number;
}

/** What is known of a process. */
export interface Course {
  readonly samples: readonly Sample[];
  readonly living: readonly Living[];
}

/** The process as it is now; throws when it is gone. */
export function sampleOf(pid: number, atMs: number): Sample {
  return {
    atMs,
    residentKb: Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1]),
    descriptors: readdirSync(`/proc/${pid}/fd`).length,
  };
}

/** What its descriptors are; of connections over TCP the ports, local and remote, and the state as the kernel writes it (1: established). */
export function descriptorsOf(pid: number): readonly string[] {
  const connections = new Map(
    readFileSync(`/proc/${pid}/net/tcp`, 'latin1')
      .split('\n')
      .slice(1, -1)
      .map((line) => line.trim().split(/\s+/))
      .map(([, local, remote, state, , , , , , inode]) => {
        const [from, to] = [local, remote].map((address) => Number.parseInt(address!.split(':')[1]!, 16));
        return [`socket:[${inode}]`, `${from}-${to} state ${Number.parseInt(state!, 16)}`];
      }),
  );
  return readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
    try {
      const what = readlinkSync(`/proc/${pid}/fd/${fd}`);
      return [connections.get(what) ?? what.replace(/\d+/, '')];
    } catch {
      return [];
    }
  });
}

export type Point = readonly [atMs: number, value: number];

const WINDOWS = 8;

/**
 * The least of each of eight stretches of equal length. Memory goes up until something is collected, descriptors while
 * sessions are there: what has leaked is below the least of them, and nothing else raises it.
 */
export function floorOf(points: readonly Point[]): readonly Point[] {
  const [begin, end] = [points[0]?.[0] ?? 0, points.at(-1)?.[0] ?? 0];
  const least = new Map<number, Point>();
  for (const point of points) {
    const window = Math.min(WINDOWS - 1, Math.floor(((point[0] - begin) / (end - begin || 1)) * WINDOWS));
    const known = least.get(window);
    if (known === undefined || point[1] < known[1]) least.set(window, point);
  }
  return [...least.values()];
}

/** The median of the slopes between any two points, a minute (Theil and Sen): one odd point in four does not move it far. */
export function slopePerMinute(points: readonly Point[]): number {
  const slopes = points
    .flatMap(([at, value], from) =>
      points.slice(from + 1).map(([later, risen]) => ((risen - value) / (later - at)) * 60_000),
    )
    .sort((a, b) => a - b);
  const middle = Math.floor(slopes.length / 2);
  return slopes.length % 2 === 1 ? slopes[middle]! : ((slopes[middle - 1] ?? 0) + (slopes[middle] ?? 0)) / 2;
}

/** How a process has grown. The first third of the time is left out: a heap has to find its size. */
export interface Growth {
  readonly residentKbPerMinute: number;
  readonly livingKbPerMinute: number;
  readonly descriptorsPerMinute: number;
  readonly minutes: number;
  /** The least of the first and of the last stretch that was looked at. */
  readonly residentKb: readonly [first: number, last: number];
  readonly livingKb: readonly [first: number, last: number];
  readonly descriptors: readonly [first: number, last: number];
}

const settled = <T>(all: readonly T[]): readonly T[] => all.slice(Math.floor(all.length / 3));
const ends = (points: readonly Point[]): readonly [number, number] => [
  points[0]?.[1] ?? 0,
  points.at(-1)?.[1] ?? 0,
];

export function growthOf(course: Course): Growth {
  const samples = settled(course.samples);
  const resident = floorOf(samples.map(({ atMs, residentKb }) => [atMs, residentKb]));
  const descriptors = floorOf(samples.map(({ atMs, descriptors: count }) => [atMs, count]));
  const living = floorOf(settled(course.living).map(({ atMs, kb }) => [atMs, kb]));
  return {
    residentKbPerMinute: slopePerMinute(resident),
    livingKbPerMinute: slopePerMinute(living),
    descriptorsPerMinute: slopePerMinute(descriptors),
    minutes: ((samples.at(-1)?.atMs ?? 0) - (samples[0]?.atMs ?? 0)) / 60_000,
    residentKb: ends(resident),
    livingKb: ends(living),
    descriptors: ends(descriptors),
  };
}

/** What lives may become so much more over the time looked at: code is compiled when it is first used, and again when it is hot. */
export const MOST_LIVING_KB = 2048;
/** And what is resident: what leaks outside of V8's sight is in this figure alone. In half an hour there are collections enough. */
export const MOST_RESIDENT_KB = 6144;
/** In less than half an hour the room of the heap still finds its size. */
export const MOST_RESIDENT_AT_FIRST_KB = 8192;
const LONG_MINUTES = 30;
/** A descriptor in ten minutes would be a leak. Sessions come and go, so a short look sees noise of some. */
export const MOST_DESCRIPTORS = 4;

/** What is wrong with that growth; undefined: nothing. */
export function complaintOf(growth: Growth): string | undefined {
  const { residentKbPerMinute, livingKbPerMinute, descriptorsPerMinute, minutes } = growth;
  if (livingKbPerMinute * minutes > MOST_LIVING_KB)
    return `what lives grows by ${livingKbPerMinute.toFixed(0)} kB a minute`;
  const most = minutes < LONG_MINUTES ? MOST_RESIDENT_AT_FIRST_KB : MOST_RESIDENT_KB;
  if (residentKbPerMinute * minutes > most)
    return `memory grows by ${residentKbPerMinute.toFixed(0)} kB a minute`;
  if (descriptorsPerMinute * minutes > MOST_DESCRIPTORS)
    return `descriptors grow by ${descriptorsPerMinute.toFixed(2)} a minute`;
  return undefined;
}
