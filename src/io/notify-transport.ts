/** The ways by which a process reaches its service manager: straight to its socket, or through systemd-notify(1). */
import { execFile, execFileSync } from 'node:child_process';
import { closeSync } from 'node:fs';
import { constants } from 'node:os';
import type { Clock, TimerHandle } from '../core/time.js';
import type { Native } from './native.js';
import { DatagramSender } from './unix-datagram.js';
import { NativeCallError, UnixRights } from './unix-rights.js';

/** A queue that is full is tried again this often; systemd may be busy reloading itself. */
const RETRY_MS = 100;

/** What waits for a full queue at most; READY=1 and its like, so never many. */
const MOST_WAITING = 32;

/** The last word of a process may hold up its end for so long. */
const LAST_WORD_MS = 1000;

const { EAGAIN, ENOBUFS, EINTR } = constants.errno;
const TRY_AGAIN: ReadonlySet<number> = new Set([EAGAIN, ENOBUFS, EINTR]);

export interface NotifyTransport {
  /** False: it will not be sent. */
  readonly send: (assignments: string, fds: readonly number[]) => boolean;
  /** The last word, without another turn of the event loop. */
  readonly sendLast: (assignments: string) => void;
  readonly sendNow: (assignments: string, fds: readonly number[], timeoutMs: number) => boolean;
  readonly barrier: (timeoutMs: number) => boolean;
  close(): void;
}

export const SILENT: NotifyTransport = {
  send: () => false,
  sendLast: () => {},
  sendNow: () => false,
  barrier: () => false,
  close: () => {},
};

interface Waiting {
  readonly datagram: Buffer;
  readonly fds: readonly number[];
}

/** Straight to the socket. What a full queue does not take is kept and tried again, in order. */
export function direct(native: Native, path: string, clock: Clock): NotifyTransport {
  const sender = new DatagramSender(native, path);
  const waiting: Waiting[] = [];
  let timer: TimerHandle | undefined;
  const drain = (): void => {
    for (let first = waiting[0]; first !== undefined; first = waiting[0]) {
      if (TRY_AGAIN.has(sender.send(first.datagram, first.fds))) {
        timer ??= clock.setTimer(RETRY_MS, () => {
          timer = undefined;
          drain();
        });
        return;
      }
      waiting.shift();
    }
  };
  const send: NotifyTransport['send'] = (assignments, fds) => {
    if (waiting.length >= MOST_WAITING) return false;
    waiting.push({ datagram: Buffer.from(assignments, 'utf8'), fds });
    drain();
    return true;
  };
  const sendNow: NotifyTransport['sendNow'] = (assignments, fds, timeoutMs) => {
    const until = performance.now() + timeoutMs;
    const last = { datagram: Buffer.from(assignments, 'utf8'), fds };
    for (const one of [...waiting, last]) {
      const leftMs = Math.max(1, Math.ceil(until - performance.now()));
      const errno = sender.sendWithin(one.datagram, one.fds, leftMs);
      if (one === last) return errno === 0;
      if (TRY_AGAIN.has(errno)) return false;
      waiting.shift();
    }
    return false;
  };
  return {
    send,
    // A queue that is full now is not waited for.
    sendLast: (assignments) => void send(assignments, []),
    sendNow,
    barrier: (timeoutMs) => awaitBarrier(new UnixRights(native), sendNow, timeoutMs),
    close: () => {
      timer?.cancel();
      waiting.length = 0;
      sender.close();
    },
  };
}

/** systemd closes the descriptor that comes with BARRIER=1 when it has come so far. */
function awaitBarrier(rights: UnixRights, sendNow: NotifyTransport['sendNow'], timeoutMs: number): boolean {
  const until = performance.now() + timeoutMs;
  try {
    const [ours, theirs] = rights.pair();
    try {
      const isSent = sendNow('BARRIER=1', [theirs], timeoutMs);
      closeSync(theirs);
      return isSent && rights.waitReadable(ours, Math.max(0, until - performance.now()));
    } finally {
      closeSync(ours);
    }
  } catch (error) {
    if (error instanceof NativeCallError) return false;
    throw error;
  }
}

/** Through systemd-notify(1), one call at a time so that the order holds. systemd takes its word for ours only
 *  with NotifyAccess=all. */
export function byProgram(program: string, path: string): NotifyTransport {
  const waiting: string[][] = [];
  let running = false;
  const next = (): void => {
    const assignments = waiting.shift();
    if (assignments === undefined || running) return;
    running = true;
    execFile(program, assignments, { env: { ...process.env, NOTIFY_SOCKET: path }, timeout: 5000 }, () => {
      // Its failure is no more our concern than that of a datagram: the service manager has its own time-out.
      running = false;
      next();
    });
  };
  return {
    send: (assignments, fds) => {
      if (fds.length > 0 || waiting.length >= MOST_WAITING) return false;
      waiting.push(assignments.split('\n'));
      if (!running) next();
      return true;
    },
    sendLast: (assignments) => {
      waiting.length = 0;
      try {
        const env = { ...process.env, NOTIFY_SOCKET: path };
        execFileSync(program, assignments.split('\n'), { env, timeout: LAST_WORD_MS, stdio: 'ignore' });
      } catch {
        // The log has it too.
      }
    },
    // It passes descriptors in late versions only (--fd=, systemd 254).
    sendNow: () => false,
    barrier: () => false,
    close: () => {
      waiting.length = 0;
    },
  };
}
