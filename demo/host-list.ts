/**
 * Sessions without conmgr: plain node-postgres and a list of hosts, which are tried one by one until one takes writes,
 * as libpq does with target_session_attrs=read-write (PostgreSQL documentation, 32.1.1.3, Specifying Multiple
 * Hosts). The time-outs are libpq's defaults: connect_timeout none, keepalives on with the times of the operating
 * system (two hours on Linux), tcp_user_timeout that of the operating system; Node.js has no such option anyway.
 */
import pg from 'pg';
import type { Session, SessionSource } from './writer.js';

/** A server of the list. */
export interface ListedHost {
  readonly name: string;
  readonly host: string;
  readonly port: number;
}

/** One session at a time, kept until it breaks, and then looked for anew from the top of the list. */
export class HostList implements SessionSource {
  readonly #hosts: readonly ListedHost[];
  #session: Session | undefined;
  #onIdleLoss: (error: Error) => void = () => {};

  constructor(hosts: readonly ListedHost[]) {
    this.#hosts = hosts;
  }

  onIdleLoss(listener: (error: Error) => void): void {
    this.#onIdleLoss = listener;
  }

  async open(): Promise<Session> {
    this.#session ??= await this.#probe();
    return this.#session;
  }

  async #probe(): Promise<Session> {
    for (const host of this.#hosts) {
      const session = await this.#connect(host).catch(() => undefined);
      if (session !== undefined) return session;
    }
    throw new Error('no host of the list takes writes');
  }

  /** A session with this host; undefined if it does not take writes. */
  async #connect({ name, host, port }: ListedHost): Promise<Session | undefined> {
    const client = new pg.Client({
      host,
      port,
      user: 'postgres',
      database: 'postgres',
      application_name: 'demo host list',
      connectionTimeoutMillis: 0,
      keepAlive: true,
    });
    const session: Session = {
      server: name,
      query: (text, values) => client.query(text, [...values]),
      release: (error) => {
        if (error === undefined) return;
        this.#session = undefined;
        client.end().catch(() => {});
      },
    };
    client.on('error', (error) => {
      if (this.#session !== session) return;
      this.#session = undefined;
      this.#onIdleLoss(error);
    });
    await client.connect();
    const { rows } = await client.query<{ transaction_read_only: string }>('show transaction_read_only');
    if (rows[0]?.transaction_read_only === 'off') return session;
    await client.end();
    return undefined;
  }
}
