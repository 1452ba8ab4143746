/**
 * cmStream(): pg's option `stream` for applications that must keep a Client class of their own. TLS names, the
 * password file and cancel see the host of the options and not the server; CmClient is the better choice.
 */
import { Duplex } from 'node:stream';
import { asError } from './errors.js';
import { type CmClientConfig, type ResolvedOptions, resolveOptions } from './options.js';
import { connectSqlSocket, type SqlSocket } from './sql-socket.js';

/** Stands for a net.Socket; the connection behind it is made when pg calls connect(). */
export class CmStream extends Duplex {
  readonly #options: ResolvedOptions;
  readonly #tlsRequired: boolean;
  readonly #giveUp = new AbortController();
  readonly #settings: ((socket: SqlSocket) => void)[] = [];
  #socket: SqlSocket | undefined;

  constructor(options: ResolvedOptions, tlsRequired: boolean) {
    super({ allowHalfOpen: false });
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
      (socket) => this.#adopt(socket),
      (error: unknown) => this.destroy(asError(error)),
    );
    return this;
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

  #adopt(socket: SqlSocket): void {
    if (this.destroyed) {
      socket.on('error', () => {}).destroy();
      return;
    }
    this.#socket = socket;
    for (const setting of this.#settings) setting(socket);
    socket.on('data', (chunk: Buffer) => {
      if (!this.push(chunk)) socket.pause();
    });
    socket.on('end', () => this.push(null));
    socket.on('error', (error) => this.destroy(error));
    socket.on('close', () => this.destroy());
    this.emit('connect');
  }

  override _read(): void {
    this.#socket?.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: (error?: Error | null) => void): void {
    if (this.#socket === undefined) this.once('connect', () => this.#socket?.write(chunk, callback));
    else this.#socket.write(chunk, callback);
  }

  override _final(callback: (error?: Error | null) => void): void {
    if (this.#socket === undefined) callback();
    else this.#socket.end(callback);
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#giveUp.abort();
    this.#socket?.destroy();
    callback(error);
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
