/**
 * Starts a program of ours that goes on when the caller, its terminal and its session are gone.
 *
 * The program gets a session of its own (setsid(2)), `/` as working directory so that no file system stays busy,
 * nothing on stdin and stdout, and stderr into a file. It is not made to fork itself: the caller sees its end.
 */
import { spawn } from 'node:child_process';
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';

/** Most that is read back of what a program said while it was starting. */
const MAX_SAID_BYTES = 64 * 1024;

export interface DaemonOptions {
  /** The file to execute. */
  readonly program: string;
  readonly args: readonly string[];
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** stderr is appended to this file, which is made with mode 0600 if it is not there. */
  readonly logFile: string;
}

/** How a program ended. */
export interface DaemonEnd {
  /** Exit status; 128 + signal number is not used, a signal gives null. */
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface StartedDaemon {
  readonly pid: number;
  /** Settles if the program ends while the caller lives. Never rejects. */
  readonly ended: Promise<DaemonEnd>;
  /** What the program wrote to its log file since it was started; '' where that cannot be read back. */
  said(): string;
  /** The caller may end now, whatever the program does. */
  release(): void;
}

/** The log file could not be opened; `cause` says why. */
export class LogFileError extends Error {
  constructor(file: string, cause: unknown) {
    super(`could not open log file "${file}"`, { cause });
    this.name = 'LogFileError';
  }
}

/** Starts a program. Rejects with LogFileError, or with the system's error when it cannot be executed. */
export async function startDaemon(options: DaemonOptions): Promise<StartedDaemon> {
  const log = openLog(options.logFile);
  try {
    const child = spawn(options.program, options.args, {
      cwd: '/',
      env: options.environment,
      detached: true,
      stdio: ['ignore', 'ignore', log.fd],
    });
    const ended = new Promise<DaemonEnd>((resolve) => {
      child.once('exit', (code, signal) => resolve({ code, signal }));
    });
    await new Promise<void>((resolve, reject) => {
      child.once('spawn', resolve);
      child.once('error', reject);
    });
    return {
      pid: child.pid ?? 0,
      ended,
      said: () => (log.start === undefined ? '' : readFrom(options.logFile, log.start)),
      release: () => child.unref(),
    };
  } finally {
    closeSync(log.fd);
  }
}

/** `start`: where in the file the program begins to write; undefined for what is no regular file. */
function openLog(file: string): { readonly fd: number; readonly start: number | undefined } {
  try {
    // Non-blocking, so that a FIFO that nobody reads is an error and no wait without an end.
    const { O_WRONLY, O_APPEND, O_CREAT, O_NOCTTY, O_NONBLOCK } = constants;
    const fd = openSync(file, O_WRONLY | O_APPEND | O_CREAT | O_NOCTTY | O_NONBLOCK, 0o600);
    const facts = fstatSync(fd);
    return { fd, start: facts.isFile() ? facts.size : undefined };
  } catch (error) {
    throw new LogFileError(file, error);
  }
}

function readFrom(file: string, start: number): string {
  let fd: number | undefined;
  try {
    fd = openSync(file, constants.O_RDONLY);
    const buffer = Buffer.alloc(MAX_SAID_BYTES);
    return buffer.toString('utf8', 0, readSync(fd, buffer, 0, buffer.length, start));
  } catch {
    return '';
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}
