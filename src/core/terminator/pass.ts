/**
 * One pass of the terminator over the sessions of an address: who is ended, who is left alone, who is to wait.
 */

/** One row of pg_stat_activity, as far as the terminator needs it. */
export interface SqlSession {
  readonly pid: number;
  /** As PostgreSQL writes it, so that no digit is lost on the way back. */
  readonly backendStart: string;
  readonly clientAddr: string;
  readonly clientPort: number;
  /** undefined while it is authenticating, or where it may not be seen. */
  readonly user: string | undefined;
  readonly database: string | undefined;
  readonly application: string;
  /** `client backend`, `walsender`, … */
  readonly backendType: string;
  readonly waitEvent: string | undefined;
  readonly superuser: boolean;
  /** Since its state last changed. */
  readonly stateAgeMs: number;
}

/** What became of one session in a pass. */
export type Fate = 'ended' | 'gone' | 'forbidden';

export interface PassPlan {
  /** To be ended, one guarded statement each. */
  readonly end: readonly SqlSession[];
  /**
   * Waiting for synchronous replication: ending one makes its commit visible although it "might not have been
   * replicated to the standby" (PostgreSQL src/backend/replication/syncrep.c, SyncRepWaitForLSN).
   */
  readonly deferred: readonly SqlSession[];
  /** Replication connections that are spared. */
  readonly replication: readonly SqlSession[];
}

/** The result of a pass that was carried out. */
export interface PassResult {
  /** The server's clock at the start of the pass, as PostgreSQL writes it. */
  readonly serverTime: string;
  readonly ended: readonly SqlSession[];
  readonly deferred: readonly SqlSession[];
  readonly replication: readonly SqlSession[];
  /** The watchdog's role may not end them. */
  readonly forbidden: readonly SqlSession[];
  /** Prepared transactions in the instance: they survive every session. */
  readonly prepared: number;
}

/** wait_event of a backend whose commit waits for a synchronous standby. */
export const SYNC_REP = 'SyncRep';

/** Sorts the sessions of an address. */
export function planPass(
  sessions: readonly SqlSession[],
  rules: { readonly excludeReplication: boolean },
): PassPlan {
  const spared = (session: SqlSession): boolean =>
    rules.excludeReplication && session.backendType === 'walsender';
  const waits = (session: SqlSession): boolean => session.waitEvent === SYNC_REP;
  return {
    end: sessions.filter((session) => !spared(session) && !waits(session)),
    deferred: sessions.filter((session) => !spared(session) && waits(session)),
    replication: sessions.filter(spared),
  };
}

/** A session and nothing else: pids are used again. */
export function sessionKey({ pid, backendStart }: SqlSession): string {
  return `${pid} ${backendStart}`;
}

/** More groups than this are summed up. */
const MOST_GROUPS = 8;

/** Whose sessions these are: `3 x psql (user alice, database shop), 1 x java (…)`. '' for none. */
export function describeSessions(sessions: readonly SqlSession[]): string {
  const groups = new Map<string, number>();
  for (const { application, user, database, backendType, superuser } of sessions) {
    const program = application === '' ? (backendType === '' ? 'unnamed' : backendType) : application;
    const role = user === undefined ? 'still authenticating' : `${superuser ? 'superuser' : 'user'} ${user}`;
    const name = `${program} (${role}${database === undefined ? '' : `, database ${database}`})`;
    groups.set(name, (groups.get(name) ?? 0) + 1);
  }
  const sorted = [...groups].sort(([, a], [, b]) => b - a);
  const rest = sorted.slice(MOST_GROUPS).reduce((sum, [, count]) => sum + count, 0);
  const texts = sorted.slice(0, MOST_GROUPS).map(([name, count]) => `${count} x ${name}`);
  return [...texts, ...(rest === 0 ? [] : [`${rest} others`])].join(', ');
}

/** What a loss of an address would end, for the line at link-up and for the dry run. */
export interface WouldEnd {
  readonly sessions: number;
  readonly superusers: number;
  readonly replication: number;
  readonly programs: string;
}

export function wouldEnd(plan: PassPlan): WouldEnd {
  const hit = [...plan.end, ...plan.deferred];
  return {
    sessions: hit.length,
    superusers: hit.filter((session) => session.superuser).length,
    replication: plan.replication.length,
    programs: describeSessions(hit),
  };
}
