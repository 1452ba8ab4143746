/** Watches from inside a server, through its Unix socket, when the sessions of a host end. */
import type pg from 'pg';
import { nowMs } from './application.js';
import type { Database } from './scene.js';

const EVERY_MS = 10;

export class Backends {
  /** When the count of sessions went down first, and when it was 0. */
  firstEndedMs: number | undefined;
  allEndedMs: number | undefined;
  #over = false;
  #wake: () => void = () => {};
  readonly #done: Promise<void>;

  private constructor(
    private readonly client: pg.Client,
    private readonly address: string,
    readonly atFirst: number,
  ) {
    this.#done = this.#watch();
  }

  /** From now on, for sessions of the user `app` from this address. */
  static async watch(database: Database, address: string): Promise<Backends> {
    const client = await database.server.connect({ host: database.server.socketDir });
    return new Backends(client, address, await count(client, address));
  }

  /** Returns when all have ended. */
  async ended(timeoutMs: number): Promise<{ readonly firstMs: number; readonly allMs: number }> {
    const timer = setTimeout(() => this.#stop(), timeoutMs);
    await this.#done;
    clearTimeout(timer);
    if (this.allEndedMs === undefined) throw new Error(`sessions of ${this.address} live on`);
    return { firstMs: this.firstEndedMs!, allMs: this.allEndedMs };
  }

  async end(): Promise<void> {
    this.#stop();
    await this.#done;
  }

  #stop(): void {
    this.#over = true;
    this.#wake();
  }

  async #watch(): Promise<void> {
    try {
      while (!this.#over && this.allEndedMs === undefined) {
        const left = await count(this.client, this.address);
        if (left < this.atFirst) this.firstEndedMs ??= nowMs();
        if (left === 0) this.allEndedMs = nowMs();
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
          setTimeout(resolve, EVERY_MS);
        });
      }
    } finally {
      await this.client.end();
    }
  }
}

async function count(client: pg.Client, address: string): Promise<number> {
  const { rows } = await client.query<{ count: number }>({
    name: 'count',
    text: "select count(*)::int from pg_stat_activity where usename = 'app' and host(client_addr) = $1",
    values: [address],
  });
  return rows[0]?.count ?? 0;
}
