/** The terminator's work in PostgreSQL: lists the sessions of an address and ends them, one guarded statement each. */
import {
  type PassPlan,
  type PassResult,
  planPass,
  type SqlSession,
  sessionKey,
} from '../core/terminator/pass.js';
import {
  END_SESSION_SQL,
  LIST_SESSIONS_SQL,
  MOMENT_SQL,
  NOT_PERMITTED_SQLSTATE,
  type RawSession,
  readSession,
  spellings,
} from '../core/terminator/statements.js';
import { type PgSession, SqlError } from '../io/pg-session.js';

export interface PassOptions {
  readonly addresses: readonly string[];
  /** Backends of the watchdog itself. */
  readonly ownPids: readonly number[];
  readonly excludeReplication: boolean;
  /** Server time; sessions that began later are left alone. */
  readonly notAfter?: string | undefined;
  /** Only these sessions (sessionKey). */
  readonly only?: ReadonlySet<string> | undefined;
  /** Only sessions of which this is true. */
  readonly own?: ((session: SqlSession) => boolean) | undefined;
}

/** A pass broke off; `ended` were ended before. */
export class PassBroken extends Error {
  readonly ended: readonly SqlSession[];

  constructor(ended: readonly SqlSession[], cause: Error) {
    super(cause.message, { cause });
    this.name = 'PassBroken';
    this.ended = ended;
  }
}

/** The sessions of addresses, sorted by what would happen to them. Rejects with SqlError or SqlUnreachable. */
export async function planFor(session: PgSession, options: PassOptions): Promise<PassPlan> {
  const rows = await session.query<RawSession>(LIST_SESSIONS_SQL, [
    options.addresses.flatMap(spellings),
    options.ownPids,
    options.notAfter ?? null,
  ]);
  const { only, own } = options;
  const found = rows
    .map(readSession)
    .filter((one) => (only === undefined || only.has(sessionKey(one))) && (own === undefined || own(one)));
  return planPass(found, options);
}

/** One pass over the sessions of addresses. Rejects with PassBroken. */
export async function runPass(session: PgSession, options: PassOptions): Promise<PassResult> {
  const ended: SqlSession[] = [];
  try {
    const [moment] = await session.query<{ server_time: string; prepared: number }>(MOMENT_SQL);
    const plan = await planFor(session, options);
    const forbidden: SqlSession[] = [];
    for (const victim of plan.end) {
      const fate = await endOne(session, victim);
      if (fate === 'ended') ended.push(victim);
      if (fate === 'forbidden') forbidden.push(victim);
    }
    return {
      serverTime: moment?.server_time ?? '',
      ended,
      deferred: plan.deferred,
      replication: plan.replication,
      forbidden,
      prepared: moment?.prepared ?? 0,
    };
  } catch (error) {
    throw new PassBroken(ended, error as Error);
  }
}

async function endOne(
  session: PgSession,
  { pid, backendStart, clientAddr }: SqlSession,
): Promise<'ended' | 'gone' | 'forbidden'> {
  try {
    const [row] = await session.query<{ ended: boolean }>(END_SESSION_SQL, [pid, backendStart, clientAddr]);
    return row?.ended === true ? 'ended' : 'gone';
  } catch (error) {
    if (error instanceof SqlError && error.sqlState === NOT_PERMITTED_SQLSTATE) return 'forbidden';
    throw error;
  }
}
