/**
 * cmStream(): pg's option `stream` for applications that must keep a Client class of their own. TLS names, the
 * password file and cancel see the host of the options and not the server; CmClient is the better choice.
 */
import { Duplex } from 'node:stream';
import { asError } from './errors.js';
import { type CmClientConfig, type ResolvedOptions, resolveOptions } from './options.js';
import { connectSqlSocket, type SqlSocket } from './sql-socket.js';

/** A stream over a connection that is there already or comes later; ends with it, and it with the stream. */
export class SqlStream extends Duplex {
  #socket: SqlSocket | undefined;
  readonly #settings: ((socket: SqlSocket) => void)[] = [];
  readonly #endsQuietly: boolean;
  #ended = false;

  /** `endsQuietly`: whatever ends the connection, the stream ends as if the server had closed it in order. */
  constructor({ endsQuietly = false } = {}) {
    super({ allowHalfOpen: false });
    this.#endsQuietly = endsQuietly;
  }

  /** Begins to carry what goes over `socket`. */
  carry(socket: SqlSocket): this {
    if (this.destroyed) {
      socket.on('error', () => {}).destroy();
      return this;
    }
    this.#socket = socket;
    for (const setting of this.#settings) setting(socket);
    socket.on('data', (chunk: Buffer) => {
      if (!this.push(chunk)) socket.pause();
    });
    socket.on('end', () => this.#end());
    socket.on('error', (error) => (this.#endsQuietly ? this.#end() : this.destroy(error)));
    socket.on('close', () => (this.#endsQuietly ? this.#end() : this.destroy()));
    this.emit('connect');
    return this;
  }

  #end(): void {
    // What stands over it closes in its own order, and may write while it does.
    if (this.#endsQuietly) this.allowHalfOpen = true;
    if (!this.#ended) this.push(null);
    this.#ended = true;
  }

  setNoDelay(on = true): this {
    return this.#set((socket) => socket.setNoDelay(on));
  }

  setKeepAlive(on = false, initialDelayMs = 0): this {
    return this.#set((socket) => socket.setKeepAlive(on, initialDelayMs));
  }

  ref(): this {
    return this.#set((socket) => socket.ref());
  }

  unref(): this {
    return this.#set((socket) => socket.unref());
  }

  #set(setting: (socket: SqlSocket) => void): this {
    if (this.#socket === undefined) this.#settings.push(setting);
    else setting(this.#socket);
    return this;
  }

  override _read(): void {
    this.#socket?.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: (error?: Error | null) => void): void {
    const socket = this.#socket;
    if (socket === undefined) this.once('connect', () => this.#socket?.write(chunk, callback));
    else if (this.#endsQuietly && !socket.writable) callback();
    else socket.write(chunk, this.#endsQuietly ? () => callback() : callback);
  }

  override _final(callback: (error?: Error | null) => void): void {
    if (this.#socket === undefined || this.#socket.destroyed) callback();
    else this.#socket.end(() => callback());
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#socket?.destroy();
    callback(error);
  }
}

/** Stands for a net.Socket; the connection behind it is made when pg calls connect(). */
export class CmStream extends SqlStream {
  readonly #options: ResolvedOptions;
  readonly #tlsRequired: boolean;
  readonly #giveUp = new AbortController();

  constructor(options: ResolvedOptions, tlsRequired: boolean) {
    super();
    this.#options = options;
    this.#tlsRequired = tlsRequired;
  }

  /** pg's port and host are those of its own options and mean nothing here. */
  connect(): this {
    const { user, database, application_name } = this.#options.pg;
    const connected = connectSqlSocket({
      options: this.#options,
      identity: {
        user: user ?? process.env['PGUSER'],
        database,
        applicationName: application_name ?? '',
        tlsRequired: this.#tlsRequired,
      },
      signal: this.#giveUp.signal,
    });
    connected.then(
      (socket) => this.carry(socket),
      (error: unknown) => this.destroy(asError(error)),
    );
    return this;
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#giveUp.abort();
    super._destroy(error, callback);
  }
}

/** Makes the function for pg's option `stream`. Throws CmError with SQLSTATE 22023 when an option is wrong. */
export function cmStream(config: string | CmClientConfig = {}): (pgConfig?: unknown) => CmStream {
  const options = resolveOptions(config);
  return (pgConfig) => {
    const ssl = (pgConfig as { readonly ssl?: unknown } | undefined)?.ssl;
    return new CmStream(options, Boolean(ssl));
  };
}
