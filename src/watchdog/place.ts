/**
 * Where the watchdog is found: its lock and its control socket in pg_stat_tmp of the data directory. They go along when
 * another directory takes the place of that one, as after a base backup.
 *
 * A lock is one on a file, not on a name: in the new directory a second watchdog would find none. The postmaster looks
 * after its own lock file likewise (PostgreSQL src/backend/utils/init/miscinit.c, RecheckDataDirLockFile).
 */
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { WATCHDOG_FILES } from '../core/control/watchdog.js';
import type { Log } from '../core/messages/message.js';
import { MessageError } from '../core/messages/message-error.js';
import { PROCESS_MESSAGES } from '../core/messages/process.js';
import { WATCHDOG_MESSAGES } from '../core/messages/watchdog.js';
import type { Clock } from '../core/time.js';
import { type DirectoryLock, lockDirectory } from '../io/directory-lock.js';
import { notWritable } from './not-writable.js';

export interface PlaceOptions {
  readonly clock: Clock;
  readonly log: Log;
}

/** An open control socket. */
export interface OpenControl {
  close(): Promise<void>;
}

export class WatchdogPlace {
  readonly #dataDirectory: string;
  /** pg_stat_tmp. */
  readonly #directory: string;
  readonly #options: PlaceOptions;
  #lock: DirectoryLock | undefined;
  #control: OpenControl | undefined;
  #openControl: ((directory: string) => Promise<OpenControl>) | undefined;
  /** Which directory was last found to be unusable. */
  #unusable: string | undefined;
  #renewing: Promise<boolean> | undefined;
  #left = false;

  private constructor(dataDirectory: string, options: PlaceOptions) {
    this.#dataDirectory = dataDirectory;
    this.#directory = join(dataDirectory, WATCHDOG_FILES.directory);
    this.#options = options;
  }

  /** Rejects with MessageError alreadyRunning when another watchdog is there; a directory that cannot be written is put up with. */
  static async take(dataDirectory: string, options: PlaceOptions): Promise<WatchdogPlace> {
    const place = new WatchdogPlace(dataDirectory, options);
    const pid = await place.#takeLock();
    if (pid === undefined) return place;
    throw new MessageError(WATCHDOG_MESSAGES.alreadyRunning, { directory: dataDirectory, pid });
  }

  /** Opens the control socket with `open`, now and in each directory that comes after this one. */
  async serve(open: (directory: string) => Promise<OpenControl>): Promise<void> {
    this.#openControl = open;
    await this.#serveHere();
  }

  /** Follows the name of the data directory to the directory that has it now. True: there was another one. */
  renew(): Promise<boolean> {
    this.#renewing ??= this.#renew().finally(() => {
      this.#renewing = undefined;
    });
    return this.#renewing;
  }

  async leave(): Promise<void> {
    this.#left = true;
    await this.#renewing;
    await this.#control?.close();
    this.#lock?.release();
  }

  async #renew(): Promise<boolean> {
    const here = identityOf(this.#directory);
    if (this.#left || here === undefined || here === this.#unusable) return false;
    const before = this.#lock;
    if (before?.isInPlace() === true) return false;
    const pid = await this.#takeLock();
    if (pid !== undefined)
      this.#options.log.write(WATCHDOG_MESSAGES.secondWatchdog, { directory: this.#dataDirectory, pid });
    if (this.#lock === before) return false;
    before?.release();
    // The socket of before goes first: its end removes what has its name, which must not be the new one.
    await this.#control?.close();
    this.#control = undefined;
    await this.#serveHere();
    return true;
  }

  /** Returns the PID of another watchdog that has it. */
  async #takeLock(): Promise<string | undefined> {
    const { clock, log } = this.#options;
    const here = identityOf(this.#directory);
    try {
      this.#lock = await lockDirectory(this.#directory, { clock, name: WATCHDOG_FILES.lock });
      this.#unusable = undefined;
      return undefined;
    } catch (error) {
      if (!(error instanceof MessageError)) throw error;
      if (error.code === PROCESS_MESSAGES.directoryInUse.code)
        return String(error.params['pid'] ?? 'unknown');
      this.#unusable = here;
      const consequence =
        'A second watchdog would not be noticed, and links are not remembered over a restart';
      const reason = String(error.params['reason'] ?? error.message);
      log.write(
        WATCHDOG_MESSAGES.notWritable,
        notWritable(join(this.#directory, WATCHDOG_FILES.lock), reason, consequence),
      );
      return undefined;
    }
  }

  async #serveHere(): Promise<void> {
    this.#control = await this.#openControl?.(this.#directory).catch((error: Error) => {
      const file = join(this.#directory, WATCHDOG_FILES.socket);
      this.#options.log.write(WATCHDOG_MESSAGES.controlUnavailable, { file, reason: error.message });
      return undefined;
    });
  }
}

/** Tells a directory from another one of the same name; undefined: there is none. */
function identityOf(path: string): string | undefined {
  try {
    const { dev, ino } = statSync(path);
    return `${dev} ${ino}`;
  } catch {
    return undefined;
  }
}
