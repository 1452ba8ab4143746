/** What is measured of an application in a scene. */
import type { Server } from '../test/support/postgres.js';
import type { Reader } from './reader.js';
import type { Writer } from './writer.js';

/** The moments of a scene. */
export interface Span {
  /** Both applications have written for a while by the time of the fault. */
  readonly from: number;
  readonly fault: number;
  readonly to: number;
}

/** Times count from the fault, in milliseconds; undefined: it did not happen. */
export interface Figures {
  readonly toldMs: number | undefined;
  readonly offeredMs: number | undefined;
  readonly firstWriteMs: number | undefined;
  readonly longestGapMs: number;
  readonly acknowledged: number;
  /** Acknowledged since the demo began, and not on the new primary. */
  readonly lost: number;
  /** Sent and never answered, and how many of these are on the new primary. */
  readonly unknown: number;
  readonly arrived: number;
}

/** Takes the figures of a writer; `primary` is the server that took over. */
export async function measure(
  writer: Writer,
  span: Span,
  primary: Server,
  offeredAt: number | undefined,
): Promise<Figures> {
  const { from, fault, to } = span;
  const sinceFault = (at: number | undefined) => (at === undefined ? undefined : at - fault);
  const rows = await primary.sql<{ id: number }>('select id from demo_row where writer = $1', [writer.name]);
  const there = new Set(rows.map(({ id }) => id));
  const unknown = writer.unknown.between(from, to);
  const acknowledged = writer.acknowledged.between(from, to);
  return {
    toldMs: sinceFault(writer.losses.entries.find(({ at }) => at >= fault)?.at),
    offeredMs: sinceFault(offeredAt),
    firstWriteMs: sinceFault(
      acknowledged.find(({ at, server }) => at > fault && server === primary.name)?.at,
    ),
    longestGapMs: longestGap([...acknowledged.map(({ at }) => at), to]),
    acknowledged: acknowledged.length,
    lost: writer.acknowledged.between(0, to).filter(({ id }) => !there.has(id)).length,
    unknown: unknown.length,
    arrived: unknown.filter(({ id }) => there.has(id)).length,
  };
}

/** What the reader made of a scene. */
export interface ReaderFigures {
  readonly reads: number;
  readonly failures: number;
  readonly longestGapMs: number;
  /** Servers it has read from, in their order. */
  readonly servers: readonly string[];
}

export function measureReader(reader: Reader, { from, to }: Span): ReaderFigures {
  const reads = reader.reads.between(from, to);
  return {
    reads: reads.length,
    failures: reader.failures.between(from, to).length,
    longestGapMs: longestGap([...reads.map(({ at }) => at), to]),
    servers: reads.map(({ server }) => server).filter((server, index, all) => server !== all[index - 1]),
  };
}

function longestGap(moments: readonly number[]): number {
  return moments.slice(1).reduce((longest, at, index) => Math.max(longest, at - moments[index]!), 0);
}
