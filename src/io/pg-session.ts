/**
 * A kept SQL connection to the instance on this host.
 *
 * Every statement has a deadline on this side: a Unix socket has no time-out of its own and a stopped backend honours
 * no statement_timeout. Past it the connection is dropped, and its owner makes a new one.
 */
import pg from 'pg';

/** A connection attempt is given up after this. */
export const CONNECT_TIMEOUT_MS = 5000;
/** A statement is given up after this. */
export const STATEMENT_DEADLINE_MS = 5000;

/** The version that brought idle_session_timeout. */
const IDLE_SESSION_TIMEOUT_SINCE = 14;

/** SQLSTATE invalid_password. */
const INVALID_PASSWORD = '28P01';

/** Where and as whom to connect. */
export interface SessionTarget {
  /** Directory of the Unix socket, or a host. */
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly database: string;
  readonly applicationName: string;
  /** Major version of the server. */
  readonly major: number;
  /** Asked when the server wants a password; undefined: there is none. */
  readonly password?: () => Promise<string | undefined>;
}

/** PostgreSQL answered with an error. */
export class SqlError extends Error {
  readonly sqlState: string;

  constructor(message: string, sqlState: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'SqlError';
    this.sqlState = sqlState;
  }
}

/** Nobody answered, not in time, or the connection broke. */
export class SqlUnreachable extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'SqlUnreachable';
  }
}

/**
 * Undoes what ALTER ROLE or ALTER DATABASE may have set: anything that would end the session, delay it or change what
 * it reads. Settings that a version does not have are not among the rows. No write ever happens in these sessions, so
 * synchronous_commit and the read-only defaults are for the case of a function that writes.
 */
const RESET_SQL = `
SELECT set_config(s.name, v.value, false)
  FROM (VALUES ('statement_timeout', '0'), ('lock_timeout', '0'), ('transaction_timeout', '0'),
               ('idle_session_timeout', '0'), ('idle_in_transaction_session_timeout', '0'),
               ('synchronous_commit', 'off'), ('default_transaction_read_only', 'off'),
               ('default_transaction_isolation', 'read committed'), ('search_path', 'pg_catalog'),
               ('datestyle', 'ISO, YMD'), ('timezone', 'UTC'), ('jit', 'off')) AS v (name, value)
  JOIN pg_catalog.pg_settings AS s ON lower(s.name) = v.name`;

/** Time-outs of the role that could end the session before, or in, the statement that switches the others off. */
function startupOptions(major: number): string {
  const idle = major >= IDLE_SESSION_TIMEOUT_SINCE ? ' -c idle_session_timeout=0' : '';
  return `-c statement_timeout=0${idle}`;
}

/** One connection; it never reconnects. */
export class PgSession {
  readonly #client: pg.Client;
  readonly #onEnd: (error: SqlError | SqlUnreachable | undefined) => void;
  #cause: SqlError | SqlUnreachable | undefined;
  #closing = false;
  #ended = false;
  #pid = 0;
  /** The statement that runs; the next waits for it. */
  #running: Promise<unknown> = Promise.resolve();

  private constructor(client: pg.Client, onEnd: (error: SqlError | SqlUnreachable | undefined) => void) {
    this.#client = client;
    this.#onEnd = onEnd;
    // The server says why it ends a session in an error that belongs to no statement.
    client.on('error', (error) => {
      this.#cause ??= classify(error);
    });
    client.on('end', () => {
      if (this.#ended) return;
      this.#ended = true;
      if (!this.#closing) this.#onEnd(this.#cause);
    });
  }

  /**
   * Connects and resets the session. Rejects with SqlError or SqlUnreachable. `onEnd` is called once when the
   * connection ends and this end did not close it, with the server's reason if it gave one.
   */
  static async connect(
    target: SessionTarget,
    onEnd: (error: SqlError | SqlUnreachable | undefined) => void,
  ): Promise<PgSession> {
    let missing = false;
    const client = new pg.Client({
      host: target.host,
      port: target.port,
      user: target.user,
      database: target.database,
      application_name: target.applicationName,
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
      options: startupOptions(target.major),
      password: async () => {
        const password = await target.password?.();
        missing = password === undefined;
        return password ?? '';
      },
    });
    const session = new PgSession(client, onEnd);
    try {
      await client.connect();
      session.#pid = Number((client as unknown as { processID: number | null }).processID ?? 0);
      await session.query(RESET_SQL);
      return session;
    } catch (error) {
      session.#closing = true;
      session.destroy();
      const reason = classify(error);
      if (!missing) throw reason;
      throw new SqlError('the server asks for a password, and there is none', INVALID_PASSWORD, {
        cause: error,
      });
    }
  }

  /** Process id of the backend. */
  get pid(): number {
    return this.#pid;
  }

  get isOpen(): boolean {
    return !this.#ended && !this.#closing;
  }

  /**
   * Rows of one statement; statements run one after the other. Rejects with SqlError or SqlUnreachable; past the
   * deadline, which counts from the statement's own start, the connection is gone.
   */
  query<Row>(
    text: string,
    values: readonly unknown[] = [],
    deadlineMs: number = STATEMENT_DEADLINE_MS,
  ): Promise<Row[]> {
    const result = this.#running.then(() => this.#run<Row>(text, values, deadlineMs));
    this.#running = result.catch(() => {});
    return result;
  }

  async #run<Row>(text: string, values: readonly unknown[], deadlineMs: number): Promise<Row[]> {
    if (this.#ended) throw this.#cause ?? new SqlUnreachable('the connection has ended');
    let overdue: (error: Error) => void = () => {};
    const late = new Promise<never>((_resolve, reject) => {
      overdue = reject;
    });
    const timer = setTimeout(() => {
      // A process that was itself stopped reads what has arrived before it judges.
      setImmediate(() => {
        const error = new SqlUnreachable(`no answer within ${deadlineMs} ms`);
        this.#cause ??= error;
        overdue(error);
        this.destroy();
      });
    }, deadlineMs);
    try {
      const work = this.#client.query({ text, values: [...values], ...nameOf(text, values) });
      work.catch(() => {});
      return ((await Promise.race([work, late])) as { rows: Row[] }).rows;
    } catch (error) {
      throw classify(error);
    } finally {
      clearTimeout(timer);
      late.catch(() => {});
    }
  }

  /** Ends the session in order; the server is told. */
  async close(): Promise<void> {
    this.#closing = true;
    const timer = setTimeout(() => this.destroy(), 1000);
    await this.#client.end().catch(() => {});
    clearTimeout(timer);
  }

  /** Drops the connection. */
  destroy(): void {
    (this.#client as unknown as { connection: { stream: { destroy(): void } } }).connection.stream.destroy();
  }
}

const statementNames = new Map<string, string>();

/** Statements with parameters are prepared once in a session: they are the ones that are repeated for every pid. */
function nameOf(text: string, values: readonly unknown[]): { name: string } | undefined {
  if (values.length === 0) return undefined;
  let name = statementNames.get(text);
  if (name === undefined) {
    name = `watchdog_${statementNames.size + 1}`;
    statementNames.set(text, name);
  }
  return { name };
}

function classify(error: unknown): SqlError | SqlUnreachable {
  if (error instanceof SqlError || error instanceof SqlUnreachable) return error;
  const { code, message } = error as Error & { code?: unknown };
  if (error instanceof pg.DatabaseError && typeof code === 'string') {
    return new SqlError(message, code, { cause: error });
  }
  return new SqlUnreachable(message === '' ? String(code) : message, { cause: error });
}
