/**
 * What the service manager keeps for this conmgr: its listening sockets as long as it runs, so that whoever connects while
 * no process is there waits; and at a restart everything else, for the process that is started next
 * (docs/decisions/0035-hand-over.md).
 */
import type { ConmgrConfig } from '../core/config/types.js';
import { CONMGR_MESSAGES } from '../core/messages/conmgr.js';
import type { Log } from '../core/messages/message.js';
import { DescriptorStore, openStored } from '../io/descriptor-store.js';
import type { HandedDescriptors, NamedDescriptor } from '../io/handed-descriptors.js';
import type { Notifier } from '../io/notify.js';
import { takeStoredDescriptors } from '../io/stored-descriptors.js';
import type { UnixRights } from '../io/unix-rights.js';
import { tryPorts } from './app-listeners.js';
import type { Daemon } from './daemon.js';
import { acceptInheritance, type Inheritance, openInheritance } from './succession.js';

export interface ManagerStoreOptions {
  readonly notifier: Notifier;
  /** Undefined where descriptors cannot be passed. */
  readonly rights: UnixRights | undefined;
  readonly log: Log;
}

export class ManagerStore {
  readonly #options: ManagerStoreOptions;
  readonly #stored: readonly NamedDescriptor[];
  readonly #store: DescriptorStore;

  /** Takes what `env` says that systemd has passed. */
  constructor(env: NodeJS.ProcessEnv, options: ManagerStoreOptions) {
    this.#options = options;
    this.#stored = takeStoredDescriptors(env);
    this.#store = new DescriptorStore(
      options.notifier,
      this.#stored.map(({ name }) => name),
    );
  }

  /**
   * What the process before this one has left there; the caller must hold the lock of the directory. Rejects with
   * MessageError when a port cannot be had: then all is there still for the next attempt.
   */
  async inheritance(conmgrId: string, config: ConmgrConfig): Promise<Inheritance> {
    const { rights, log } = this.#options;
    if (this.#stored.length > 0) await tryPorts(config, this.#stored);
    const handed = openStored(rights, this.#stored);
    // What was handed over is true once.
    this.#store.keep(handed.listeners);
    return rights === undefined
      ? { document: undefined, sockets: [], listeners: handed.listeners }
      : acceptInheritance(openInheritance(rights, handed, conmgrId, log), log);
  }

  /** The listening sockets of a process that is up. */
  keep(daemon: Pick<Daemon, 'listening'>): void {
    this.#store.keep(daemon.listening);
  }

  /** The end is none of a restart. */
  clear(): void {
    this.#store.clear();
  }

  /** Ends the process for the next one, which gets everything if that is possible. */
  async restart(daemon: Daemon): Promise<void> {
    const reason = (await whyNoNextProcess(daemon)) || daemon.handOver({ receive: this.#receiver(daemon) });
    if (reason !== '') this.#restartPlainly(daemon, reason);
  }

  #receiver(daemon: Daemon): (handed: HandedDescriptors) => string {
    return ({ state }) => {
      const { rights } = this.#options;
      if (rights === undefined || state === undefined) return 'koffi.node could not be loaded';
      const reason = this.#store.handOver(rights, state);
      // Once the daemon goes on.
      if (reason !== '') setImmediate(() => this.#restartPlainly(daemon, reason));
      return reason;
    };
  }

  #restartPlainly(daemon: Daemon, reason: string): void {
    this.#options.log.write(CONMGR_MESSAGES.restartWithoutHandOver, { reason });
    daemon.stop('restart', 'restart');
  }
}

/** The service manager starts the next process only when this one is gone: it is not to find what keeps it from starting.
 *  '' = it will not. */
async function whyNoNextProcess(daemon: Daemon): Promise<string> {
  const [problem] = await daemon.configurationProblems();
  return problem ?? '';
}
