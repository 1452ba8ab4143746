/** cm_ctl on a host, and what it prints when all is well. */
import assert from 'node:assert/strict';
import type { CommandOptions, CommandResult } from './commands.js';
import type { Host } from './host.js';

/** Output of a start and of a stop that were waited for, with a dot more for every second. */
export const STARTED = /^waiting for conmgr to start\.{3,} done\nconmgr started\n$/;
export const STOPPED = /^waiting for conmgr to shut down\.{3,} done\nconmgr stopped\n$/;

/** Runs `cm_ctl WORDS -D DIRECTORY`. An instance is a directory on a host, too. */
export function cmCtl(
  { host, directory }: { readonly host: Host; readonly directory: string },
  words: string,
  options?: CommandOptions,
): Promise<CommandResult> {
  return host.run(['cm_ctl', ...words.split(' '), '-D', directory], options);
}

/** It ended with status 0, complained about nothing and printed this. */
export function assertDone({ status, stdout, stderr }: CommandResult, printed: RegExp): void {
  assert.deepEqual({ status, stderr }, { status: 0, stderr: '' });
  assert.match(stdout, printed);
}
