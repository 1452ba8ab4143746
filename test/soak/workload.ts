/**
 * The applications: writers that add elements to a set, one at a time, and keep account of each, and readers of
 * standbys. Half of them are aware drivers, half are stock ones that come through the gateway.
 */
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { CmClient } from '../../src/client/client.js';
import type { Account, Outcome } from './ledger.js';
import type { ApplicationHost } from './scene.js';
import { INSERT } from './scene.js';
import { isTooLong, type Judge, judged, LONG_MS, type LongWait, type Waiting } from './waits.js';

/** Pause of a writer between two elements, and after a failure. */
const PACE_MS = 100;

export type Driver = 'aware' | 'stock';
type Client = CmClient | pg.Client;

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
  /** Those of its waits that were long and have ended. */
  readonly longWaits: LongWait[] = [];
  /** What was longer than it may be. */
  readonly stuck: LongWait[] = [];
  longestMs = 0;

  constructor(
    readonly name: string,
    readonly host: ApplicationHost,
    readonly driver: Driver,
    private readonly judge: Judge,
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

  /** What it waits for, if it does. */
  get waiting(): Waiting | undefined {
    return this.#waiting;
  }

  /** Notes what has taken too long so far; asked now and then, so that what never ends is seen, too. */
  look(now: number): void {
    if (this.#waiting === undefined) return;
    const wait = judged(this.judge, this.name, this.#waiting, now, false);
    if (isTooLong(wait, this.judge.patience.boundMs)) this.stuck.push(wait);
  }

  protected async timed<T>(what: Waiting['what'], deed: () => Promise<T>): Promise<T> {
    const waiting: Waiting = { since: performance.now(), what, seen: new Set() };
    this.#waiting = waiting;
    try {
      return await deed();
    } finally {
      this.#waiting = undefined;
      this.#waited(judged(this.judge, this.name, waiting, performance.now(), true));
    }
  }

  #waited(wait: LongWait): void {
    this.longestMs = Math.max(this.longestMs, wait.inVainMs);
    if (wait.ms > LONG_MS) this.longWaits.push(wait);
    if (isTooLong(wait, this.judge.patience.boundMs)) this.stuck.push(wait);
  }

  async #open(): Promise<Client | undefined> {
    const { port } = this.host.conmgr;
    const config = {
      host: '127.0.0.1',
      port,
      user: 'postgres',
      database: 'postgres',
      application_name: this.name,
    };
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
