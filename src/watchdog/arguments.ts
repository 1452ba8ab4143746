/** Arguments of conmgr-watchdog. */
import { type ArgumentRules, type DaemonArguments, readDaemonArguments } from '../io/daemon-arguments.js';

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

const RULES: ArgumentRules = {
  variable: 'PGDATA',
  missing: 'no data directory given: use -D DATADIR or set PGDATA',
  users: false,
  takesOver: false,
};

/** Reads the arguments; `environment` supplies PGDATA. Never throws. */
export function parseWatchdogArguments(
  words: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): DaemonArguments {
  return readDaemonArguments(words, environment, RULES);
}
