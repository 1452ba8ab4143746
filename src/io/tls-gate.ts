/** The watchdog's end of the TLS handshake: lets connections through that know one of the secrets. */
import { Buffer } from 'node:buffer';
import type net from 'node:net';
import tls from 'node:tls';
import { identityOf, isMadeWithSecret, SECRET_TLS, withoutPlaces } from './link-security.js';

/** From accept to the end of the handshake. */
const HANDSHAKE_LIMIT_MS = 3000;
/** First octet of a TLS connection (RFC 8446, 5.1: handshake). */
const TLS_HANDSHAKE = 0x16;

/** What became of a connection; exactly one of them is called, once. */
export interface Admittance {
  /** `raw`: the connection below. */
  secured(socket: tls.TLSSocket, raw: net.Socket): void;
  /** The peer speaks without TLS. The connection is open and paused, what it said can be read from it. */
  plain(): void;
  /** The connection is closed. `text` says why, '' when the peer went without a word or the gate was closed. */
  failed(text: string): void;
}

interface Waiting {
  readonly raw: net.Socket;
  readonly admittance: Admittance;
  readonly timer: NodeJS.Timeout;
  /** The peer named a secret that is not known here. */
  stranger: boolean;
}

/** Shakes hands with those that connect. Made anew for other secrets. */
export class TlsGate {
  readonly #server: tls.Server;
  readonly #keys: ReadonlyMap<string, Buffer>;
  readonly #waiting = new Map<string, Waiting>();

  constructor(secrets: readonly string[]) {
    this.#keys = new Map(secrets.map((secret) => [identityOf(secret), Buffer.from(secret)]));
    this.#server = tls.createServer({
      ...SECRET_TLS,
      handshakeTimeout: HANDSHAKE_LIMIT_MS,
      pskCallback: (socket, identity) => this.#keyOf(socket, identity),
    });
    this.#server.on('secureConnection', (socket) => this.#secured(socket));
    this.#server.on('tlsClientError', (error, socket) => this.#failed(socket, error));
  }

  /** Begins a handshake; `raw` was just accepted. */
  accept(raw: net.Socket, admittance: Admittance): void {
    const name = nameOf(raw);
    const late = `no TLS handshake within ${HANDSHAKE_LIMIT_MS} ms`;
    // One that has come through may close when another already has its name.
    const end = (text: string): void => {
      if (this.#waiting.get(name)?.raw === raw) this.#end(name, text);
    };
    const timer = setTimeout(end, HANDSHAKE_LIMIT_MS, late);
    this.#waiting.set(name, { raw, admittance, timer, stranger: false });
    raw.on('error', () => {});
    raw.once('close', () => end(''));
    raw.once('data', (chunk: Buffer) => {
      raw.pause();
      raw.unshift(chunk);
      if (chunk[0] === TLS_HANDSHAKE) this.#server.emit('connection', raw);
      else this.#take(name)?.admittance.plain();
    });
  }

  /** Breaks off what has not come through. */
  close(): void {
    for (const name of [...this.#waiting.keys()]) this.#end(name, '');
  }

  #keyOf(socket: tls.TLSSocket, identity: string): Buffer | null {
    const key = this.#keys.get(identity) ?? null;
    const waiting = this.#waiting.get(nameOf(socket));
    if (waiting !== undefined && key === null) waiting.stranger = true;
    return key;
  }

  #secured(socket: tls.TLSSocket): void {
    const waiting = isMadeWithSecret(socket) ? this.#take(nameOf(socket)) : undefined;
    if (waiting === undefined) socket.destroy();
    else waiting.admittance.secured(socket, waiting.raw);
  }

  #failed(socket: tls.TLSSocket, error: NodeJS.ErrnoException): void {
    const name = nameOf(socket);
    const isStranger = this.#waiting.get(name)?.stranger === true;
    if (isStranger || error.code === 'ERR_SSL_BINDER_DOES_NOT_VERIFY') {
      this.#end(name, 'it does not know the secret of watchdog.secret_file');
    } else if (error.code === 'ECONNRESET') this.#end(name, 'it broke off the TLS handshake');
    else this.#end(name, `TLS handshake failed: ${withoutPlaces(error.message)}`);
  }

  #end(name: string, text: string): void {
    const waiting = this.#take(name);
    if (waiting === undefined) return;
    waiting.admittance.failed(text);
    // Behind the alert that TLS has just written.
    setImmediate(() => waiting.raw.destroy());
  }

  /** The connection is no longer the gate's. */
  #take(name: string): Waiting | undefined {
    const waiting = this.#waiting.get(name);
    clearTimeout(waiting?.timer);
    this.#waiting.delete(name);
    return waiting;
  }
}

/** No two connections that are open have the same four. */
function nameOf({ remoteAddress, remotePort, localAddress, localPort }: net.Socket): string {
  return `${remoteAddress} ${remotePort} ${localAddress} ${localPort}`;
}
