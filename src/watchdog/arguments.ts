/** Arguments of conmgr-watchdog. */
import type { GivenDirectory } from '../io/unit-directory.js';

/** What the command line asks for. */
export type WatchdogArguments =
  | { readonly act: 'run'; readonly directory: GivenDirectory }
  | { readonly act: 'help' | 'version' }
  | { readonly act: 'wrong'; readonly problem: string };

export const WATCHDOG_HELP = `conmgr-watchdog watches a PostgreSQL instance and tells every conmgr that connects what it is.

Usage:
  conmgr-watchdog -D DATADIR

Options:
  -D DATADIR      data directory of the instance; default: environment variable PGDATA
  --unit NAME     the data directory that instance NAME of the systemd unit stands
                  for: 15-main means that cluster of Debian, else an escaped path
  -V, --version   print the version, then exit
  -?, --help      print this help, then exit

It runs in the foreground as the user that owns the data directory, also while the
instance is down. Its settings are watchdog.* in the instance's postgresql.conf.
PGHOST, PGPORT, PGUSER, PGDATABASE and PGPASSFILE say how it connects where the Unix
socket and database "postgres" will not do.

Signals: SIGTERM and SIGINT stop, SIGUSR2 stop for a restart, SIGHUP reload.
`;

/** Reads the arguments; `environment` supplies PGDATA. Never throws. */
export function parseWatchdogArguments(
  words: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): WatchdogArguments {
  let directory = environment['PGDATA'];
  let unit: string | undefined;
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
    } else if (word.startsWith('-D') && word.length > 2) directory = word.slice(2);
    else return { act: 'wrong', problem: `unknown argument "${word}"` };
  }
  if (unit !== undefined) return { act: 'run', directory: { by: 'unit', unit, user: false } };
  if (directory === undefined || directory === '') {
    return { act: 'wrong', problem: 'no data directory given: use -D DATADIR or set PGDATA' };
  }
  return { act: 'run', directory: { by: 'path', path: directory } };
}
