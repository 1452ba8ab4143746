/**
 * CmClient: pg's Client that asks conmgr where to connect and is told when its instance is lost. The first phase
 * runs inside connect() before pg's own, so TLS names, the password file, cancel, `host` and `port` all see the
 * real server.
 */
import type { Socket } from 'node:net';
import pg from 'pg';
import type { Endpoint } from '../core/client/walk.js';
import { asError, cmError } from './errors.js';
import { type Attempt, establish } from './establish.js';
import { type CmInstance, explainEnd, lossOf } from './loss.js';
import { type CmClientConfig, type ResolvedOptions, resolveOptions } from './options.js';
import {
  hasOwnTransport,
  internals,
  isPgTimeout,
  type PgClient,
  type PgConnection,
  passListeners,
  withoutStreamFactory,
} from './pg-internals.js';
import type { SideSocket } from './side-socket.js';
import { SqlConnection, type SqlConnectionPurpose } from './sql-connection.js';

/**
 * Where a client is, in the manner of PQstatus(): before connect(), asking a host
 * (CONNECTION_AWAITING_CMRESPONSE), connecting to a server, usable, or not usable any more.
 */
export type CmStatus = 'needed' | 'awaiting_cm_response' | 'connecting' | 'ok' | 'bad';

const ALREADY_CONNECTED = 'Client has already been connected. You cannot reuse a client.';

/** pg's Client, found through the prototype because these methods are not declared. */
const base = pg.Client.prototype as unknown as PgClient;

type ConnectCallback = ((error: Error) => void) | ((error: null, client: CmClient) => void);

export class CmClient extends pg.Client {
  readonly #options: ResolvedOptions;
  /** The application brought its own transport: there is nothing to ask and nothing to choose. */
  readonly #plain: boolean;
  readonly #giveUp = new AbortController();
  /** pg's first connection, never connected: what was hung on it before connect() is meant for the real one. */
  readonly #unused: PgConnection;
  #status: CmStatus = 'needed';
  #password: unknown;
  #endpoint: Endpoint | undefined;
  #side: SideSocket | undefined;
  /** The instance whose session this is, or was: kept for the error that ends it. */
  #bound: CmInstance | undefined;
  #lossReported = false;

  /** Throws CmError with SQLSTATE 22023 when an option is wrong. */
  constructor(config?: string | CmClientConfig) {
    const options = resolveOptions(config);
    super(withoutStreamFactory(options.pg));
    if (internals(this).connection === undefined) throw cmError('0A000', 'nativeClient');
    this.#options = options;
    this.#plain = hasOwnTransport(options.pg);
    this.#password = internals(this).password;
    this.#unused = internals(this).connection;
  }

  /** Where the client is. */
  get status(): CmStatus {
    return this.#status;
  }

  /** The instance that conmgr named and this session goes to; undefined for a host used directly. */
  get cmInstance(): CmInstance | undefined {
    return this.#bound;
  }

  /** The connection to conmgr beside the SQL connection, in the manner of PQcmSocket(); undefined when there is none. */
  cmSocket(): Socket | undefined {
    return this.#side?.socket;
  }

  /** Asks, connects, verifies the role. Rejects with CmError, whose `errors` has one error per attempt. */
  override connect(): Promise<CmClient>;
  override connect(callback: ConnectCallback): void;
  override connect(callback?: ConnectCallback): Promise<CmClient> | undefined {
    const done = this.#connectOnce();
    if (callback === undefined) return done;
    const call = callback as (error: Error | null, client?: CmClient) => void;
    // Out of the promise, so that what the callback throws is an uncaught exception as with pg.
    done.then(
      () => queueMicrotask(() => call(null, this)),
      (error: unknown) => queueMicrotask(() => call(asError(error))),
    );
    return undefined;
  }

  override end(): Promise<void>;
  override end(callback: (error: Error) => void): void;
  override end(callback?: (error: Error) => void): Promise<void> | void {
    this.#side?.end();
    if (!this.#plain && (this.#status === 'awaiting_cm_response' || this.#status === 'connecting')) {
      this.#giveUp.abort();
      internals(this)._ended = true;
    }
    this.#status = 'bad';
    return callback === undefined ? super.end() : super.end(callback);
  }

  /** As pg's: called on a client of its own, it cancels what `client` runs, at the server that `client` uses. */
  cancel(client: unknown, query: unknown): void {
    const pgClient = internals(this);
    if (client instanceof CmClient && client.#endpoint !== undefined) {
      this.#useEndpoint(client.#endpoint);
      const purpose = { endpoint: client.#endpoint, accept: 'any', admit: () => {} } as const;
      pgClient.connection = this.#newConnection(purpose).passOn();
    }
    base.cancel.call(this, client, query);
  }

  async #connectOnce(): Promise<this> {
    if (this.#status !== 'needed') throw new Error(ALREADY_CONNECTED);
    const pgClient = internals(this);
    this.#status = 'awaiting_cm_response';
    if (this.#plain) return this.#connectAsPg();
    try {
      const { side } = await establish(
        {
          options: this.#options,
          identity: this.#identity(),
          signal: this.#giveUp.signal,
          onPhase: (phase) => {
            this.#status = phase;
          },
        },
        (attempt) => this.#attempt(attempt),
      );
      this.#side = side;
      this.#status = 'ok';
      return this;
    } catch (thrown) {
      const error = asError(thrown);
      this.#status = 'bad';
      pgClient._connecting = false;
      pgClient._queryable = false;
      pgClient._ended = true;
      pgClient._errorAllQueries(error);
      setImmediate(() => this.emit('end'));
      throw error;
    }
  }

  async #connectAsPg(): Promise<this> {
    this.#status = 'connecting';
    await new Promise<void>((resolve, reject) => {
      base.connect.call(this, (error) => (error ? reject(error) : resolve()));
    });
    this.#status = 'ok';
    return this;
  }

  #identity() {
    const { user, database, ssl, connectionParameters } = internals(this);
    const { application_name, fallback_application_name } = connectionParameters;
    return {
      user,
      database,
      applicationName: application_name ?? fallback_application_name ?? '',
      tlsRequired: Boolean(ssl),
    };
  }

  /** One whole connection to one server: what pg's connect() does, the check of the role, and BOUND. */
  async #attempt({ endpoint, accept, side, timeoutMs, signal }: Attempt): Promise<void> {
    const connection = this.#newConnection({
      endpoint,
      accept,
      admit: () => this.#admit(connection, endpoint, side),
    });
    passListeners(this.#unused, connection);
    this.#useEndpoint(endpoint);
    // A client is made for one connection; every attempt but the last leaves these behind.
    Object.assign(internals(this), {
      connection,
      processID: null,
      secretKey: null,
      readyForQuery: false,
      _connecting: false,
      _connectionError: false,
      _connectionTimeoutMillis: timeoutMs,
    });
    let abort = () => {};
    try {
      await new Promise<void>((resolve, reject) => {
        abort = () => {
          connection.retire();
          reject(signal.reason);
        };
        signal.addEventListener('abort', abort);
        base.connect.call(this, (error) => (error ? reject(error) : resolve()));
      });
    } catch (thrown) {
      connection.retire();
      const { host, port } = endpoint;
      throw isPgTimeout(thrown) ? cmError('08001', 'timeout', { host, port }, { cause: thrown }) : thrown;
    } finally {
      signal.removeEventListener('abort', abort);
    }
  }

  /** The session is complete: from now on conmgr's word decides about it. */
  #admit(connection: SqlConnection, endpoint: Endpoint, side: SideSocket | undefined): void {
    connection.once('end', () => {
      this.#status = 'bad';
      side?.end();
    });
    if (side === undefined || endpoint.instance === undefined) return;
    const bound: CmInstance = { instance: endpoint.instance, host: endpoint.host, port: endpoint.port };
    const { localAddress, localPort } = connection.stream;
    const local = {
      address: localAddress ?? '',
      port: localPort ?? 0,
      pid: internals(this).processID ?? undefined,
    };
    side.bind(bound.instance, local, (reason, text) => {
      // A loss while bind() runs fails the attempt below.
      if (this.#status === 'ok') connection.stream.destroy(lossOf(bound, reason, text));
    });
    if (!side.watching) throw lossOf(bound, 'conmgr gone', '');
    this.#bound = bound;
  }

  #newConnection(purpose: SqlConnectionPurpose): SqlConnection {
    const { ssl, sslNegotiation, connectionParameters } = internals(this);
    const { stream, keepAlive, keepAliveInitialDelayMillis } = this.#options.pg;
    return new SqlConnection(
      {
        stream,
        ssl,
        sslNegotiation,
        keepAlive: keepAlive ?? false,
        keepAliveInitialDelayMillis: keepAliveInitialDelayMillis ?? 0,
        encoding: connectionParameters.client_encoding ?? 'utf8',
      },
      purpose,
    );
  }

  /** What pg takes for TLS names, the password file and cancel. */
  #useEndpoint(endpoint: Endpoint): void {
    const pgClient = internals(this);
    const { host, port } = endpoint;
    this.#endpoint = endpoint;
    pgClient.host = host;
    pgClient.port = port;
    // The password found for another host must not go to this one.
    pgClient.password = this.#password;
    Object.assign(pgClient.connectionParameters, {
      host,
      port,
      isDomainSocket: host.startsWith('/'),
      password: this.#password,
    });
  }

  /** @internal Called by pg for an error of the socket, and for the end of a session that nobody asked for. */
  _handleErrorEvent(error: Error): void {
    if (internals(this)._connecting) {
      base._handleErrorEvent.call(this, error);
      return;
    }
    // The end of the socket that follows an error is no news.
    if (this.#lossReported) return;
    this.#lossReported = true;
    this.#status = 'bad';
    base._handleErrorEvent.call(this, this.#explained(error));
  }

  /** @internal Called by pg when a session ends with queries under way. */
  _errorAllQueries(error: Error): void {
    base._errorAllQueries.call(this, this.#explained(error));
  }

  #explained(error: Error): Error {
    return internals(this)._ending ? error : explainEnd(error, this.#bound);
  }
}
