/** Starts the built programs. */
import { type Output, type Running, type StartOptions, startCommand } from './running.js';
import { inTree } from './tree.js';

/** The programs in dist/bin. */
export type ProgramName = 'conmgr' | 'conmgr-watchdog' | 'cm_ctl' | 'conmgr-helper';

/** A path below dist, `client/index.mjs` for instance. */
export function built(path: string): string {
  return inTree(`dist/${path}`);
}

/** Starts a program in the background; it is ended with the test file at the latest. */
export function startProgram(
  name: ProgramName,
  args: readonly string[],
  options: StartOptions = {},
): Running {
  return startCommand(process.execPath, [built(`bin/${name}.js`), ...args], options);
}

/** Runs a program to its end. */
export function runProgram(
  name: ProgramName,
  args: readonly string[],
  options: StartOptions & { readonly input?: string } = {},
): Promise<Output> {
  const running = startProgram(name, args, options);
  running.stdin.end(options.input ?? '');
  return running.done;
}
