/**
 * Messages as RFC 3164 datagrams for /dev/log, cut into lines the way PostgreSQL does.
 */
import { Buffer } from 'node:buffer';
import type { SyslogFacility } from '../config/types.js';
import { civilTime, messageLines, SYSLOG_SEVERITY } from './format.js';
import type { RenderedMessage } from './message.js';

/** Facility codes of RFC 3164, 4.1.1. */
const FACILITY_CODE: Readonly<Record<SyslogFacility, number>> = {
  LOCAL0: 16,
  LOCAL1: 17,
  LOCAL2: 18,
  LOCAL3: 19,
  LOCAL4: 20,
  LOCAL5: 21,
  LOCAL6: 22,
  LOCAL7: 23,
};

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'] as const;

/** Longest piece of text in one datagram, in octets (PG_SYSLOG_LIMIT in PostgreSQL's elog.c: RFC 3164 allows
 *  1024 with the header, and syslog daemons cut or drop the rest). */
export const SYSLOG_LINE_LIMIT = 900;

const NEWLINE = 0x0a;
const BLANK = 0x20;
const isContinuation = (octet: number | undefined): boolean => octet !== undefined && (octet & 0xc0) === 0x80;

/** End of the piece of `line` that begins at `from`: never inside a UTF-8 character, at a blank where there is one. */
function pieceEnd(line: Buffer, from: number, limit: number): number {
  if (line.length - from <= limit) return line.length;
  let end = from + limit;
  while (end > from + 1 && isContinuation(line[end])) end -= 1;
  if (line[end] === BLANK) return end;
  const blank = line.lastIndexOf(BLANK, end - 1);
  return blank > from ? blank : end;
}

/** Cuts a text at newlines and into pieces of at most `limit` octets; nothing is lost, empty lines excepted. */
export function splitForSyslog(text: string, limit: number = SYSLOG_LINE_LIMIT): Buffer[] {
  const bytes = Buffer.from(text, 'utf8');
  const pieces: Buffer[] = [];
  for (let start = 0; start < bytes.length; ) {
    const newline = bytes.indexOf(NEWLINE, start);
    const lineEnd = newline === -1 ? bytes.length : newline;
    const line = bytes.subarray(start, lineEnd);
    for (let from = 0; from < line.length; ) {
      const end = pieceEnd(line, from, limit);
      pieces.push(line.subarray(from, end));
      from = end;
    }
    start = lineEnd + 1;
  }
  return pieces;
}

/** Where and from whom a datagram is. */
export interface SyslogOrigin {
  readonly facility: SyslogFacility;
  readonly ident: string;
  readonly pid: number;
}

/** `Nov  1 09:30:00`, local time: the form has no zone and syslog daemons read it as local (RFC 3164, 4.1.2). */
function syslogStamp(wallMs: number, zoneOffsetMs: number): string {
  const at = civilTime(wallMs, zoneOffsetMs);
  const clock = [at.hour, at.minute, at.second].map((value) => String(value).padStart(2, '0')).join(':');
  return `${MONTHS[at.month - 1]} ${String(at.day).padStart(2, ' ')} ${clock}`;
}

/**
 * The datagrams of one message, `<PRI>Mmm dd hh:mm:ss ident[pid]: [7-1] WARNING:  text` and so on.
 * `sequence` is the running number of the message, the second number that of the piece: it keeps syslog daemons
 * from folding equal lines and lets a reader join the pieces (syslog_sequence_numbers of PostgreSQL).
 */
export function syslogDatagrams(
  message: RenderedMessage,
  origin: SyslogOrigin,
  wallMs: number,
  zoneOffsetMs: number,
  sequence: number,
): Buffer[] {
  const priority = FACILITY_CODE[origin.facility] * 8 + SYSLOG_SEVERITY[message.level];
  const header = `<${priority}>${syslogStamp(wallMs, zoneOffsetMs)} ${origin.ident}[${origin.pid}]: `;
  return splitForSyslog(messageLines(message)).map((piece, i) =>
    Buffer.concat([Buffer.from(`${header}[${sequence}-${i + 1}] `, 'utf8'), piece]),
  );
}
