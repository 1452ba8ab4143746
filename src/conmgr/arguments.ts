/** Arguments of the daemons: both take one directory. */
import type { GivenDirectory } from '../io/unit-directory.js';

/** What the command line asks for. */
export type DaemonArguments =
  | { readonly act: 'run'; readonly directory: GivenDirectory }
  | { readonly act: 'help' | 'version' }
  | { readonly act: 'wrong'; readonly problem: string };

export const CONMGR_HELP = `conmgr keeps heartbeat links to PostgreSQL servers and tells applications where to go.

Usage:
  conmgr -D DIRECTORY

Options:
  -D DIRECTORY    directory with conmgr.conf; default: environment variable CMDATA
  --unit NAME     the directory that instance NAME of the systemd unit stands for:
                  a plain name means /var/lib/conmgr/NAME, an escaped path itself
  --user          with --unit: the unit belongs to a user's service manager, and
                  a plain name means ~/.local/state/conmgr/NAME
  -V, --version   print the version, then exit
  -?, --help      print this help, then exit

conmgr runs in the foreground and logs to stderr until conmgr.conf says otherwise.
"cm_ctl init -D DIRECTORY" makes a directory, "cm_ctl start -D DIRECTORY" starts
conmgr in the background.

Signals: SIGTERM and SIGINT fast stop, SIGUSR1 smart stop, SIGQUIT immediate stop,
SIGHUP reload.
`;

/** Reads the arguments; `environment` supplies CMDATA. Never throws. */
export function parseDaemonArguments(
  words: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): DaemonArguments {
  let directory = environment['CMDATA'];
  let unit: string | undefined;
  let user = false;
  for (let at = 0; at < words.length; at += 1) {
    const word = words[at] ?? '';
    if (word === '--help' || word === '-?' || word === '-h') return { act: 'help' };
    if (word === '--version' || word === '-V') return { act: 'version' };
    if (word === '-D') {
      at += 1;
      directory = words[at];
      if (directory === undefined) return { act: 'wrong', problem: 'option -D needs a directory' };
    } else if (word === '--unit') {
      at += 1;
      unit = words[at];
      if (unit === undefined) return { act: 'wrong', problem: 'option --unit needs an instance name' };
    } else if (word === '--user') user = true;
    else if (word.startsWith('-D') && word.length > 2) directory = word.slice(2);
    else return { act: 'wrong', problem: `unknown argument "${word}"` };
  }
  if (user && unit === undefined) return { act: 'wrong', problem: 'option --user needs option --unit' };
  if (unit !== undefined) return { act: 'run', directory: { by: 'unit', unit, user } };
  if (directory === undefined || directory === '') {
    return { act: 'wrong', problem: 'no directory given: use -D DIRECTORY or set CMDATA' };
  }
  return { act: 'run', directory: { by: 'path', path: directory } };
}
