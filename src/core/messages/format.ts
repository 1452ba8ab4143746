/**
 * What a message looks like as text: the lines that PostgreSQL's server log has.
 *
 * Layout: PostgreSQL src/backend/utils/error/elog.c, send_message_to_server_log (the level, a colon and two
 * blanks; DETAIL and HINT on lines of their own with the same prefix; further lines of a text begin with a tab).
 */
import type { Level, MessageParams, RenderedMessage } from './message.js';

/** Characters that could end a line, steer a terminal or turn the direction of writing. */
const CONTROLS = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g;
const CONTROLS_BUT_NEWLINE =
  /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g;

const SHORT_ESCAPES: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };

function escapeOne(character: string): string {
  const short = SHORT_ESCAPES[character];
  if (short !== undefined) return short;
  const code = character.charCodeAt(0);
  return code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u${code.toString(16)}`;
}

/** Makes control characters visible (`\n`, `\x1b`), so that bytes from outside can forge no line. */
export function escapeControls(text: string): string {
  return text.replace(CONTROLS, escapeOne);
}

/** The one parameter that may hold several lines (a list of errors, say); its other controls are escaped. */
const MULTI_LINE_PARAM = 'lines';

/** Escapes every text among the parameters of a message; numbers and truth values stay as they are. */
export function escapeParams(params: MessageParams): MessageParams {
  const safe: Record<string, MessageParams[string]> = {};
  for (const name of Object.keys(params)) {
    const value = params[name];
    if (typeof value !== 'string') safe[name] = value;
    else if (name === MULTI_LINE_PARAM) safe[name] = value.replace(CONTROLS_BUT_NEWLINE, escapeOne);
    else safe[name] = escapeControls(value);
  }
  return safe;
}

/** Year, month (1-12) and day of a count of days since 1970-01-01 (Howard Hinnant, "chrono-Compatible
 *  Low-Level Date Algorithms", civil_from_days: eras of 400 years that begin in March). */
function civilFromDays(days: number): [year: number, month: number, day: number] {
  const shifted = days + 719_468;
  const era = Math.floor(shifted / 146_097);
  const dayOfEra = shifted - era * 146_097;
  const yearOfEra = Math.floor(
    (dayOfEra -
      Math.floor(dayOfEra / 1460) +
      Math.floor(dayOfEra / 36_524) -
      Math.floor(dayOfEra / 146_096)) /
      365,
  );
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const monthFromMarch = Math.floor((5 * dayOfYear + 2) / 153);
  const day = dayOfYear - Math.floor((153 * monthFromMarch + 2) / 5) + 1;
  const month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9;
  return [yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, day];
}

/** A moment taken apart. */
export interface CivilTime {
  readonly year: number;
  readonly month: number;
  readonly day: number;
  readonly hour: number;
  readonly minute: number;
  readonly second: number;
  readonly millisecond: number;
}

/** Takes a moment apart, in UTC or at `offsetMs` east of it. */
export function civilTime(wallMs: number, offsetMs = 0): CivilTime {
  const local = Math.floor(wallMs) + offsetMs;
  const days = Math.floor(local / 86_400_000);
  const rest = local - days * 86_400_000;
  const [year, month, day] = civilFromDays(days);
  return {
    year,
    month,
    day,
    hour: Math.floor(rest / 3_600_000),
    minute: Math.floor(rest / 60_000) % 60,
    second: Math.floor(rest / 1000) % 60,
    millisecond: rest % 1000,
  };
}

const two = (value: number): string => String(value).padStart(2, '0');

/** `2026-11-21 09:30:00.123 UTC`, as `%m` of PostgreSQL's log_line_prefix with log_timezone = UTC. */
export function formatUtc(wallMs: number): string {
  const at = civilTime(wallMs);
  return (
    `${String(at.year).padStart(4, '0')}-${two(at.month)}-${two(at.day)} ` +
    `${two(at.hour)}:${two(at.minute)}:${two(at.second)}.${String(at.millisecond).padStart(3, '0')} UTC`
  );
}

/** Severity numbers of syslog(3) as PostgreSQL maps its levels (elog.c, send_message_to_server_log). */
export const SYSLOG_SEVERITY: Readonly<Record<Level, number>> = {
  DEBUG: 7,
  INFO: 6,
  LOG: 6,
  NOTICE: 5,
  WARNING: 5,
  ERROR: 4,
  FATAL: 3,
  PANIC: 2,
};

function part(label: string, text: string, prefix: string): string {
  return `${prefix}${label}:  ${text.replaceAll('\n', '\n\t')}\n`;
}

/** All lines of a message, each ended by a newline. `prefix` stands before level, DETAIL and HINT. */
export function messageLines(message: RenderedMessage, prefix = ''): string {
  let lines = part(message.level, message.text, prefix);
  if (message.detail !== undefined) lines += part('DETAIL', message.detail, prefix);
  if (message.hint !== undefined) lines += part('HINT', message.hint, prefix);
  return lines;
}

/** Lines for stderr: `2026-11-21 09:30:00.123 UTC [1234] WARNING:  text`. */
export function stderrLines(message: RenderedMessage, wallMs: number, pid: number): string {
  return messageLines(message, `${formatUtc(wallMs)} [${pid}] `);
}

/** Lines for a stderr that journald reads: it stamps them itself and takes the priority from `<N>` at the
 *  start of every line (sd-daemon(3)). */
export function journalStreamLines(message: RenderedMessage): string {
  const priority = `<${SYSLOG_SEVERITY[message.level]}>`;
  return messageLines(message).replace(/^(?=.)/gm, priority);
}
