/**
 * The helper for postgres.js' option `socket`: `postgres({ …, socket: cmSocket({ host, port }) })`. The driver
 * authenticates and puts TLS over the socket itself; a loss destroys the socket, so that its queries reject.
 */
import { Duplex } from 'node:stream';
import { asError, cmError } from './errors.js';
import { type CmOptions, resolveOptions, type TargetOption } from './options.js';
import { connectSqlSocket, type SqlSocket } from './sql-socket.js';
import { SqlStream } from './stream.js';

/** What the helper takes; what is left out is taken from postgres.js' own options. */
export interface CmSocketConfig extends CmOptions {
  /** For asking and connecting together; default: postgres.js' connect_timeout. */
  connectionTimeoutMillis?: number | undefined;
}

/** The parsed options that postgres.js calls its `socket` option with, as far as they are used here. */
export interface PostgresJsOptions {
  host?: readonly string[];
  port?: readonly number[];
  user?: string;
  database?: string;
  ssl?: unknown;
  /** Seconds. */
  connect_timeout?: number | null;
  target_session_attrs?: string | null | undefined;
  connection?: { readonly application_name?: unknown };
}

type Hosts = Pick<PostgresJsOptions, 'host' | 'port'>;

/** Makes the function for the option `socket`. Throws CmError with SQLSTATE 22023 when an option is wrong. */
export function cmSocket(config: CmSocketConfig = {}): (options: PostgresJsOptions) => Promise<Duplex> {
  resolveOptions({ ...config });
  const hostsOf = new WeakMap<PostgresJsOptions, Hosts>();
  return async (options) => {
    if (typeof options !== 'object') throw cmError('22023', 'notPostgresJs');
    const hosts = hostsOf.get(options) ?? { host: options.host, port: options.port };
    hostsOf.set(options, hosts as Hosts);
    // While postgres.js knows a further host it swallows the error of this call and waits for ever.
    if (options.host !== undefined && options.host.length > 1) options.host = options.host.slice(0, 1);
    const target = options.target_session_attrs as TargetOption | null | undefined;
    const timeoutMs = config.connectionTimeoutMillis ?? (options.connect_timeout ?? 0) * 1000;
    const resolved = resolveOptions({
      ...(config.host === undefined && config.service === undefined ? hosts : {}),
      ...(target ? { target_session_attrs: target } : {}),
      ...config,
      connectionTimeoutMillis: timeoutMs,
    });
    const connected = connectSqlSocket({
      options: resolved,
      identity: {
        user: options.user,
        database: options.database,
        applicationName: String(options.connection?.application_name ?? ''),
        tlsRequired: Boolean(options.ssl) && options.ssl !== 'prefer' && options.ssl !== 'allow',
      },
    });
    return connected.then(
      (socket) => (options.ssl ? underTls(socket) : socket),
      (error: unknown) => failingStream(asError(error)),
    );
  };
}

/**
 * postgres.js puts TLS over what it is given, and TLS of Node.js 18 never learns that a socket is destroyed beneath it;
 * of a stream that ends it does. So a loss under TLS looks like a server that closes. postgres.js reads the name to
 * verify from `host`.
 */
function underTls(socket: SqlSocket): Duplex {
  const { host, port } = socket;
  return Object.assign(new SqlStream({ endsQuietly: true }).carry(socket), { host, port });
}

/**
 * postgres.js loses a connection of its pool for ever when its `socket` function rejects; a socket that fails and
 * closes it takes as it should.
 */
function failingStream(error: Error): Duplex {
  const stream = new Duplex({ read: () => {}, write: (_chunk, _encoding, callback) => callback() });
  setImmediate(() => stream.destroy(error));
  return stream;
}
