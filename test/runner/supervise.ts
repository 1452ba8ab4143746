/** Runs one command as the test account, passes signals on, and leaves nothing of it behind, however it ends. */
import { type ChildProcess, spawn } from 'node:child_process';
import { constants } from 'node:os';
import type { Account } from './account.js';
import { createRunDirectories, type RunDirectories } from './run-directory.js';
import { RUN_ID } from './sweep.js';

/** A run: its directories and what watches over it. */
export interface Run extends RunDirectories {
  /** Everything the run starts carries it in its environment. */
  readonly id: string;
  readonly account: Account | undefined;
  /** Runs `node ...args` in the run to its end; see `passSignals` for what it returns. */
  execute(node: string, args: readonly string[], env: NodeJS.ProcessEnv): Promise<number>;
  /** Ends what still runs and removes the directories. */
  close(): Promise<void>;
}

/** How long a command that was told to end may take before it is killed. */
const GRACE_MS = 10_000;

const PASSED_ON = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const;

/**
 * Makes the directories of a run and starts its sweeper.
 * @param sweeper arguments for Node.js that start a program which calls `sweepWhenClosed` with the arguments
 *   that follow
 */
export function openRun(account: Account | undefined, sweeper: readonly string[]): Run {
  const { directory, scratch } = createRunDirectories(account);
  const id = `${process.pid}-${directory.slice(directory.lastIndexOf('-') + 1)}`;
  // In a session of its own: a Ctrl-C at the terminal must not end it.
  const sweeping = spawn(process.execPath, [...sweeper, id, directory, scratch], {
    stdio: ['pipe', 'ignore', 'inherit'],
    detached: true,
    cwd: '/',
  });
  const swept = ended(sweeping);
  return {
    id,
    directory,
    scratch,
    account,
    execute: (node, args, env) =>
      passSignals(
        spawn(node, args, {
          cwd: directory,
          env: { ...env, [RUN_ID]: id },
          stdio: ['ignore', 'inherit', 'inherit'],
          detached: true,
          ...(account === undefined ? {} : { uid: account.uid, gid: account.gid }),
        }),
      ),
    close: async () => {
      sweeping.stdin?.end();
      if ((await swept) !== 0) throw new Error(`something of the run is left in ${directory} or ${scratch}`);
    },
  };
}

/**
 * Waits for the command and returns the exit status a shell would show (128 + number of the signal for a command
 * that died by one). A signal to this process goes to the command's process group; a second one kills it.
 */
async function passSignals(child: ChildProcess): Promise<number> {
  const toGroup = (signal: NodeJS.Signals): void => {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, signal);
    } catch {
      // Ended meanwhile.
    }
  };
  let grace: NodeJS.Timeout | undefined;
  const passOn = (signal: NodeJS.Signals): void => {
    toGroup(grace === undefined ? signal : 'SIGKILL');
    grace ??= setTimeout(() => toGroup('SIGKILL'), GRACE_MS);
  };
  for (const signal of PASSED_ON) process.on(signal, passOn);
  try {
    return await ended(child);
  } finally {
    clearTimeout(grace);
    for (const signal of PASSED_ON) process.off(signal, passOn);
  }
}

function ended(child: ChildProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code, signal) =>
      resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal])),
    );
  });
}
