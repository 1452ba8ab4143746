/**
 * What a stock driver can say to conmgr: a target in the start-up parameter `options`, the command-line arguments for
 * the backend (PostgreSQL documentation, 53.2.1 and 34.1.2). A server takes the setting as a placeholder, so the
 * packet goes on to it unchanged.
 */
import { foldCase } from '../config/parse.js';

/** `options='-c conmgr.target_session_attrs=standby'` */
export const TARGET_OPTION = 'conmgr.target_session_attrs';

/** The word that `options` gives for the target, the last one if there are several; undefined: none. */
export function targetInOptions(options: string): string | undefined {
  const words = splitOptions(options);
  let found: string | undefined;
  for (let at = 0; at < words.length; at += 1) {
    const setting = settingOf(words[at] ?? '', words[at + 1]);
    if (setting === undefined) continue;
    const equals = setting.indexOf('=');
    // The backend takes a dash for an underscore (ParseLongOption in src/backend/utils/misc/guc.c).
    if (equals > 0 && foldCase(setting.slice(0, equals)).replaceAll('-', '_') === TARGET_OPTION)
      found = setting.slice(equals + 1);
  }
  return found;
}

/** `-c name=value`, `-cname=value` or `--name=value` as `name=value`. */
function settingOf(word: string, next: string | undefined): string | undefined {
  if (word === '-c') return next;
  if (word.startsWith('--')) return word.slice(2);
  return word.startsWith('-c') ? word.slice(2) : undefined;
}

/** Words between blanks; a backslash takes the next character as it is (pg_split_opts in src/backend/utils/init/postinit.c). */
function splitOptions(options: string): readonly string[] {
  return (options.match(/(?:\\[\s\S]|[^\\\s])+/g) ?? []).map((word) => word.replace(/\\([\s\S])/g, '$1'));
}

/** Name of the database that is no database but the console. */
export const CONSOLE_DATABASE = 'conmgr';

/** Whether a start-up packet is for the console. */
export function isForConsole(params: ReadonlyMap<string, string>): boolean {
  return params.get('database') === CONSOLE_DATABASE;
}
