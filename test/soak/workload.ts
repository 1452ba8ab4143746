/**
 * The applications: writers that add elements to a set, one at a time, and keep account of each, and readers of
 * standbys. Half of them are aware drivers, half are stock ones that come through the gateway.
 */
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { CmClient } from '../../src/client/client.js';
import type { Account, Outcome } from './ledger.js';
import type { Patience } from './patience.js';
import type { ApplicationHost } from './scene.js';
import { INSERT } from './scene.js';

/** Pause of a writer between two elements, and after a failure. */
const PACE_MS = 100;

export type Driver = 'aware' | 'stock';
type Client = CmClient | pg.Client;

/** What an application waits for at this moment. */
interface Waiting {
  readonly since: number;
  readonly what: 'connect' | 'query';
}

/** An application that waited longer than it may. */
export interface Stuck {
  readonly who: string;
  readonly what: string;
  readonly ms: number;
}

/** One session at a time, and what is done in it, over and over. */
export abstract class Application {
  #client: Client | undefined;
  #waiting: Waiting | undefined;
  #stopped = false;
  /** Sessions that ended, or could not be had, or statements that failed. */
  troubles = 0;
  /** The last of them, for who looks into one. */
  lastTrouble = '';
  /** Statements that were answered. */
  answers = 0;
  readonly stuck: Stuck[] = [];
  longestMs = 0;

  constructor(
    readonly name: string,
    readonly host: ApplicationHost,
    readonly driver: Driver,
    private readonly patience: () => Patience,
  ) {}

  abstract target: 'read-write' | 'prefer-standby';
  protected abstract work(client: Client): Promise<void>;

  async run(): Promise<void> {
    while (!this.#stopped) {
      const client = this.#client ?? (await this.#open());
      if (client !== undefined) {
        try {
          await this.work(client);
        } catch (error) {
          this.#trouble(error);
          this.#drop(client);
        }
      }
      await delay(PACE_MS);
    }
    await this.#client?.end().catch(() => {});
  }

  stop(): void {
    this.#stopped = true;
  }

  /** Notes what has taken too long so far; asked now and then, so that what never ends is seen, too. */
  look(now: number): void {
    if (this.#waiting === undefined) return;
    this.#judge(this.#waiting, now, false);
  }

  protected async timed<T>(what: Waiting['what'], deed: () => Promise<T>): Promise<T> {
    const waiting = { since: performance.now(), what };
    this.#waiting = waiting;
    try {
      return await deed();
    } finally {
      this.#waiting = undefined;
      this.#judge(waiting, performance.now(), true);
    }
  }

  #judge({ since, what }: Waiting, now: number, ended: boolean): void {
    const ms = Math.round(this.patience().waited(since, now));
    if (ended) this.longestMs = Math.max(this.longestMs, ms);
    if (!this.patience().isOver(since, now)) return;
    const known = this.stuck.findIndex((one) => one.what.startsWith(`${what} since ${Math.round(since)}`));
    const stuck = {
      who: this.name,
      what: `${what} since ${Math.round(since)}${ended ? '' : ', still'}`,
      ms,
    };
    if (known < 0) this.stuck.push(stuck);
    else this.stuck[known] = stuck;
  }

  async #open(): Promise<Client | undefined> {
    const { port } = this.host.conmgr;
    const config = { host: '127.0.0.1', port, user: 'postgres', database: 'postgres' };
    const client: Client =
      this.driver === 'aware'
        ? new CmClient({ ...config, target_session_attrs: this.target })
        : new pg.Client({
            ...config,
            ...(this.target === 'read-write'
              ? {}
              : { options: `-c conmgr.target_session_attrs=${this.target}` }),
          });
    client.on('error', (error) => {
      if (this.#client !== client) return;
      this.#trouble(error);
      this.#client = undefined;
    });
    try {
      await this.timed('connect', () => client.connect());
    } catch (error) {
      this.#trouble(error);
      return undefined;
    }
    this.#client = client;
    return client;
  }

  #trouble(error: unknown): void {
    this.troubles += 1;
    this.lastTrouble = error instanceof Error ? error.message : String(error);
  }

  #drop(client: Client): void {
    if (this.#client === client) this.#client = undefined;
    client.end().catch(() => {});
  }
}

export class Writer extends Application implements Account {
  readonly target = 'read-write';
  readonly outcomes = new Map<number, Outcome>();
  #lastId = 0;

  protected async work(client: Client): Promise<void> {
    this.#lastId += 1;
    const id = this.#lastId;
    try {
      await this.timed('query', () => client.query(INSERT, [this.name, id]));
    } catch (error) {
      // The server's own word ERROR means that nothing was written; any other end leaves that open.
      const refused = (error as { severity?: unknown }).severity === 'ERROR';
      this.outcomes.set(id, refused ? 'failed' : 'unknown');
      throw error;
    }
    this.outcomes.set(id, 'acknowledged');
    this.answers += 1;
  }
}

export class Reader extends Application {
  readonly target = 'prefer-standby';

  protected async work(client: Client): Promise<void> {
    await this.timed('query', () => client.query('select count(*) from soak_row where id < 10'));
    this.answers += 1;
  }
}
