/** The connection of a client of the console (`database=conmgr`). */
import { Buffer } from 'node:buffer';
import type { Socket } from 'node:net';
import { ConsoleSession, type ConsoleSource } from '../core/console/session.js';
import { type ConsoleFacts, columnsOf, showTable } from '../core/console/tables.js';
import type { Successor } from './app-connection.js';

/** Unread statements at the most; a client waits for its answers. */
const MAX_QUEUED_BYTES = 128 * 1024;

/** Where the console has its facts from. */
export interface ConsoleWorld {
  readonly software: string;
  facts(): Promise<ConsoleFacts>;
}

export class ConsoleConnection implements Successor {
  readonly #socket: Socket;
  readonly #session: ConsoleSession;
  readonly #finish: () => void;
  #queued: Buffer = Buffer.alloc(0);
  #busy = false;
  #wake: () => void = () => {};

  /** `finish` ends the connection in order. */
  constructor(socket: Socket, world: ConsoleWorld, params: ReadonlyMap<string, string>, finish: () => void) {
    this.#socket = socket;
    this.#finish = finish;
    const source: ConsoleSource = {
      software: world.software,
      columns: columnsOf,
      show: async (subject) => showTable(subject, await world.facts()),
    };
    this.#session = new ConsoleSession(source);
    socket.write(this.#session.greet(params));
  }

  take(chunk: Buffer): void {
    this.#queued = Buffer.concat([this.#queued, chunk]);
    if (this.#queued.length > MAX_QUEUED_BYTES) this.#socket.pause();
    if (!this.#busy) this.#work().catch(() => this.#socket.destroy());
  }

  ended(): void {
    this.#finish();
  }

  drained(): void {
    this.#wake();
  }

  closed(): void {
    this.#wake();
  }

  reset(): void {
    this.#socket.destroy();
  }

  /** One batch after the other; a client that does not read its answers gets no more of them. */
  async #work(): Promise<void> {
    this.#busy = true;
    while (this.#queued.length > 0 && !this.#session.isOver) {
      const queued = this.#queued;
      this.#queued = Buffer.alloc(0);
      const answer = await this.#session.take(queued);
      if (!this.#socket.writable) return;
      if (!this.#socket.write(answer)) {
        await new Promise<void>((drained) => {
          this.#wake = drained;
        });
      }
      this.#socket.resume();
    }
    this.#busy = false;
    if (this.#session.isOver) this.#finish();
  }
}
