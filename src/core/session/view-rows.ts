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

/** Rows of one part of the file: what is rendered in one go. */
const ROWS_OF_PART = 200;

/** Text from a peer as one ASCII field: anything else becomes `?`. */
function field(text: string): string {
  const cut = text.length > LONGEST_FIELD ? text.slice(0, LONGEST_FIELD) : text;
  return /^[\x20-\x7e]*$/.test(cut) ? cut : cut.replace(/[^\x20-\x7e]/gu, '?');
}

/**
 * The text of the file, in parts. With ten thousand links rendering it takes as long as a beat may be late, so whoever writes it
 * lets packets flow between two parts. `bootId`: this start of the watchdog; `wallMs`: now.
 */
export function* renderViewFile(
  rows: Iterable<ViewRow>,
  bootId: string,
  wallMs: number,
): Generator<string, void, void> {
  let part = `${VIEW_FILE}\t${LAYOUT}\t${field(bootId)}\t${Math.round(wallMs)}\n`;
  let size = part.length;
  let count = 0;
  for (const row of rows) {
    const line = renderRow(row);
    size += line.length;
    if (size > LONGEST_VIEW_FILE) break;
    part += line;
    count += 1;
    if (count % ROWS_OF_PART !== 0) continue;
    yield part;
    part = '';
  }
  if (part !== '') yield part;
}

function renderRow(row: ViewRow): string {
  // inet takes no scope.
  const address = row.address.includes('%') ? row.address.replace(/%.*$/, '') : row.address;
  const rtt = row.rttMs === undefined ? '' : row.rttMs.toFixed(3);
  const times = `${Math.round(row.connectedAt)}\t${Math.round(row.lastPacketAt)}\t${rtt}`;
  const peer = `${field(row.software)}\t${row.tls}\t${row.authenticated}\t${field(row.label)}`;
  return `${address}\t${row.port}\t${row.intervalMs}\t${row.timeoutMs}\t${times}\t${row.packetsReceived}\t${peer}\n`;
}
