/** One thing to say about a configuration, with the place it stands at. */

import { CONFIG_MESSAGES, type ConfigMessageName, WATCHDOG_CONSEQUENCES } from '../messages/config.js';
import { type Level, type MessageParams, type MessageSpec, renderMessage } from '../messages/message.js';

/** A row of CONFIG_MESSAGES and what to fill in; not yet bound to a file. */
export interface Finding {
  readonly message: ConfigMessageName;
  readonly params: MessageParams;
}

/** A finding in one line of a file. */
export interface LineFinding extends Finding {
  /** Counted from 1. */
  readonly line: number;
}

/** An error or remark, ready to be logged with `log.write(problem.spec, problem.params)`. */
export interface ConfigProblem {
  readonly code: string;
  readonly level: Level;
  /** The row of the message table, its text preceded by file and line where there are any. */
  readonly spec: MessageSpec;
  readonly params: MessageParams;
  /** undefined for a watchdog parameter: PostgreSQL hands out values without their place. */
  readonly file: string | undefined;
  readonly line: number | undefined;
}

/** What is said of a watchdog parameter that is wrong. */
export type Consequence = keyof typeof WATCHDOG_CONSEQUENCES;

/** Binds a finding to its file. */
export function problemInFile(file: string, { message, line, params }: LineFinding): ConfigProblem {
  const row = CONFIG_MESSAGES[message];
  return {
    code: row.code,
    level: row.level,
    spec: { ...row, text: `{file}:{line}: ${row.text}` },
    params: { ...params, file, line },
    file,
    line,
  };
}

/** A finding about a watchdog parameter; `consequence` becomes the DETAIL line. */
export function problemOfWatchdog(
  { message, params }: Finding,
  consequence?: Consequence,
  defaultText?: string,
): ConfigProblem {
  const row = CONFIG_MESSAGES[message];
  const spec = consequence === undefined ? row : { ...row, detail: WATCHDOG_CONSEQUENCES[consequence] };
  return {
    code: row.code,
    level: row.level,
    spec,
    params: { ...params, default: defaultText },
    file: undefined,
    line: undefined,
  };
}

/** `conmgr.conf:LINE: message`, or the bare message for a watchdog parameter. */
export function formatProblem({ spec, params }: ConfigProblem): string {
  return renderMessage(spec, params).text;
}

/** Longest piece of a user's text that a message repeats. */
const SHOWN_CHARACTERS = 80;

/**
 * A user's text as it may stand in a message: on one line, invisible characters as \u escapes, cut when long.
 * The terminal of whoever reads the log must not be told anything by a file.
 */
export function shown(text: string): string {
  const characters = Array.from(text.slice(0, SHOWN_CHARACTERS));
  const visible = characters.map((character) => (INVISIBLE.test(character) ? escaped(character) : character));
  return visible.join('') + (text.length > SHOWN_CHARACTERS ? '...' : '');
}

/** Controls, formats, unassigned, surrogates, and every blank but the plain one. */
const INVISIBLE = /[\p{C}\p{Zl}\p{Zp}]|(?! )\p{Zs}/u;

function escaped(character: string): string {
  return `\\u${(character.codePointAt(0) ?? 0).toString(16).padStart(4, '0')}`;
}
