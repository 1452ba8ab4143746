/**
 * The loop that writes rows and keeps account of them. Both writers of the demo are this loop; they differ only in
 * where their sessions come from.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { type Happened, History, now } from './history.js';

/** A row is begun so long after the one before, or when that one is settled, if that is later. */
export const PACE_MS = 50;

/** A session that can write, as long as it lives. */
export interface Session {
  /** Name of the server it goes to. */
  readonly server: string;
  query(text: string, values: readonly unknown[]): Promise<unknown>;
  /** Gives it back; with an error: it is of no use any more. */
  release(error?: Error): void;
}

/** Where sessions for writing come from. */
export interface SessionSource {
  /** A session with a server that takes writes. Rejects when there is none now; nothing was sent then. */
  open(): Promise<Session>;
  /** Is to call `listener` when a session ends while nothing runs in it. */
  onIdleLoss(listener: (error: Error) => void): void;
}

export interface Acknowledged extends Happened {
  readonly id: number;
  readonly server: string;
}

export interface Loss extends Happened {
  readonly error: Error;
}

export interface Opened extends Happened {
  readonly server: string;
}

/** The table of both writers: one row a write, `writer` and `id` are its name. */
export const CREATE_TABLE =
  'create table demo_row (writer text, id int, at timestamptz default now(), primary key (writer, id))';
const INSERT = 'insert into demo_row (writer, id) values ($1, $2)';

/** Writes a row every `PACE_MS`, one at a time, each under a number of its own, and never gives up. */
export class Writer {
  readonly acknowledged = new History<Acknowledged>();
  /** Rows that were sent and never answered: they may be there or not. */
  readonly unknown = new History<Happened & { readonly id: number }>();
  /** The ends of sessions, as the application is told of them. */
  readonly losses = new History<Loss>();
  /** Sessions with another server than the session before. */
  readonly moves = new History<Opened>();
  #lastId = 0;
  #server = '';
  /** The first word of a loss counts; the next session makes room for the next loss. */
  #lossTold = false;

  constructor(
    readonly name: string,
    private readonly source: SessionSource,
  ) {
    source.onIdleLoss((error) => this.#lost(error));
  }

  /** Runs as long as the process. */
  async run(): Promise<never> {
    for (;;) {
      const next = now() + PACE_MS;
      await this.#writeOne();
      await delay(Math.max(0, next - now()));
    }
  }

  async #writeOne(): Promise<void> {
    const session = await this.source.open().catch(() => undefined);
    if (session === undefined) return;
    this.#lossTold = false;
    const { server } = session;
    if (server !== this.#server) this.moves.add({ at: now(), server });
    this.#server = server;
    this.#lastId += 1;
    const id = this.#lastId;
    try {
      await session.query(INSERT, [this.name, id]);
    } catch (thrown) {
      const error = thrown instanceof Error ? thrown : new Error(String(thrown));
      session.release(error);
      // The server's own word ERROR means that nothing was written; any other end leaves that open.
      if ((error as { severity?: unknown }).severity === 'ERROR') return;
      this.unknown.add({ at: now(), id });
      this.#lost(error);
      return;
    }
    this.acknowledged.add({ at: now(), id, server });
    session.release();
  }

  #lost(error: Error): void {
    if (this.#lossTold) return;
    this.#lossTold = true;
    this.losses.add({ at: now(), error });
  }
}
