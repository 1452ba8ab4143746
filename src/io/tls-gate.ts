/** The watchdog's end of the TLS handshake: lets connections through that know a secret, or have a good certificate. */
import { Buffer } from 'node:buffer';
import type net from 'node:net';
import tls from 'node:tls';
import { whenItSpeaks } from './first-octet.js';
import { describeClientCertificate, describeFailureAtGate } from './handshake-words.js';
import {
  contextOptions,
  type GateSecurity,
  identityOf,
  isMadeWithSecret,
  SECRET_TLS,
} from './link-security.js';

/** From accept to the end of the handshake. */
const HANDSHAKE_LIMIT_MS = 3000;

/** What became of a connection; exactly one of them is called, once. */
export interface Admittance {
  /** `raw`: the connection below. */
  secured(socket: tls.TLSSocket, raw: net.Socket): void;
  /**
   * The connection is encrypted, but the peer has not proven who it is; `text` says why. It is open, so that it can be
   * told: in TLS 1.3 a client does not learn that its certificate was refused before it reads again.
   */
  unproven(text: string, socket: tls.TLSSocket, raw: net.Socket): void;
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

/** Shakes hands with those that connect. Made anew for other secrets and certificates. */
export class TlsGate {
  readonly kind: GateSecurity['kind'];
  readonly #server: tls.Server;
  readonly #keys: ReadonlyMap<string, Buffer>;
  readonly #waiting = new Map<string, Waiting>();

  constructor(security: GateSecurity) {
    this.kind = security.kind;
    const secrets = security.kind === 'secret' ? security.secrets : [];
    this.#keys = new Map(secrets.map((secret) => [identityOf(secret), Buffer.from(secret)]));
    this.#server = tls.createServer({
      handshakeTimeout: HANDSHAKE_LIMIT_MS,
      ...this.#optionsFor(security),
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
    whenItSpeaks(raw, (isTls) => {
      if (isTls) this.#server.emit('connection', raw);
      else this.#take(name)?.admittance.plain();
    });
  }

  /** Breaks off what has not come through. */
  close(): void {
    for (const name of [...this.#waiting.keys()]) this.#end(name, '');
  }

  #optionsFor(security: GateSecurity): tls.TlsOptions {
    if (security.kind === 'secret') {
      return { ...SECRET_TLS, pskCallback: (socket, identity) => this.#keyOf(socket, identity) };
    }
    // Who has no good certificate is refused in words; Node.js itself would close without one.
    return { ...contextOptions(security.certificates), requestCert: true, rejectUnauthorized: false };
  }

  #keyOf(socket: tls.TLSSocket, identity: string): Buffer | null {
    const key = this.#keys.get(identity) ?? null;
    const waiting = this.#waiting.get(nameOf(socket));
    if (waiting !== undefined && key === null) waiting.stranger = true;
    return key;
  }

  #secured(socket: tls.TLSSocket): void {
    const waiting = this.#take(nameOf(socket));
    if (waiting === undefined) {
      socket.destroy();
      return;
    }
    const { admittance, raw } = waiting;
    const reason = this.#reasonAgainst(socket);
    if (reason === undefined) admittance.secured(socket, raw);
    else admittance.unproven(reason, socket, raw);
  }

  /** Why who has come through the handshake is not let in; undefined when it is. */
  #reasonAgainst(socket: tls.TLSSocket): string | undefined {
    if (this.kind === 'secret') {
      return isMadeWithSecret(socket) ? undefined : 'does not know the secret of watchdog.secret_file';
    }
    // One that was resumed would have been verified at another time.
    if (socket.authorized && !socket.isSessionReused()) return undefined;
    const wasShown = socket.getPeerX509Certificate() !== undefined;
    return describeClientCertificate(String(socket.authorizationError ?? ''), wasShown);
  }

  #failed(socket: tls.TLSSocket, error: NodeJS.ErrnoException): void {
    const name = nameOf(socket);
    const isStranger = this.#waiting.get(name)?.stranger === true;
    if (isStranger || error.code === 'ERR_SSL_BINDER_DOES_NOT_VERIFY') {
      this.#end(name, 'it does not know the secret of watchdog.secret_file');
    } else this.#end(name, describeFailureAtGate(error));
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
