-- complain if the script is sourced in psql, rather than by CREATE EXTENSION
\echo Use "CREATE EXTENSION watchdog" to load this file. \quit

-- The watchdog keeps this file while it runs: a header, then one link a line, fields separated by tabs, pure ASCII
-- (docs/extension.md has the layout). It is read by the owner of the extension, so that members of pg_monitor see the
-- links without a right to read files.
CREATE FUNCTION pgx_stat_watchdog_links(
    OUT conmgr_addr inet,
    OUT conmgr_port integer,
    OUT heartbeat_interval integer,
    OUT heartbeat_timeout integer,
    OUT heartbeat_interval_ms bigint,
    OUT heartbeat_timeout_ms bigint,
    OUT connected_since timestamptz,
    OUT last_packet_age_ms bigint,
    OUT rtt_ms numeric,
    OUT packets_received bigint,
    OUT client_version text,
    OUT tls boolean,
    OUT authenticated boolean,
    OUT name text
) RETURNS SETOF record
LANGUAGE sql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
    WITH file AS (
        SELECT string_to_array(pg_read_file('pg_stat_tmp/pgx_stat_watchdog', 0, 10485760, true), E'\n') AS lines
    ), header AS (
        SELECT string_to_array(lines[1], E'\t') AS fields FROM file
    ), fresh AS (
        -- A file that nobody renews is that of a watchdog that is gone.
        SELECT 1 FROM header
        WHERE fields[1] = 'pgx_stat_watchdog' AND fields[2] = '1'
          AND abs(extract(epoch FROM clock_timestamp()) * 1000 - fields[4]::numeric) < 5000
    ), links AS (
        SELECT string_to_array(line, E'\t') AS f
        FROM file, unnest(lines[2:]) AS line
        WHERE EXISTS (SELECT 1 FROM fresh)
    )
    SELECT
        f[1]::inet,
        f[2]::integer,
        ceil(f[3]::numeric / 1000)::integer,
        ceil(f[4]::numeric / 1000)::integer,
        f[3]::bigint,
        f[4]::bigint,
        to_timestamp(f[5]::double precision / 1000),
        greatest(0, extract(epoch FROM clock_timestamp()) * 1000 - f[6]::numeric)::bigint,
        nullif(f[7], '')::numeric,
        f[8]::bigint,
        f[9],
        f[10]::boolean,
        f[11]::boolean,
        f[12]
    FROM links
    -- The last line of a file that was cut at the limit is not whole.
    WHERE cardinality(f) = 12
$$;

CREATE VIEW pgx_stat_watchdog AS SELECT * FROM pgx_stat_watchdog_links();

COMMENT ON FUNCTION pgx_stat_watchdog_links() IS 'heartbeat links of the watchdog of this instance';
COMMENT ON VIEW pgx_stat_watchdog IS 'heartbeat links of the watchdog of this instance';

REVOKE ALL ON FUNCTION pgx_stat_watchdog_links() FROM PUBLIC;
REVOKE ALL ON pgx_stat_watchdog FROM PUBLIC;
GRANT EXECUTE ON FUNCTION pgx_stat_watchdog_links() TO pg_monitor;
GRANT SELECT ON pgx_stat_watchdog TO pg_monitor;
