/**
 * The text of conmgr.conf as a list of settings.
 *
 * The syntax is postgresql.conf's: what PostgreSQL's own lexer (src/backend/utils/misc/guc-file.l) accepts is
 * read the same way, which a test checks against the postgres program. Where that lexer is strict for reasons
 * of its token types (bare 127.0.0.1, ::1, db.example) a bare word may hold anything but blanks, quotes,
 * commas and `#`. Names and values are not judged here.
 */

import { Buffer } from 'node:buffer';
import { type LineFinding, shown } from './problem.js';

/** Upper limits that no honest file comes near; they bound time and memory. */
export const MAX_FILE_CHARACTERS = 1024 * 1024;
export const MAX_LINE_CHARACTERS = 4096;
/** As PostgreSQL, which gives up after a hundred syntax errors. */
export const MAX_SYNTAX_ERRORS = 100;

/** One setting. */
export interface ConfigEntry {
  /** Lower case. */
  readonly name: string;
  /** As it stands in the file. */
  readonly written: string;
  /** Without quotes, escapes resolved. */
  readonly value: string;
  /** Counted from 1. */
  readonly line: number;
}

/** All settings of a text in its order, and what could not be read. */
export interface ParsedConfig {
  readonly entries: readonly ConfigEntry[];
  readonly problems: readonly LineFinding[];
  /** Number of the last line, at least 1: the place of errors about something missing. */
  readonly lastLine: number;
}

/** Reads a whole file; never throws. Lines that cannot be read are problems, the others still become entries. */
export function parseConfig(text: string): ParsedConfig {
  if (text.length > MAX_FILE_CHARACTERS) {
    const params = { limit: MAX_FILE_CHARACTERS };
    return { entries: [], problems: [{ message: 'fileTooLarge', line: 1, params }], lastLine: 1 };
  }
  const entries: ConfigEntry[] = [];
  const problems: LineFinding[] = [];
  // Editors on Windows begin a UTF-8 file with U+FEFF.
  const lines = text.replace(/^\ufeff/, '').split('\n');
  for (const [index, content] of lines.entries()) {
    if (problems.length >= MAX_SYNTAX_ERRORS) {
      problems.push({ message: 'tooManyErrors', line: index + 1, params: {} });
      break;
    }
    const result = parseLine(content, index + 1);
    if (result === undefined) continue;
    if ('message' in result) problems.push(result);
    else entries.push(result);
  }
  const lastLine = lines.at(-1) === '' ? lines.length - 1 : lines.length;
  return { entries, problems, lastLine: Math.max(1, lastLine) };
}

const BLANKS = /[ \t\r]*/y;
/** Longer than a valid name, so that `backend-host0` is reported as one wrong name. */
const NAME = /[A-Za-z_\u0080-\uffff][A-Za-z0-9_.:/\-\u0080-\uffff]*/y;
/** The lookahead keeps `'a''` one unterminated value instead of `'a'` and a stray quote. */
const QUOTED = /'(?:[^'\\]|\\[\s\S]|'')*'(?!')/y;
const BARE = /[^ \t\r'"#]+/y;
const INCLUDES = ['include', 'include_if_exists', 'include_dir'];

/** Reads one line from left to right. */
class Cursor {
  position = 0;
  constructor(readonly text: string) {}

  /** Takes what `pattern` (sticky) matches here, undefined when it does not. */
  take(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.position;
    const match = pattern.exec(this.text)?.[0];
    this.position += match?.length ?? 0;
    return match;
  }

  /** The next character, '' at the end. */
  get next(): string {
    return this.text.charAt(this.position);
  }

  get rest(): string {
    return this.text.slice(this.position);
  }

  /** Skips blanks; true when nothing but a comment follows. */
  atEnd(): boolean {
    this.take(BLANKS);
    return this.next === '' || this.next === '#';
  }
}

function parseLine(text: string, line: number): ConfigEntry | LineFinding | undefined {
  if (text.length > MAX_LINE_CHARACTERS) {
    return { message: 'lineTooLong', line, params: { limit: MAX_LINE_CHARACTERS } };
  }
  const cursor = new Cursor(text);
  if (cursor.atEnd()) return undefined;
  const damage = damageBeforeComment(text);
  if (damage !== undefined) return { message: damage, line, params: {} };

  const written = cursor.take(NAME);
  if (written === undefined) return { message: 'syntax', line, params: { near: shown(cursor.rest) } };
  const name = foldCase(written);
  const problem = (message: LineFinding['message'], params: LineFinding['params'] = {}): LineFinding => ({
    message,
    line,
    params: { name: shown(name), ...params },
  });
  if (INCLUDES.includes(name)) return problem('includeDirective');

  const nameEnd = cursor.position;
  cursor.take(BLANKS);
  const separated = cursor.take(/=/y) !== undefined || cursor.position > nameEnd;
  if (cursor.atEnd()) return problem('missingValue');
  // PostgreSQL's tokens need no blank between name and quote, nor between name and sign.
  if (cursor.next === '=' || !(separated || /['+]/.test(cursor.next))) {
    return problem('syntax', { near: shown(cursor.rest) });
  }

  const quoted = cursor.next === "'";
  const raw = cursor.take(quoted ? QUOTED : BARE);
  if (raw === undefined) return problem(quoted ? 'unterminatedQuote' : 'doubleQuote');
  if (!quoted) {
    if (cursor.next === '"') return problem('doubleQuote');
    if (raw.includes(',')) return problem('unquotedComma', { value: shown(raw) });
    if (/[\0-\x1f\x7f]/.test(raw)) return problem('controlCharacter');
  }
  if (!cursor.atEnd()) return problem('textAfterValue', { rest: shown(cursor.rest) });
  const value = quoted ? unquote(raw) : raw;
  return value === undefined ? problem('notUtf8') : { name, written, value, line };
}

/** Lower case of ASCII letters only: U+212A (Kelvin) must not pass for a k. */
export function foldCase(text: string): string {
  return text.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
}

/** What makes a line unreadable as text: NUL, or the U+FFFD that decoding puts for bytes outside UTF-8. */
function damageBeforeComment(text: string): 'nulByte' | 'notUtf8' | undefined {
  const damaged = /[\0\ufffd]/.exec(text);
  if (damaged === null || damaged.index >= commentStart(text)) return undefined;
  return damaged[0] === '\0' ? 'nulByte' : 'notUtf8';
}

/** Index of the `#` that starts the comment, the length of the line without one. */
function commentStart(text: string): number {
  let inQuotes = false;
  for (let index = 0; index < text.length; index++) {
    const character = text[index];
    if (character === "'") inQuotes = !inQuotes;
    else if (character === '\\' && inQuotes) index++;
    else if (character === '#' && !inQuotes) return index;
  }
  return text.length;
}

const ESCAPES: Readonly<Record<string, string>> = { b: '\b', f: '\f', n: '\n', r: '\r', t: '\t' };

/**
 * A quoted value without its quotes (GUC_scanstr in PostgreSQL): '' and \' are a quote, \b \f \n \r \t their
 * control character, \ooo the byte of that octal number, any other backslash falls away. A \000 ends the
 * value, as the string is a C string there. undefined when the bytes are not UTF-8.
 */
function unquote(quoted: string): string | undefined {
  const inner = quoted.slice(1, -1);
  if (!/['\\]/.test(inner)) return inner;
  // Octal escapes are bytes, so all of it has to be bytes: one character of `bytes` each.
  const bytes = Buffer.from(inner, 'utf8').toString('latin1');
  const resolved = bytes.replace(/''|\\([0-7]{1,3}|[\s\S])/g, (match, code: string | undefined) => {
    if (code === undefined) return match.slice(1);
    if (/^[0-7]/.test(code)) return String.fromCharCode(Number.parseInt(code, 8) & 0xff);
    return ESCAPES[code] ?? code;
  });
  const value = Buffer.from(resolved.replace(/\0[\s\S]*$/, ''), 'latin1').toString('utf8');
  return value.includes('\ufffd') ? undefined : value;
}
