/** What a program that ended while it was starting said about it, taken out of its log. */

/** Date, time, zone and pid in front of a line (PostgreSQL's log_line_prefix `%m [%p] `). */
const PREFIX = /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} \w+ \[\d+\] /;
/** Belongs to the message above it. */
const CONTINUATION = /^(?:DETAIL: |HINT: |\t|$)/;
const REPORT = /^(?:DEBUG|INFO|NOTICE|LOG): /;
/** Longer logs are cut in the middle of nowhere anyway. */
const MOST_LINES = 200;

/**
 * The complaints among the lines, each with its DETAIL and HINT, without date and pid. Lines that no log of ours has
 * (a crash of the runtime) count as complaints.
 */
export function complaintsIn(log: string): readonly string[] {
  const complaints: string[] = [];
  let keep = true;
  for (const line of log.split('\n')) {
    const text = line.replace(PREFIX, '');
    if (REPORT.test(text)) keep = false;
    else if (!CONTINUATION.test(text)) keep = true;
    if (keep && text !== '') complaints.push(text);
  }
  return complaints.slice(0, MOST_LINES);
}
