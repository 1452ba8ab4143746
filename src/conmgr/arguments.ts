/** Arguments of the daemons: both take one directory. */

/** What the command line asks for. */
export type DaemonArguments =
  | { readonly act: 'run'; readonly directory: string }
  | { readonly act: 'help' | 'version' }
  | { readonly act: 'wrong'; readonly problem: string };

export const CONMGR_HELP = `conmgr keeps heartbeat links to PostgreSQL servers and tells applications where to go.

Usage:
  conmgr -D DIRECTORY

Options:
  -D DIRECTORY    directory with conmgr.conf; default: environment variable CMDATA
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
  for (let at = 0; at < words.length; at += 1) {
    const word = words[at] ?? '';
    if (word === '--help' || word === '-?' || word === '-h') return { act: 'help' };
    if (word === '--version' || word === '-V') return { act: 'version' };
    if (word === '-D') {
      at += 1;
      directory = words[at];
      if (directory === undefined) return { act: 'wrong', problem: 'option -D needs a directory' };
    } else if (word.startsWith('-D') && word.length > 2) directory = word.slice(2);
    else return { act: 'wrong', problem: `unknown argument "${word}"` };
  }
  if (directory === undefined || directory === '') {
    return { act: 'wrong', problem: 'no directory given: use -D DIRECTORY or set CMDATA' };
  }
  return { act: 'run', directory };
}
