/**
 * The way bytes leave through descriptor 2 without ever making the process wait.
 *
 * Which way is right depends on what descriptor 2 is:
 * - pipe, terminal, device: opened a second time through /proc with O_NONBLOCK. The flag then belongs to us alone;
 *   set on the inherited descriptor it would hold for everybody who shares it (the shell, the next program).
 * - socket (journald's stream), or a pipe that another user owns: cannot be opened again, so the inherited
 *   descriptor is made non-blocking by Node's own process.stderr, which puts it back at exit.
 * - file, and what is left: never "full", but a disk may stall; written in the thread pool, one piece at a time.
 *   Not for pipes: process.exit() waits for a thread that is stuck in write(2), for ever.
 */
import { closeSync, constants, fstatSync, openSync, write, writeSync } from 'node:fs';

/** Octets taken; 0: none for now, the reader does not keep up; an error: these octets are lost. */
export type Taken = number | NodeJS.ErrnoException;

/** Where bytes go. */
export interface Outlet {
  /**
   * Octets that are handed over together when several messages wait; 1: each message by itself. In a pipe or a socket
   * the lines of others may stand between two writes, and a short write stays whole there (pipe(7), PIPE_BUF).
   */
  readonly together: number;
  /** Hands over a piece and calls `done`, possibly before it returns. One piece at a time. */
  write(bytes: Buffer, done: (taken: Taken) => void): void;
  /** Whether nothing that was written before can still come after what is written now, as far as can be seen. */
  landed(): boolean;
  /** Writes at once; only an outlet to a file may take the time of the disk. */
  writeNow(bytes: Buffer): Taken;
  close(): void;
}

const STDERR = 2;

/** The thread pool has one turn of the event loop for a write, however little that writes. */
const FILE_TOGETHER = 64 * 1024;

function tryWrite(fd: number, bytes: Buffer): Taken {
  try {
    return writeSync(fd, bytes);
  } catch (error) {
    const failure = error as NodeJS.ErrnoException;
    return failure.code === 'EAGAIN' ? 0 : failure;
  }
}

function nonBlocking(fd: number): Outlet {
  return {
    together: 1,
    landed: () => true,
    write: (bytes, done) => done(tryWrite(fd, bytes)),
    writeNow: (bytes) => tryWrite(fd, bytes),
    close: () => {
      if (fd !== STDERR) closeSync(fd);
    },
  };
}

/**
 * That a write has reached the file shows in the file's size before the event loop hears of it; from then on the kernel
 * has any other write to the file wait for the end of that one.
 */
function threaded(fd: number): Outlet {
  let sizeBefore: number | undefined;
  return {
    together: FILE_TOGETHER,
    landed: () => sizeBefore === undefined || fstatSync(fd).size !== sizeBefore,
    write: (bytes, done) => {
      sizeBefore = fstatSync(fd).size;
      write(fd, bytes, (error, written) => {
        sizeBefore = undefined;
        done(error ?? written);
      });
    },
    writeNow: (bytes) => tryWrite(fd, bytes),
    close: () => {},
  };
}

/** A descriptor of our own for what descriptor 2 refers to; undefined where the system allows none. */
function reopened(): number | undefined {
  const { O_WRONLY, O_APPEND, O_NONBLOCK, O_NOCTTY } = constants;
  try {
    return openSync(`/proc/self/fd/${STDERR}`, O_WRONLY | O_APPEND | O_NONBLOCK | O_NOCTTY);
  } catch {
    return undefined;
  }
}

/** The outlet for descriptor 2 as this process has it. */
export function openStderr(): Outlet {
  const kind = fstatSync(STDERR);
  if (kind.isFIFO() || kind.isCharacterDevice()) {
    const fd = reopened();
    if (fd !== undefined) return nonBlocking(fd);
  }
  if (kind.isFIFO() || kind.isSocket()) {
    // Reading the property opens the stream, which switches the descriptor to non-blocking.
    void process.stderr;
    return nonBlocking(STDERR);
  }
  return threaded(STDERR);
}

/** Whether journald reads descriptor 2 (systemd.exec(5), JOURNAL_STREAM: device and inode of the socket). */
export function isJournalStream(env: NodeJS.ProcessEnv): boolean {
  const stream = env['JOURNAL_STREAM'];
  if (stream === undefined) return false;
  const { dev, ino } = fstatSync(STDERR, { bigint: true });
  return stream === `${dev}:${ino}`;
}
