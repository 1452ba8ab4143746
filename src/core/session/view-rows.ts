/**
 * The file behind the view pgx_stat_watchdog: a header, then one link a line, fields separated by tabs.
 *
 * Pure ASCII, so that a database of any encoding reads it; the SQL side is extension/watchdog--1.0.sql.
 */

/** Name of the file in pg_stat_tmp of the data directory. */
export const VIEW_FILE = 'pgx_stat_watchdog';
/** Layout of the lines; the SQL side shows nothing of another one. */
const LAYOUT = '1';
/** The SQL side reads no more; what does not fit is left out. */
export const LONGEST_VIEW_FILE = 10_485_760;
/** Longest client_version and name. */
const LONGEST_FIELD = 200;

/** One row of the view. Times are wall clock ms. */
export interface ViewRow {
  readonly address: string;
  readonly port: number;
  readonly intervalMs: number;
  readonly timeoutMs: number;
  readonly connectedAt: number;
  readonly lastPacketAt: number;
  /** undefined = not measured yet. */
  readonly rttMs: number | undefined;
  readonly packetsReceived: number;
  readonly software: string;
  readonly tls: boolean;
  readonly authenticated: boolean;
  readonly label: string;
}

/** Text from a peer as one ASCII field: anything else becomes `?`. */
function field(text: string): string {
  return text.slice(0, LONGEST_FIELD).replace(/[^\x20-\x7e]/gu, '?');
}

/** The text of the file. `bootId`: this start of the watchdog; `wallMs`: now. */
export function renderViewFile(rows: readonly ViewRow[], bootId: string, wallMs: number): string {
  const lines = [[VIEW_FILE, LAYOUT, field(bootId), Math.round(wallMs)].join('\t')];
  let size = (lines[0]?.length ?? 0) + 1;
  for (const row of rows) {
    const line = [
      // inet takes no scope.
      row.address.replace(/%.*$/, ''),
      row.port,
      row.intervalMs,
      row.timeoutMs,
      Math.round(row.connectedAt),
      Math.round(row.lastPacketAt),
      row.rttMs === undefined ? '' : row.rttMs.toFixed(3),
      row.packetsReceived,
      field(row.software),
      row.tls,
      row.authenticated,
      field(row.label),
    ].join('\t');
    size += line.length + 1;
    if (size > LONGEST_VIEW_FILE) break;
    lines.push(line);
  }
  return `${lines.join('\n')}\n`;
}
