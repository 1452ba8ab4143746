/**
 * Finds names of watchdog.* in configuration files. Only names: values come from PostgreSQL itself, which cannot list
 * what it does not know, and so would not show a misspelt one.
 */

/** Names at the beginning of a line, as PostgreSQL's parser takes them (src/backend/utils/misc/guc-file.l). */
const SETTING = /^[ \t]*(watchdog\.[A-Za-z_\u0080-\uffff][\w$\u0080-\uffff.]*)/gim;
const INCLUDE =
  /^[ \t]*(include_if_exists|include_dir|include)[ \t]*=?[ \t]*(?:'((?:[^'\n]|'')*)'|([^\s'#]+))/gim;

/** Names of watchdog.* that a file sets, in lower case. */
export function watchdogNamesIn(text: string): readonly string[] {
  return [...text.matchAll(SETTING)].map((match) => (match[1] ?? '').toLowerCase());
}

/** Files and directories that a file includes, as written. */
export function includesIn(text: string): readonly { readonly path: string; readonly directory: boolean }[] {
  return [...text.matchAll(INCLUDE)].map((match) => ({
    path: (match[2] ?? match[3] ?? '').replaceAll("''", "'"),
    directory: match[1]?.toLowerCase() === 'include_dir',
  }));
}
