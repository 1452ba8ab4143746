/**
 * The few statements that the console understands: SHOW of its own subjects, and what drivers send by themselves around
 * a query (SET, transactions, a ping). Everything else is refused with 0A000.
 */

/** What SHOW can show, with the sentence of SHOW HELP. */
export const SUBJECTS = {
  INSTANCES: 'the PostgreSQL servers of the set: role, state, link, lag',
  APPLICATIONS: 'the applications that are attached or forwarded, and to which instance',
  LISTENERS: 'the ports for applications and the target of each',
  CONFIG: 'the parameters of conmgr.conf with their values in effect',
  VERSION: 'version, directory and process of conmgr',
  HELP: 'this list',
} as const;
export type Subject = keyof typeof SUBJECTS;

/** What a statement means. */
export type Statement =
  | { readonly kind: 'show'; readonly subject: Subject }
  /** A constant that drivers and pools ask for: a ping, or a property of the session. */
  | { readonly kind: 'constant'; readonly column: string; readonly value: string; readonly tag: string }
  | { readonly kind: 'begin' | 'commit' | 'rollback' }
  /** Taken without effect. */
  | { readonly kind: 'ignored'; readonly tag: string }
  | { readonly kind: 'empty' }
  | { readonly kind: 'unknown'; readonly text: string };

/** Statements that change nothing here, by their first words, with their command tags. */
const IGNORED: readonly (readonly [start: RegExp, tag: string])[] = [
  [/^set\b/, 'SET'],
  [/^reset\b/, 'RESET'],
  [/^discard\b/, 'DISCARD ALL'],
  [/^deallocate\b/, 'DEALLOCATE'],
  [/^close\b/, 'CLOSE CURSOR'],
  [/^unlisten\b/, 'UNLISTEN'],
];

/** Settings of the session that drivers ask for. */
const SETTINGS: Readonly<Record<string, string>> = {
  'transaction isolation level': 'read committed',
  transaction_isolation: 'read committed',
  transaction_read_only: 'on',
  default_transaction_read_only: 'on',
  standard_conforming_strings: 'on',
  client_encoding: 'UTF8',
  server_encoding: 'UTF8',
  search_path: '',
};

/** Longest part of an unknown statement that an error repeats. */
const SHOWN = 60;

/** The statements of a query string in their order; at least one, which may be empty. */
export function parseStatements(sql: string): readonly Statement[] {
  const texts = splitStatements(sql).filter((text) => text !== '');
  return texts.length === 0 ? [{ kind: 'empty' }] : texts.map(parseStatement);
}

function parseStatement(text: string): Statement {
  const words = text.toLowerCase().replace(/\s+/g, ' ');
  const show = /^show (.+)$/.exec(words)?.[1];
  if (show !== undefined) {
    const subject = show.toUpperCase();
    if (isSubject(subject)) return { kind: 'show', subject };
    const value = Object.hasOwn(SETTINGS, show) ? SETTINGS[show] : undefined;
    if (value !== undefined)
      return { kind: 'constant', column: show.replaceAll(' ', '_'), value, tag: 'SHOW' };
  }
  if (/^(begin|start transaction)\b/.test(words)) return { kind: 'begin' };
  if (/^(commit|end)\b/.test(words)) return { kind: 'commit' };
  if (/^(rollback|abort)\b/.test(words)) return { kind: 'rollback' };
  const ping = /^select (?:(-?\d{1,18})|'([^'\\]{0,100})')(?: (?:as )?"?([a-z_][a-z0-9_]*)"?)?$/.exec(words);
  if (ping !== null) {
    const [, number, string = '', column = '?column?'] = ping;
    return { kind: 'constant', column, value: number ?? string, tag: 'SELECT 1' };
  }
  const ignored = IGNORED.find(([start]) => start.test(words));
  return ignored === undefined
    ? { kind: 'unknown', text: shorten(text) }
    : { kind: 'ignored', tag: ignored[1] };
}

function isSubject(word: string): word is Subject {
  return Object.hasOwn(SUBJECTS, word);
}

function shorten(text: string): string {
  const line = text.replace(/\s+/g, ' ');
  return line.length <= SHOWN ? line : `${line.slice(0, SHOWN)}...`;
}

/** Cuts at semicolons outside of quotes, and takes comments out. */
function splitStatements(sql: string): readonly string[] {
  const statements: string[] = [];
  let text = '';
  // A quoted string, a quoted name, a comment of either kind, a semicolon, or anything else.
  for (const [token] of sql.matchAll(
    /'(?:[^']|'')*'?|"[^"]*"?|--[^\n]*|\/\*[\s\S]*?(?:\*\/|$)|;|[^'";/-]+|[/-]/g,
  )) {
    if (token === ';') {
      statements.push(text.trim());
      text = '';
    } else text += token.startsWith('--') || token.startsWith('/*') ? ' ' : token;
  }
  return [...statements, text.trim()];
}
