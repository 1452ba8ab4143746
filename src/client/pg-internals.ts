/**
 * The parts of pg that its type declarations leave out and this library relies on, in one place. All of them are
 * the same in the two newest minor versions of pg, and tests run against both.
 */
import type { EventEmitter } from 'node:events';
import type { Duplex } from 'node:stream';
import type pg from 'pg';

/** A stream as pg uses one: a net.Socket or what the option `stream` made. */
export interface PgStream extends Duplex {
  connect(port: number | string, host?: string): unknown;
  readonly localAddress?: string | undefined;
  readonly localPort?: number | undefined;
}

/** pg.Connection: one protocol conversation over one stream (lib/connection.js). */
export interface PgConnection extends EventEmitter {
  stream: PgStream;
  connect(port: number | string, host?: string): void;
  query(text: string): void;
  end(): void;
}

/** pg.Client (lib/client.js). */
export interface PgClient {
  connection: PgConnection;
  connectionParameters: {
    host: string;
    port: number;
    isDomainSocket: boolean;
    password: unknown;
    client_encoding?: string | undefined;
    application_name?: string | undefined;
    fallback_application_name?: string | undefined;
  };
  host: string;
  port: number;
  user: string | undefined;
  database: string | undefined;
  password: unknown;
  ssl: unknown;
  sslNegotiation: string;
  processID: number | null;
  secretKey: unknown;
  readyForQuery?: boolean;
  _connecting: boolean;
  _connected: boolean;
  _connectionError: boolean;
  _ended: boolean;
  _ending: boolean;
  _queryable: boolean;
  _connectionTimeoutMillis: number;
  connect(callback: (error: Error | null | undefined) => void): void;
  cancel(client: unknown, query: unknown): void;
  _errorAllQueries(error: Error): void;
  _handleErrorEvent(error: Error): void;
}

/** The same client, seen with its internals. */
export function internals(client: pg.Client): PgClient {
  return client as unknown as PgClient;
}

/** Whether the application brought a stream or a connection: such a one serves once, for one server. */
export function hasOwnTransport(config: pg.ClientConfig): boolean {
  const { connection, stream } = config as { readonly connection?: unknown; readonly stream?: unknown };
  return connection !== undefined || (stream !== undefined && typeof stream !== 'function');
}

/** Hangs on `to` what somebody hung on `from` since pg made it; Sequelize listens there for ParameterStatus. */
export function passListeners(from: EventEmitter, to: EventEmitter): void {
  // pg's constructor listens for this one itself.
  for (const event of from.eventNames().filter((name) => name !== 'newListener')) {
    for (const listener of from.listeners(event)) to.on(event, listener as (...args: unknown[]) => void);
  }
}

/** For pg's constructor: a stream factory is called for each attempt, not for the client. */
export function withoutStreamFactory(config: pg.ClientConfig): pg.ClientConfig {
  if (typeof config.stream !== 'function') return config;
  const { stream: _stream, ...rest } = config;
  return rest;
}

/** pg has no code for the end of connectionTimeoutMillis. */
export function isPgTimeout(thrown: unknown): boolean {
  return thrown instanceof Error && thrown.message === 'timeout expired';
}
