/** Stock drivers of several languages behind one face, so that one test holds for all of them. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import pg from 'pg';
import postgres from 'postgres';
import { type Running, startCommand } from './running.js';
import { inTree } from './tree.js';

/** Where and as whom to connect. */
export interface DriverTarget {
  /** Name for the certificate; the address is 127.0.0.1 in any case. */
  readonly host?: string;
  readonly ports: readonly number[];
  readonly user?: string;
  readonly password?: string;
  /** File with the certificate that must be the server's, for sslmode=verify-full. */
  readonly rootCertificate?: string;
  /** Contents of the same file. */
  readonly certificate?: string;
  /** What the driver itself checks of the server, where it can; then `ports` are tried in their order. */
  readonly wish?: Wish;
}

/** In the words of pgjdbc. */
export type Wish = 'any' | 'primary' | 'secondary' | 'preferSecondary';
const LIBPQ_WISHES: Readonly<Record<Wish, string>> = {
  any: 'any',
  primary: 'primary',
  secondary: 'standby',
  preferSecondary: 'prefer-standby',
};

/** How a call failed. */
export class DriverError extends Error {
  constructor(
    readonly sqlState: string,
    text: string,
  ) {
    super(text);
  }
}

/** One connection of a driver; each call rejects with DriverError. */
export interface StockDriver {
  connect(target: DriverTarget): Promise<void>;
  /** The first row. */
  query(sql: string): Promise<readonly string[]>;
  /** Copies so many rows into a table and counts them there. */
  copy(rows: number): Promise<number>;
  /** Sleeps 60 s and cancels that soon. */
  cancel(): Promise<void>;
  close(): Promise<void>;
  /** Ends whatever is left. */
  dispose(): void;
}

export interface DriverKind {
  readonly name: string;
  /** Why it cannot run here; false: it can. */
  readonly missing: string | false;
  /** It takes several hosts and checks the role of the server. */
  readonly chooses: boolean;
  start(): Promise<StockDriver>;
}

const PYTHON = '/usr/bin/python3';
const JDBC_JAR = '/usr/share/java/postgresql.jar';

async function works(command: string, args: readonly string[]): Promise<boolean> {
  return new Promise((resolve) => {
    execFile(command, args, (error) => resolve(error === null));
  });
}

const without = (what: string, there: boolean): string | false =>
  there ? false : `${what} is not installed`;

/** As libpq wants it; also psycopg's. */
export function conninfo({
  host,
  ports,
  user = 'postgres',
  password,
  rootCertificate,
  wish,
}: DriverTarget): string {
  const attrs = wish === undefined ? '' : ` target_session_attrs=${LIBPQ_WISHES[wish]}`;
  const address = ports.map(() => '127.0.0.1').join(',');
  const names =
    host === undefined ? `host=${address}` : `host=${ports.map(() => host).join(',')} hostaddr=${address}`;
  const secrets = password === undefined ? '' : ` password=${password} channel_binding=require`;
  const tls = rootCertificate === undefined ? '' : ` sslmode=verify-full sslrootcert=${rootCertificate}`;
  return `${names} port=${ports.join(',')} user=${user} dbname=postgres${secrets}${tls}${attrs}`;
}

function jdbcUrl({ ports, user = 'postgres', password, rootCertificate, wish }: DriverTarget): string {
  const type = wish === undefined ? '' : `&targetServerType=${wish}`;
  const hosts = ports.map((port) => `127.0.0.1:${port}`).join(',');
  // pgjdbc has no address beside the name: the certificate is checked, the name is not.
  const tls = rootCertificate === undefined ? '' : `&sslmode=verify-ca&sslrootcert=${rootCertificate}`;
  return `jdbc:postgresql://${hosts}/postgres?user=${user}${password === undefined ? '' : `&password=${password}`}${tls}${type}`;
}

/** A program that is driven by lines (test/drivers). */
class LineDriver implements StockDriver {
  #mark = 1;
  #last: Promise<unknown> = Promise.resolve();

  private constructor(
    private readonly running: Running,
    private readonly dsn: (target: DriverTarget) => string,
  ) {}

  static async start(
    command: string,
    args: readonly string[],
    dsn: (target: DriverTarget) => string,
  ): Promise<LineDriver> {
    const running = startCommand(command, args);
    await running.waitForLine(/^ready$/, { timeoutMs: 30_000 });
    return new LineDriver(running, dsn);
  }

  async connect(target: DriverTarget): Promise<void> {
    await this.#ask('connect', this.dsn(target));
  }

  query(sql: string): Promise<readonly string[]> {
    return this.#ask('query', sql);
  }

  async copy(rows: number): Promise<number> {
    return Number((await this.#ask('copy', String(rows)))[0]);
  }

  async cancel(): Promise<void> {
    await this.#ask('cancel');
  }

  async close(): Promise<void> {
    await this.#ask('close');
  }

  dispose(): void {
    this.running.kill('SIGKILL');
  }

  #ask(...words: readonly string[]): Promise<readonly string[]> {
    const answer = this.#last.then(async () => {
      this.running.stdin.write(`${words.join('\t')}\n`);
      const [line] = await this.running.waitForLine(/^(?:ok|error)(?:\t.*)?$/, {
        after: this.#mark,
        timeoutMs: 70_000,
      });
      this.#mark = this.running.lines.length;
      const [outcome, ...rest] = line.split('\t');
      if (outcome === 'ok') return rest;
      throw new DriverError(rest[0] ?? '', rest.slice(1).join('\t'));
    });
    this.#last = answer.catch(() => {});
    return answer;
  }
}

/** psql, one process for each call after a first that proves that it can connect. */
class Psql implements StockDriver {
  #dsn = '';
  readonly #running = new Set<Running>();

  async connect(target: DriverTarget): Promise<void> {
    this.#dsn = conninfo(target);
    await this.#run('select 1');
  }

  async query(sql: string): Promise<readonly string[]> {
    return (await this.#run(sql)).trim().split('|');
  }

  async copy(rows: number): Promise<number> {
    const data = Array.from({ length: rows }, (_none, at) => `${at}\n`).join('');
    const script = `create temp table copied (n int);\ncopy copied from stdin;\n${data}\\.\nselect count(*) from copied;\n`;
    return Number((await this.#run(undefined, script)).trim());
  }

  async cancel(): Promise<void> {
    setTimeout(() => {
      for (const running of this.#running) running.kill('SIGINT');
    }, 500);
    await this.#run('select pg_sleep(60)');
  }

  async close(): Promise<void> {}

  dispose(): void {
    for (const running of this.#running) running.kill('SIGKILL');
  }

  async #run(sql: string | undefined, script = ''): Promise<string> {
    const options = ['-XAtq', '-v', 'ON_ERROR_STOP=1', '-v', 'VERBOSITY=verbose', this.#dsn];
    const running = startCommand('psql', sql === undefined ? options : [...options, '-c', sql], {
      env: { LC_ALL: 'C' },
    });
    this.#running.add(running);
    running.stdin.end(script);
    const { code, stdout, stderr } = await running.done;
    this.#running.delete(running);
    if (code === 0) return stdout;
    const [, state = '-'] = /(?:ERROR|FATAL): +([0-9A-Z]{5}): /.exec(stderr) ?? [];
    throw new DriverError(state, stderr.replace(/\s+/g, ' ').trim());
  }
}

function asDriverError(error: Error & { code?: string }): never {
  throw new DriverError(error.code ?? '-', error.message);
}

/** node-postgres. */
class NodePostgres implements StockDriver {
  #client: pg.Client | undefined;

  async connect(target: DriverTarget): Promise<void> {
    const { host, ports, user = 'postgres', password, certificate } = target;
    const client = new pg.Client({
      host: '127.0.0.1',
      port: ports[0],
      user,
      database: 'postgres',
      ...(password === undefined ? {} : { password, enableChannelBinding: true }),
      ...(certificate === undefined ? {} : { ssl: { ca: certificate, servername: host } }),
    });
    client.on('error', () => {});
    await client.connect().catch(asDriverError);
    this.#client = client;
  }

  async query(sql: string): Promise<readonly string[]> {
    const { rows } = await this.#open.query<unknown[]>({ text: sql, rowMode: 'array' }).catch(asDriverError);
    return (rows[0] ?? []).map(String);
  }

  /** It has no COPY of its own: what is tested is a transaction with as many rows in one statement. */
  async copy(rows: number): Promise<number> {
    await this.query('begin');
    await this.query('create temp table copied (n int)');
    await this.#open.query('insert into copied select unnest($1::int[])', [
      Array.from({ length: rows }, (_n, at) => at),
    ]);
    const [count] = await this.query('select count(*) from copied');
    await this.query('commit');
    return Number(count);
  }

  async cancel(): Promise<void> {
    const client = this.#open as pg.Client & { processID: number; secretKey: number };
    const query = new pg.Query('select pg_sleep(60)');
    const done = new Promise<void>((resolve, reject) => {
      query.on('end', () => resolve()).on('error', reject);
    });
    client.query(query);
    setTimeout(() => {
      const canceller = new pg.Client({ host: '127.0.0.1', port: client.port });
      (canceller as unknown as { cancel(other: pg.Client, of: pg.Query): void }).cancel(client, query);
    }, 300);
    await done.catch(asDriverError);
  }

  async close(): Promise<void> {
    await this.#client?.end();
  }

  dispose(): void {
    void this.#client?.end().catch(() => {});
  }

  get #open(): pg.Client {
    if (this.#client === undefined) throw new Error('not connected');
    return this.#client;
  }
}

/** postgres.js, with one connection. */
class PostgresJs implements StockDriver {
  #sql: postgres.Sql | undefined;

  async connect(target: DriverTarget): Promise<void> {
    const { host, ports, user = 'postgres', password, certificate } = target;
    this.#sql = postgres({
      host: '127.0.0.1',
      port: ports[0]!,
      user,
      database: 'postgres',
      max: 1,
      ...(password === undefined ? {} : { password }),
      ...(certificate === undefined ? {} : { ssl: { ca: certificate, servername: host } }),
      onnotice: () => {},
      connect_timeout: 5,
    });
    await this.query('select 1');
  }

  async query(sql: string): Promise<readonly string[]> {
    const rows = await this.#open.unsafe(sql).values().catch(asDriverError);
    return (rows[0] ?? []).map(String);
  }

  async copy(rows: number): Promise<number> {
    return this.#open.begin(async (sql) => {
      await sql`create temp table copied (n int)`;
      const writable = await sql`copy copied from stdin`.writable();
      await new Promise<void>((resolve, reject) => {
        writable.on('error', reject).on('finish', resolve);
        writable.end(Array.from({ length: rows }, (_none, at) => `${at}\n`).join(''));
      });
      const [row] = await sql`select count(*)::int as count from copied`;
      return row?.['count'] as number;
    });
  }

  async cancel(): Promise<void> {
    const query = this.#open`select pg_sleep(60)`.execute();
    setTimeout(() => query.cancel(), 300);
    await query.catch(asDriverError);
  }

  async close(): Promise<void> {
    await this.#sql?.end({ timeout: 1 });
  }

  dispose(): void {
    void this.#sql?.end({ timeout: 0 }).catch(() => {});
  }

  get #open(): postgres.Sql {
    if (this.#sql === undefined) throw new Error('not connected');
    return this.#sql;
  }
}

const python = (kind: string) => () =>
  LineDriver.start(PYTHON, [inTree('test/drivers/python_driver.py'), kind], conninfo);

/** All that the tests know. */
export async function stockDrivers(): Promise<readonly DriverKind[]> {
  const [psql, psycopg2, psycopg, java] = await Promise.all([
    works('psql', ['--version']),
    works(PYTHON, ['-c', 'import psycopg2']),
    works(PYTHON, ['-c', 'import psycopg']),
    works('javac', ['-version']),
  ]);
  const noJava = without('a JDK', java) || without(JDBC_JAR, existsSync(JDBC_JAR));
  return [
    { name: 'psql', missing: without('psql', psql), chooses: true, start: () => Promise.resolve(new Psql()) },
    { name: 'psycopg 2', missing: without('psycopg 2', psycopg2), chooses: true, start: python('psycopg2') },
    { name: 'psycopg 3', missing: without('psycopg 3', psycopg), chooses: true, start: python('psycopg') },
    {
      name: 'psycopg 3, async',
      missing: without('psycopg 3', psycopg),
      chooses: true,
      start: python('psycopg-async'),
    },
    {
      name: 'pgjdbc',
      missing: noJava,
      chooses: true,
      start: () => LineDriver.start('java', ['-cp', JDBC_JAR, inTree('test/drivers/Jdbc.java')], jdbcUrl),
    },
    {
      name: 'node-postgres',
      missing: false,
      chooses: false,
      start: () => Promise.resolve(new NodePostgres()),
    },
    { name: 'postgres.js', missing: false, chooses: false, start: () => Promise.resolve(new PostgresJs()) },
  ];
}
