/** Waiting for a process: for what it reports, for its end, and no longer than the user wants. */
import { type FSWatcher, watch } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import type { StatusReport } from '../core/control/protocol.js';
import { ControlUnavailable, watchControl } from '../io/control-socket.js';
import type { Output } from './output.js';

/** A dot a second while waiting, as pg_ctl shows it: `waiting for conmgr to start.... done`. */
export class Progress {
  readonly #output: Output;
  readonly #timer: NodeJS.Timeout;

  constructor(output: Output, what: string) {
    this.#output = output;
    output.text(`waiting for conmgr to ${what}...`);
    this.#timer = setInterval(() => output.text('.'), 1000);
  }

  /** Ends the line. */
  end(word: 'done' | 'failed' | 'stopped waiting'): void {
    clearInterval(this.#timer);
    this.#output.text(` ${word}\n`);
  }
}

/** Why somebody stops waiting. */
export type Patience = 'timed out' | 'interrupted';

/** A limit on waiting: `over` settles when it is reached. `signal` is aborted at the same moment, and by `end`. */
export interface Limit {
  readonly over: Promise<Patience>;
  readonly signal: AbortSignal;
  /** No longer needed. */
  end(): void;
}

/** `timeoutMs` 0: only an interruption ends it. */
export function limitWaiting(timeoutMs: number, interrupted: AbortSignal): Limit {
  const controller = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const over = new Promise<Patience>((resolve) => {
    const stop = (why: Patience) => {
      resolve(why);
      controller.abort();
    };
    if (interrupted.aborted) stop('interrupted');
    interrupted.addEventListener('abort', () => stop('interrupted'), { signal: controller.signal });
    if (timeoutMs > 0) timer = setTimeout(() => stop('timed out'), timeoutMs);
  });
  const end = () => {
    clearTimeout(timer);
    controller.abort();
  };
  return { over, signal: controller.signal, end };
}

/** A process that has its socket but answers that it is still starting is asked again after this. */
const STARTING_RETRY_MS = 20;
/** A directory that cannot be watched is looked at this often for the socket. */
const LOOK_MS = 100;

/**
 * Calls `onReport` with every status that conmgr tells, from as soon as it runs until its end or `signal`. Resolves to
 * 'closed' or 'aborted'; rejects with ControlUnavailable when the directory is gone or closed to us.
 */
export async function followStatus(
  directory: string,
  onReport: (report: StatusReport) => void,
  signal: AbortSignal,
): Promise<'closed' | 'aborted'> {
  const events = watchDirectory(directory);
  try {
    while (!signal.aborted) {
      const seen = events.count;
      const end = await followOnce(directory, onReport, signal);
      if (end === 'closed') return 'closed';
      if (end === 'starting') await delay(STARTING_RETRY_MS, undefined, { signal }).catch(() => {});
      else if (end === 'absent') await events.next(seen, signal);
    }
    return 'aborted';
  } finally {
    events.close();
  }
}

async function followOnce(
  directory: string,
  onReport: (report: StatusReport) => void,
  signal: AbortSignal,
): Promise<'closed' | 'starting' | 'absent' | 'aborted'> {
  let reported = false;
  try {
    const connection = await watchControl(directory, (answer) => {
      if (answer.ok && 'status' in answer) {
        reported = true;
        onReport(answer.status);
      } else connection.close();
    });
    const close = () => connection.close();
    if (signal.aborted) close();
    signal.addEventListener('abort', close);
    await connection.closed;
    signal.removeEventListener('abort', close);
    if (signal.aborted) return 'aborted';
    return reported ? 'closed' : 'starting';
  } catch (error) {
    if (error instanceof ControlUnavailable && error.reason === 'not running') return 'absent';
    throw error;
  }
}

/** Changes of the files in a directory. */
interface DirectoryEvents {
  /** How many there were. */
  readonly count: number;
  /** Resolves when there were more than `seen`, or after a while in case they cannot be seen. */
  next(seen: number, signal: AbortSignal): Promise<void>;
  close(): void;
}

function watchDirectory(directory: string): DirectoryEvents {
  let count = 0;
  let wake: () => void = () => {};
  let watcher: FSWatcher | undefined;
  try {
    watcher = watch(directory, { persistent: false }, () => {
      count += 1;
      wake();
    });
    watcher.on('error', () => {});
  } catch {
    // No watch is left (inotify(7)), or the directory is gone: looking now and then remains.
  }
  return {
    get count() {
      return count;
    },
    next: async (seen, signal) => {
      if (count !== seen) return;
      const event = new AbortController();
      wake = () => event.abort();
      const stop = () => event.abort();
      signal.addEventListener('abort', stop);
      await delay(LOOK_MS, undefined, { signal: event.signal }).catch(() => {});
      signal.removeEventListener('abort', stop);
      wake = () => {};
    },
    close: () => watcher?.close(),
  };
}
