/**
 * Events of the files in a data directory that announce a change of the instance.
 *
 * Only the directory itself is watched: pg_wal alone would bring thousands of events a second under load.
 */
import { type FSWatcher, watch } from 'node:fs';
import { stat } from 'node:fs/promises';
import { basename } from 'node:path';

/** Created and removed in a promotion (PostgreSQL src/backend/access/transam/xlog.c, PROMOTE_SIGNAL_FILE and others). */
export const ROLE_FILES: ReadonlySet<string> = new Set(['promote', 'standby.signal', 'recovery.signal']);
/** Written at every change of the postmaster's state. */
export const PID_FILE = 'postmaster.pid';

export interface DataDirectoryWatch {
  /** Looks whether the directory is still the one that is watched, and watches the new one if it was replaced. */
  renew(): Promise<void>;
  close(): void;
}

export interface DataDirectoryEvents {
  /** The name of a file of the two above; PID_FILE after the directory was replaced. */
  changed(name: string): void;
  /** The kernel gives no watch: changes are noticed by the regular checks alone, until a renewal succeeds. */
  unwatched(error: NodeJS.ErrnoException): void;
}

/** `open` is that of the system unless a test has another. */
export function watchDataDirectory(
  path: string,
  events: DataDirectoryEvents,
  open: typeof watch = watch,
): DataDirectoryWatch {
  let watcher: FSWatcher | undefined;
  let inode: bigint | undefined;
  let closed = false;

  const arm = async (): Promise<void> => {
    const found = await stat(path, { bigint: true }).catch(() => undefined);
    if (closed || (found?.ino === inode && (watcher !== undefined || found === undefined))) return;
    const replaced = inode !== undefined && found?.ino !== inode;
    watcher?.close();
    watcher = undefined;
    inode = found?.ino;
    if (found === undefined) return;
    try {
      watcher = open(path, { persistent: false }, (_event, name) => {
        if (name === null) return;
        if (name === PID_FILE || ROLE_FILES.has(name)) events.changed(name);
        // An event of the directory itself, which may have been moved away or removed, comes with its own name.
        else if (name === basename(path)) void arm();
      });
      watcher.on('error', () => {
        watcher?.close();
        watcher = undefined;
      });
    } catch (error) {
      watcher = undefined;
      events.unwatched(error as NodeJS.ErrnoException);
    }
    if (replaced) events.changed(PID_FILE);
  };

  void arm();
  return {
    renew: arm,
    close: () => {
      closed = true;
      watcher?.close();
    },
  };
}
