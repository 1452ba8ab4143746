/**
 * One process per directory: flock(2) on `conmgr.pid`.
 *
 * The kernel drops the lock with the process, however it ends, so the file of a crashed process never blocks; what
 * stands in the file is for people and for cm_ctl. The lock belongs to the open file: a descriptor that is handed
 * to another process carries it along.
 */
import { spawn } from 'node:child_process';
import {
  closeSync,
  constants as files,
  fstatSync,
  ftruncateSync,
  lstatSync,
  openSync,
  readFileSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { MessageError } from '../core/messages/message-error.js';
import { PROCESS_MESSAGES } from '../core/messages/process.js';
import type { Clock } from '../core/time.js';
import { errnoText, errorText, loadNative, type Native } from './native.js';

/** Name of the file in the directory. */
export const LOCK_FILE = 'conmgr.pid';

/** A predecessor that is just ending gets this long to be gone. */
const WAIT_MS = 1000;
const RETRY_MS = 50;

const LOCK_EX_NB = 2 | 4;

/** What the system says when the file cannot be had with the rights or the layout there are; trying again is vain. */
const NOT_USABLE: ReadonlySet<string | undefined> = new Set([
  'EACCES',
  'EPERM',
  'EROFS',
  'ELOOP',
  'ENOENT',
  'ENOTDIR',
  'EISDIR',
]);

export interface LockOptions {
  readonly clock: Clock;
  /** Name of the file in the directory; default LOCK_FILE. */
  readonly name?: string;
  /** Lines after those that are always there (PID, directory, start time in seconds since 1970): the port first. */
  readonly lines?: readonly string[];
  /** How long to try; default 1 s. */
  readonly waitMs?: number;
  readonly native?: () => Native | undefined;
  /** The program that locks for us when there are no native calls: flock(1) of util-linux. */
  readonly program?: string;
}

/** A lock that is held. */
export interface DirectoryLock {
  /** To be inherited by a successor, which takes it over with `adoptLock`. */
  readonly fd: number;
  /** Whether the locked file still has its name: another process could lock a directory that has taken the place of this one. */
  isInPlace(): boolean;
  /** Ends the lock and removes the file. */
  release(): void;
  /** Closes the descriptor only: the lock lives on in the successor. */
  leaveToSuccessor(): void;
}

/** The pid that stands in the lock file of a directory; undefined when there is none. Says nothing about whether
 *  that process still runs. */
export function lockFilePid(directory: string, name: string = LOCK_FILE): number | undefined {
  try {
    const first = readFileSync(join(directory, name), 'latin1').split('\n')[0] ?? '';
    return /^[1-9]\d*$/.test(first) ? Number(first) : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Locks a directory for this process. Rejects with MessageError: directoryInUse names the process that has it;
 * directoryNotUsable, lockFileNotWritten and noLockCall say what is in the way.
 */
export async function lockDirectory(directory: string, options: LockOptions): Promise<DirectoryLock> {
  const { clock, name = LOCK_FILE, waitMs = WAIT_MS } = options;
  const file = join(directory, name);
  const untilMs = clock.monotonicMs() + waitMs;
  for (;;) {
    const fd = openLockFile(file);
    let held = false;
    try {
      const locked = await tryLock(fd, directory, options);
      held = locked && isAt(fd, file);
      if (held) return holding(fd, file, directory, options);
      // A lock on a file that was removed meanwhile is worth nothing; the new one is tried at once.
      if (locked) continue;
    } finally {
      if (!held) closeSync(fd);
    }
    if (clock.monotonicMs() >= untilMs) {
      const pid = lockFilePid(directory, name) ?? 'unknown';
      throw new MessageError(PROCESS_MESSAGES.directoryInUse, { directory, pid });
    }
    await new Promise<void>((resolve) => clock.setTimer(RETRY_MS, resolve));
  }
}

/** Takes over a lock by its descriptor, inherited from the predecessor, and writes this process into the file.
 *  Throws MessageError (lockFileNotWritten) when the descriptor is not that of the directory's lock file. */
export function adoptLock(
  directory: string,
  fd: number,
  options: Pick<LockOptions, 'lines'> = {},
): DirectoryLock {
  assertLockFile(directory, fd);
  return holding(fd, join(directory, LOCK_FILE), directory, options);
}

/** Throws MessageError (lockFileNotWritten) when the descriptor is not that of the directory's lock file, so that it could
 *  not be adopted. */
export function assertLockFile(directory: string, fd: number): void {
  const file = join(directory, LOCK_FILE);
  if (isAt(fd, file)) return;
  const reason = `descriptor ${fd} is not that of this file`;
  throw new MessageError(PROCESS_MESSAGES.lockFileNotWritten, { file, reason });
}

function openLockFile(file: string): number {
  const { O_RDWR, O_CREAT, O_NOFOLLOW, O_NONBLOCK } = files;
  try {
    return openSync(file, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0o600);
  } catch (error) {
    const row = NOT_USABLE.has((error as NodeJS.ErrnoException).code)
      ? PROCESS_MESSAGES.directoryNotUsable
      : PROCESS_MESSAGES.lockFileNotWritten;
    throw new MessageError(
      row,
      { file, reason: errorText(error), uid: process.geteuid?.() ?? 0 },
      { cause: error },
    );
  }
}

/** Whether the descriptor is the file that has this name now. */
function isAt(fd: number, file: string): boolean {
  try {
    const [open, named] = [fstatSync(fd), lstatSync(file)];
    return open.ino === named.ino && open.dev === named.dev;
  } catch {
    return false;
  }
}

async function tryLock(fd: number, directory: string, options: LockOptions): Promise<boolean> {
  const native = (options.native ?? loadNative)();
  if (native === undefined) return tryLockByProgram(fd, directory, options.program ?? 'flock');
  if (native.func('int flock(int, int)')(fd, LOCK_EX_NB) === 0) return true;
  const errno = native.errno();
  if (errno === constants.errno.EAGAIN) return false;
  const file = join(directory, options.name ?? LOCK_FILE);
  throw new MessageError(PROCESS_MESSAGES.lockFileNotWritten, { file, reason: errnoText(errno) });
}

/** flock(1) locks the descriptor it inherits, which is the same open file as ours: the lock outlives the program. */
function tryLockByProgram(fd: number, directory: string, program: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, ['-x', '-n', '3'], { stdio: ['ignore', 'ignore', 'ignore', fd] });
    child.once('error', (cause) => {
      reject(new MessageError(PROCESS_MESSAGES.noLockCall, { directory }, { cause }));
    });
    child.once('exit', (status) => resolve(status === 0));
  });
}

function holding(
  fd: number,
  file: string,
  directory: string,
  { lines = [] }: Pick<LockOptions, 'lines'>,
): DirectoryLock {
  const startedAt = Math.floor((Date.now() - performance.now()) / 1000);
  const contents = Buffer.from([process.pid, directory, startedAt, ...lines, ''].join('\n'), 'utf8');
  try {
    // Longer than before or shorter: a reader never finds the file empty.
    writeSync(fd, contents, 0, contents.length, 0);
    ftruncateSync(fd, contents.length);
  } catch (error) {
    const reason = errorText(error);
    throw new MessageError(PROCESS_MESSAGES.lockFileNotWritten, { file, reason }, { cause: error });
  }
  return {
    fd,
    isInPlace: () => isAt(fd, file),
    release: () => {
      try {
        // While the lock still holds, so that no other process's file can be hit.
        if (isAt(fd, file)) unlinkSync(file);
      } catch {
        // A directory that has become read-only keeps the file; without the lock it means nothing.
      }
      closeSync(fd);
    },
    leaveToSuccessor: () => closeSync(fd),
  };
}
