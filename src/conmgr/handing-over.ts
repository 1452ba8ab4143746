/** The end of a conmgr that hands over: from the moment it accepts no more until its successor has everything. */
import { closeSync } from 'node:fs';
import { CONMGR_MESSAGES } from '../core/messages/conmgr.js';
import type { MonotonicMs } from '../core/time.js';
import type { NamedDescriptor } from '../io/handed-descriptors.js';
import { NativeCallError, type UnixRights } from '../io/unix-rights.js';
import { type Bequest, bequeath, type Heir } from './succession.js';

export type HandingOverOptions = Omit<Bequest, 'rights' | 'listeners'> & {
  /** Undefined where descriptors cannot be passed. */
  readonly rights: UnixRights | undefined;
};

export class HandingOver {
  readonly #options: HandingOverOptions;
  #heir: Heir | undefined;
  /** Copies of the listening sockets: who connects now waits in the kernel for the successor. */
  #listeners: readonly NamedDescriptor[] = [];

  constructor(options: HandingOverOptions) {
    this.#options = options;
  }

  get begun(): boolean {
    return this.#heir !== undefined;
  }

  /** Keeps the listening sockets open, which the caller may close then. Yields '', or why it cannot be. */
  begin(heir: Heir, listeners: readonly NamedDescriptor[]): string {
    const { rights } = this.#options;
    if (rights === undefined) return 'koffi.node could not be loaded';
    const copies: NamedDescriptor[] = [];
    try {
      for (const { fd, name } of listeners) copies.push({ fd: rights.duplicate(fd), name });
    } catch (error) {
      for (const { fd } of copies) closeSync(fd);
      if (!(error instanceof NativeCallError)) throw error;
      return error.message;
    }
    this.#listeners = copies;
    this.#heir = heir;
    return '';
  }

  /** The process is to end in another way. */
  giveUp(): void {
    for (const { fd } of this.#listeners) closeSync(fd);
    this.#listeners = [];
    this.#heir = undefined;
  }

  /** The last act, once begun. Undefined: this process must end now; otherwise it goes on, with these listening sockets. */
  finish(now: MonotonicMs): readonly NamedDescriptor[] | undefined {
    const { rights, log } = this.#options;
    const listeners = this.#listeners;
    const heir = this.#heir;
    this.#heir = undefined;
    this.#listeners = [];
    if (heir === undefined || rights === undefined) return listeners;
    const reason = bequeath({ ...this.#options, rights, listeners }, heir, now);
    if (reason === '') return undefined;
    log.write(CONMGR_MESSAGES.handOverFailed, { reason });
    return listeners;
  }
}
