/** The postmaster as its file and the process table show it, followed over its restarts. */
import type { PostmasterFact } from '../core/instance/attributes.js';
import type { PostmasterPid } from '../core/instance/postmaster-files.js';
import type { Log } from '../core/messages/message.js';
import { WATCHDOG_MESSAGES } from '../core/messages/watchdog.js';
import { type DataDirectory, readPostmaster } from '../io/data-directory.js';
import { PID_FILE } from '../io/data-directory-watch.js';
import { probePostmaster } from '../io/pg-probe.js';
import { probeTarget } from './probe-loop.js';

/** A postmaster whose process cannot be seen (another PID namespace) gets this long to answer a probe. */
const UNSEEN_PROBE_MS = 50;

export class PostmasterView {
  readonly #directory: DataDirectory;
  readonly #log: Log;
  #file: PostmasterPid | undefined;
  #fact: PostmasterFact = { kind: 'none' };

  constructor(directory: DataDirectory, log: Log) {
    this.#directory = directory;
    this.#log = log;
  }

  /** postmaster.pid of the present postmaster, or of the last one. */
  get file(): PostmasterPid | undefined {
    return this.#file;
  }

  get fact(): PostmasterFact {
    return this.#fact;
  }

  /** Reads the file. `another`: it is of another postmaster than before. What cannot be read stays as it was. */
  async look(): Promise<{ readonly changed: boolean; readonly another: boolean }> {
    const before = this.#file;
    const factBefore = JSON.stringify(this.#fact);
    try {
      const { fact, file } = await readPostmaster(this.#directory.path);
      this.#file = file ?? before;
      this.#fact = fact.kind === 'gone' && file !== undefined ? await this.#unlessUnseen(fact, file) : fact;
    } catch (error) {
      const file = `${this.#directory.path}/${PID_FILE}`;
      this.#log.write(WATCHDOG_MESSAGES.directoryUnreadable, { file, reason: (error as Error).message });
    }
    const another = this.#file?.pid !== before?.pid || this.#file?.startTime !== before?.startTime;
    return { changed: JSON.stringify(this.#fact) !== factBefore, another };
  }

  /** There may be a postmaster although its process cannot be seen, as in a container beside that of PostgreSQL. */
  async #unlessUnseen(gone: PostmasterFact, file: PostmasterPid): Promise<PostmasterFact> {
    const { answered } = await probePostmaster(probeTarget(file), UNSEEN_PROBE_MS);
    return answered ? { kind: 'running', pid: file.pid, status: file.status } : gone;
  }
}
