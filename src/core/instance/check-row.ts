/** What one look into a running instance yields: the statement and the meaning of its row. */

/** The attributes as PostgreSQL tells them at one moment. */
export interface CheckRow {
  readonly inRecovery: boolean;
  /** 0 = unknown. */
  readonly timeline: number;
  readonly position: bigint;
  readonly receivedPosition: bigint;
  /** default_transaction_read_only of the instance. */
  readonly readOnlyByDefault: boolean;
  readonly serverVersionNum: number;
  readonly systemIdentifier: bigint;
  /** All slots for ordinary clients are taken. */
  readonly full: boolean;
}

/** SQLSTATE of a function that does not work while, or after, the instance is in recovery: ask again. */
export const ROLE_CHANGED_SQLSTATE = '55000';

/**
 * Role, timeline and positions in one statement. The timeline of a primary comes from the name of its present WAL file:
 * pg_control_checkpoint() would still tell the old one until the first checkpoint after a promotion.
 *
 * default_transaction_read_only is read as the value that SET would be undone to: the session itself has set it off.
 */
export const CHECK_SQL = `
SELECT r.in_recovery,
       CASE WHEN NOT r.in_recovery THEN pg_walfile_name(pg_current_wal_lsn()) END AS wal_file,
       CASE WHEN r.in_recovery THEN (SELECT received_tli FROM pg_stat_wal_receiver) END AS received_tli,
       CASE WHEN NOT r.in_recovery THEN pg_current_wal_lsn() - '0/0' END::text AS wal_position,
       CASE WHEN r.in_recovery THEN pg_last_wal_replay_lsn() - '0/0' END::text AS replay_position,
       CASE WHEN r.in_recovery THEN pg_last_wal_receive_lsn() - '0/0' END::text AS receive_position,
       current_setting('server_version_num')::int AS version,
       (SELECT system_identifier::text FROM pg_control_system()) AS system_identifier,
       (SELECT reset_val FROM pg_settings WHERE name = 'default_transaction_read_only') AS read_only,
       (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend')
         >= (SELECT sum(CASE WHEN name = 'max_connections' THEN setting::int ELSE - setting::int END)
               FROM pg_settings
              WHERE name IN ('max_connections', 'superuser_reserved_connections', 'reserved_connections')) AS is_full
  FROM (SELECT pg_is_in_recovery() AS in_recovery OFFSET 0) AS r`;

/** The row of CHECK_SQL as it comes from the driver. */
export interface RawCheckRow {
  readonly in_recovery: boolean;
  readonly wal_file: string | null;
  readonly received_tli: number | null;
  readonly wal_position: string | null;
  readonly replay_position: string | null;
  readonly receive_position: string | null;
  readonly version: number;
  readonly system_identifier: string | null;
  readonly read_only: string | null;
  readonly is_full: boolean | null;
}

/** The row in our terms. `newestHistory`: timeline of the newest *.history file in pg_wal, 1 without one. */
export function readCheckRow(raw: RawCheckRow, newestHistory: number): CheckRow {
  const position = raw.in_recovery ? raw.replay_position : raw.wal_position;
  return {
    inRecovery: raw.in_recovery,
    timeline: raw.in_recovery
      ? (raw.received_tli ?? newestHistory)
      : Number.parseInt((raw.wal_file ?? '0').slice(0, 8), 16),
    position: BigInt(position ?? '0'),
    receivedPosition: BigInt(raw.receive_position ?? '0'),
    readOnlyByDefault: raw.read_only === 'on',
    serverVersionNum: raw.version,
    systemIdentifier: BigInt(raw.system_identifier ?? '0'),
    full: raw.is_full === true,
  };
}

/** Timeline of the newest history file among the names of pg_wal, 1 where there is none. */
export function newestTimeline(names: readonly string[]): number {
  return names.reduce((newest, name) => {
    const match = /^([0-9A-F]{8})\.history$/.exec(name);
    return match === null ? newest : Math.max(newest, Number.parseInt(match[1] ?? '0', 16));
  }, 1);
}
