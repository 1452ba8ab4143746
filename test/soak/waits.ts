/** The waits of applications: how long each was, what was seen of it in the server, and whether it was too long. */
import type { Server } from '../support/postgres.js';
import type { Patience } from './patience.js';

/** What an application waits for at this moment. */
export interface Waiting {
  readonly since: number;
  readonly what: 'connect' | 'query';
  /** Wait events under which its session was seen in the server (pg_stat_activity); "none" for a session that worked or had nothing to do. */
  readonly seen: Set<string>;
}

/** A wait that was longer than `LONG_MS`. */
export interface LongWait {
  readonly who: string;
  readonly what: Waiting['what'];
  /** From its beginning to its end. */
  readonly ms: number;
  /** Less what was withheld. */
  readonly inVainMs: number;
  /** For how long of that others had the processors. */
  readonly starvedMs: number;
  readonly seen: readonly string[];
}

/** Waits that are longer are looked at in the server, and told. */
export const LONG_MS = 2000;
/** The commit is there, and waits for the word of the synchronous standby. */
export const FOR_STANDBY = 'SyncRep';

/** Who judges the waits of the applications of one host. */
export interface Judge {
  readonly patience: Patience;
  /** How long what stands between them and their answer had to wait for a processor since then. */
  readonly starvedMs: (since: number) => number;
}

/** A wait as it stands; `over`: it has ended. The absence of the standby excuses only whom a look has found waiting for it. */
export function judged(
  judge: Judge,
  who: string,
  { since, what, seen }: Waiting,
  now: number,
  over: boolean,
): LongWait {
  const excused = seen.has(FOR_STANDBY) || !over;
  const inVainMs = judge.patience.waited(
    since,
    now,
    excused ? ['standby away', 'conmgr frozen'] : ['conmgr frozen'],
  );
  const starvedMs = inVainMs > judge.patience.boundMs ? judge.starvedMs(since) : 0;
  const round = Math.round;
  return {
    who,
    what,
    ms: round(now - since),
    inVainMs: round(inVainMs),
    starvedMs: round(starvedMs),
    seen: [...seen],
  };
}

export const isTooLong = ({ inVainMs, starvedMs }: LongWait, boundMs: number): boolean =>
  inVainMs - starvedMs > boundMs;

/** Notes for those who wait long what their sessions wait for in the server. One that does not answer within a second says nothing. */
export async function lookInServer(
  server: Server,
  all: readonly { readonly name: string; readonly waiting: Waiting | undefined }[],
  now: number,
): Promise<void> {
  const long = all.flatMap(({ name, waiting }) =>
    waiting?.what === 'query' && now - waiting.since > LONG_MS ? [{ name, waiting }] : [],
  );
  if (long.length === 0) return;
  const client = await server.connect({
    host: server.socketDir,
    connectionTimeoutMillis: 1000,
    query_timeout: 1000,
  });
  try {
    const { rows } = await client.query<{ name: string; event: string }>(
      "select application_name as name, coalesce(wait_event, 'none') as event from pg_stat_activity where application_name = any($1)",
      [long.map(({ name }) => name)],
    );
    for (const { name, event } of rows) long.find((one) => one.name === name)?.waiting.seen.add(event);
  } finally {
    client.end().catch(() => {});
  }
}
