/** Arguments of conmgr. */
import { type ArgumentRules, type DaemonArguments, readDaemonArguments } from '../io/daemon-arguments.js';

export const CONMGR_HELP = `conmgr keeps heartbeat links to PostgreSQL servers and tells applications where to go.

Usage:
  conmgr -D DIRECTORY

Options:
  -D DIRECTORY    directory with conmgr.conf; default: environment variable CMDATA
  --unit NAME     the directory that instance NAME of the systemd unit stands for:
                  a plain name means /var/lib/conmgr/NAME, an escaped path itself
  --user          with --unit: the unit belongs to a user's service manager, and
                  a plain name means ~/.local/state/conmgr/NAME
  --take-over     take over from the conmgr of this directory that runs: its sockets,
                  its sessions, its lock; without one, an ordinary start
  -V, --version   print the version, then exit
  -?, --help      print this help, then exit

conmgr runs in the foreground and logs to stderr until conmgr.conf says otherwise.
"cm_ctl init -D DIRECTORY" makes a directory, "cm_ctl start -D DIRECTORY" starts
conmgr in the background.

Signals: SIGTERM and SIGINT fast stop, SIGUSR1 smart stop, SIGQUIT immediate stop,
SIGHUP reload.
`;

const RULES: ArgumentRules = {
  variable: 'CMDATA',
  missing: 'no directory given: use -D DIRECTORY or set CMDATA',
  users: true,
  takesOver: true,
};

/** Reads the arguments; `environment` supplies CMDATA. Never throws. */
export function parseDaemonArguments(
  words: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): DaemonArguments {
  return readDaemonArguments(words, environment, RULES);
}
