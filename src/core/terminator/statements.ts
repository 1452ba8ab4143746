/** What the terminator says to PostgreSQL, and how its rows are read. */
import type { SqlSession } from './pass.js';

/**
 * Sessions of some addresses: $1 addresses, $2 pids to leave out, $3 begun by then (null: no matter when). A role
 * without pg_read_all_stats sees no client_addr of others, and so no rows.
 */
export const LIST_SESSIONS_SQL = `
SELECT a.pid, a.backend_start::text AS backend_start, host(a.client_addr) AS client_addr,
       coalesce(a.client_port, 0) AS client_port,
       a.usename::text AS role, a.datname::text AS database, coalesce(a.application_name, '') AS application,
       coalesce(a.backend_type, '') AS backend_type, a.wait_event, coalesce(r.rolsuper, false) AS superuser,
       (extract(epoch FROM clock_timestamp() - coalesce(a.state_change, a.backend_start)) * 1000)::float8
         AS state_age_ms
  FROM pg_stat_activity AS a LEFT JOIN pg_roles AS r ON r.oid = a.usesysid
 WHERE a.client_addr = ANY ($1::inet[])
   AND a.pid <> ALL ($2::int[])
   AND ($3::timestamptz IS NULL OR a.backend_start <= $3::timestamptz)
 ORDER BY a.backend_start, a.pid`;

export interface RawSession {
  readonly pid: number;
  readonly backend_start: string;
  readonly client_addr: string;
  readonly client_port: number;
  readonly role: string | null;
  readonly database: string | null;
  readonly application: string;
  readonly backend_type: string;
  readonly wait_event: string | null;
  readonly superuser: boolean;
  readonly state_age_ms: number;
}

export function readSession(raw: RawSession): SqlSession {
  return {
    pid: raw.pid,
    backendStart: raw.backend_start,
    clientAddr: raw.client_addr,
    clientPort: raw.client_port,
    user: raw.role ?? undefined,
    database: raw.database ?? undefined,
    application: raw.application,
    backendType: raw.backend_type,
    waitEvent: raw.wait_event ?? undefined,
    superuser: raw.superuser,
    stateAgeMs: raw.state_age_ms,
  };
}

/**
 * Ends one session: $1 pid, $2 backend_start, $3 client_addr. The guards see the session as it is now, so a pid that
 * is used again is not hit, nor a session that has begun to wait for synchronous replication.
 */
export const END_SESSION_SQL = `
SELECT pg_terminate_backend(a.pid) AS ended
  FROM pg_stat_activity AS a
 WHERE a.pid = $1::int AND a.backend_start = $2::timestamptz AND a.client_addr = $3::inet
   AND a.wait_event IS DISTINCT FROM 'SyncRep'`;

/** The server's clock, and how many prepared transactions wait. */
export const MOMENT_SQL = `
SELECT clock_timestamp()::text AS server_time, (SELECT count(*)::int FROM pg_prepared_xacts) AS prepared`;

/** SQLSTATE of a session that the role may not end. */
export const NOT_PERMITTED_SQLSTATE = '42501';

/** Other sessions of clients; a smart shutdown waits for them. $1 own pids. */
export const OTHER_CLIENTS_SQL = `
SELECT count(*)::int AS others
  FROM pg_stat_activity
 WHERE coalesce(backend_type, 'client backend') = 'client backend' AND datid IS NOT NULL
   AND pid <> ALL ($1::int[])`;

/**
 * What the watchdog's role may do. `override`: ALTER ROLE or ALTER DATABASE hides the instance's own
 * default_transaction_read_only from its sessions.
 */
export const RIGHTS_SQL = `
SELECT current_user::text AS role, r.rolsuper AS superuser,
       pg_has_role(current_user, 'pg_signal_backend', 'USAGE') AS may_signal,
       pg_has_role(current_user, 'pg_read_all_stats', 'USAGE') AS may_see,
       coalesce((SELECT pg_has_role(current_user, o.oid, 'USAGE')
                   FROM pg_roles AS o WHERE o.rolname = 'pg_use_reserved_connections'), false) AS reserved,
       EXISTS (SELECT 1 FROM pg_db_role_setting AS s, unnest(s.setconfig) AS c
                WHERE s.setrole IN (0, r.oid)
                  AND s.setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
                  AND c LIKE 'default_transaction_read_only=%') AS override
  FROM pg_roles AS r WHERE r.rolname = current_user`;

export interface Rights {
  readonly role: string;
  readonly superuser: boolean;
  readonly may_signal: boolean;
  readonly may_see: boolean;
  readonly reserved: boolean;
  readonly override: boolean;
}

/** An address as PostgreSQL may show it: an IPv4 client of an IPv6 listener could appear as mapped. */
export function spellings(address: string): readonly string[] {
  const bare = address.replace(/%.*$/, '');
  return /^[\d.]+$/.test(bare) ? [bare, `::ffff:${bare}`] : [bare];
}
