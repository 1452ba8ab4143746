/** The command line of the daemons: both take one directory, by path or by the instance name of their unit. */
import type { GivenDirectory } from './unit-directory.js';

/** What the command line asks for. */
export type DaemonArguments =
  | { readonly act: 'run'; readonly directory: GivenDirectory; readonly takeOver: boolean }
  | { readonly act: 'help' | 'version' }
  | { readonly act: 'wrong'; readonly problem: string };

/** In what the daemons differ. */
export interface ArgumentRules {
  /** Environment variable that names the directory where no argument does. */
  readonly variable: string;
  /** What is said when there is none at all. */
  readonly missing: string;
  /** Option --user: plain names of units may be those of a user's own service manager. */
  readonly users: boolean;
  /** Option --take-over: one that runs already may hand over to this one. */
  readonly takesOver: boolean;
}

/** Options of which the first one met is obeyed and the rest not looked at. */
const ACTS: ReadonlyMap<string, 'help' | 'version'> = new Map([
  ['--help', 'help'],
  ['-?', 'help'],
  ['-h', 'help'],
  ['--version', 'version'],
  ['-V', 'version'],
]);

/** Reads the arguments; `environment` supplies the variable of the rules. Never throws. */
export function readDaemonArguments(
  words: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
  { variable, missing, users, takesOver }: ArgumentRules,
): DaemonArguments {
  let directory = environment[variable];
  let unit: string | undefined;
  let user = false;
  let takeOver = false;
  for (let at = 0; at < words.length; at += 1) {
    const word = words[at] ?? '';
    const act = ACTS.get(word);
    if (act !== undefined) return { act };
    if (word === '-D') {
      at += 1;
      directory = words[at];
      if (directory === undefined) return { act: 'wrong', problem: 'option -D needs a directory' };
    } else if (word === '--unit') {
      at += 1;
      unit = words[at];
      if (unit === undefined) return { act: 'wrong', problem: 'option --unit needs an instance name' };
    } else if (users && word === '--user') user = true;
    else if (takesOver && word === '--take-over') takeOver = true;
    else if (word.startsWith('-D')) directory = word.slice(2);
    else return { act: 'wrong', problem: `unknown argument "${word}"` };
  }
  if (user && unit === undefined) return { act: 'wrong', problem: 'option --user needs option --unit' };
  if (unit !== undefined) return { act: 'run', directory: { by: 'unit', unit, user }, takeOver };
  if (directory === undefined || directory === '') return { act: 'wrong', problem: missing };
  return { act: 'run', directory: { by: 'path', path: directory }, takeOver };
}
