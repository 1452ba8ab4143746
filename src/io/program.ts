/** What the daemons' programs share: help, version and the refusal of a wrong command line. */

/** What a command line asks for where nothing is to be run. */
type NotRun = { readonly act: 'help' | 'version' } | { readonly act: 'wrong'; readonly problem: string };

export interface Program {
  readonly name: string;
  readonly version: string;
  readonly help: string;
}

/** Exit status of a wrong command line: conmgr(8), conmgr-watchdog(8) and conmgr-helper(8), EXIT STATUS. */
const WRONG_USAGE = 2;

/** Carries out the arguments that were read: prints what is asked for, or calls `run`. */
export function startProgram<Parsed extends { readonly act: string }>(
  { name, version, help }: Program,
  parsed: Parsed | NotRun,
  run: (parsed: Exclude<Parsed, NotRun>) => Promise<void>,
): void {
  if (!isNotRun(parsed)) void run(parsed as Exclude<Parsed, NotRun>);
  else if (parsed.act === 'wrong') {
    process.stderr.write(`${name}: ${parsed.problem}\nTry "${name} --help" for more information.\n`);
    process.exitCode = WRONG_USAGE;
  } else process.stdout.write(parsed.act === 'help' ? help : `${name} ${version}\n`);
}

function isNotRun(parsed: { readonly act: string }): parsed is NotRun {
  return parsed.act === 'help' || parsed.act === 'version' || parsed.act === 'wrong';
}
