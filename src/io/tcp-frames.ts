/**
 * A TCP connection that carries heartbeat messages instead of bytes; both ends of a link use it.
 *
 * What comes in is bounded by the frame limit before it is kept, what goes out by a queue of 64 kB: a peer that
 * does not read is closed, not waited for.
 */
import type { Buffer } from 'node:buffer';
import net from 'node:net';
import { getSystemErrorMap } from 'node:util';
import { decodeHeartbeat, encodeHeartbeat, type Frame, ProtocolViolation } from '../core/protocol/codec.js';
import { FrameReader } from '../core/protocol/framer.js';
import type { HeartbeatMessage } from '../core/protocol/messages.js';
import { brokenOff, describeHandshakeFailure } from './handshake-words.js';
import {
  type CertificateSecurity,
  isProven,
  type LinkSecurity,
  type SecretSecurity,
  secureClient,
  UNPROTECTED,
} from './link-security.js';
import { retransmitPromptly } from './prompt-retransmission.js';
import { resetNow } from './reset-socket.js';

/** More unsent octets than this and the peer is closed. */
export const WRITE_QUEUE_LIMIT = 64 * 1024;
/** A connection that is being ended in order is destroyed after this. */
export const FLUSH_TIMEOUT_MS = 1000;

const SPEAKS_TLS =
  'the peer speaks TLS, but this end does not (watchdog.secret_file or watchdog.ssl, heartbeat_secret_file or heartbeat_sslmode)';

/** What a framed connection tells its owner. Nothing follows `closed`. */
export interface FramedEvents {
  /** One complete message; undefined for a type that is unknown and may be skipped. */
  message(message: HeartbeatMessage | undefined): void;
  /** The peer broke the protocol. The owner may still send and `end`; else the connection is destroyed. */
  violated(text: string): void;
  /** The connection is gone. Comes exactly once, whatever ended it. */
  closed(text: string): void;
}

/**
 * By which the handlers of a socket's events, one set for all sockets, find what they belong to: closures would cost
 * each of ten thousand links half a kilobyte.
 */
const OWNER: unique symbol = Symbol('framed connection');
type Framed = net.Socket & { [OWNER]?: FramedSocket };

/** A connection of heartbeat messages. Sending on a connection that is gone does nothing. */
export class FramedSocket {
  readonly #socket: Framed;
  /** The TCP connection: #socket itself, or what carries its TLS. */
  readonly #raw: Framed;
  readonly #events: FramedEvents;
  readonly #reader = new FrameReader();
  #remoteAddress: string;
  /** Set when a connection is made; that of one that was accepted is asked for when it is wanted. */
  #localAddress = '';
  /** Set once nothing more is delivered: after end, destroy or a violation. */
  #deaf = false;
  #ending = false;
  #heard = false;
  #gone = false;
  #failure = '';

  /** `raw`: the TCP connection below a TLS one. */
  constructor(socket: Framed, events: FramedEvents, raw: Framed = socket) {
    this.#socket = socket;
    this.#raw = raw;
    this.#events = events;
    this.#remoteAddress = raw.remoteAddress ?? '';
    raw.setNoDelay(true);
    socket[OWNER] = this;
    raw[OWNER] = this;
    const { connect, data, end, error, close } = FramedSocket.#handlers;
    if (raw.connecting) raw.once('connect', connect);
    socket.on('data', data);
    socket.on('end', end);
    socket.on('error', error);
    socket.on('close', close);
    if (raw === socket) return;
    raw.on('error', error);
    raw.once('close', () => {
      socket.destroy();
      // On Node.js 18 a TLS socket says nothing when the connection below it was reset from this end.
      setImmediate(() => this.#closed());
    });
  }

  /** Called with the socket as `this`. */
  static readonly #handlers = {
    connect(this: Framed): void {
      const framed = this[OWNER]!;
      framed.#remoteAddress = this.remoteAddress ?? framed.#remoteAddress;
      framed.#localAddress = this.localAddress ?? '';
    },
    data(this: Framed, chunk: Buffer): void {
      this[OWNER]!.#take(chunk);
    },
    end(this: Framed): void {
      this[OWNER]!.#failed('connection closed by peer');
    },
    error(this: Framed, error: NodeJS.ErrnoException): void {
      this[OWNER]!.#failed(describeSocketError(error));
    },
    close(this: Framed): void {
      this[OWNER]!.#closed();
    },
  };

  #closed(): void {
    if (this.#gone) return;
    this.#gone = true;
    this.#deaf = true;
    this.#events.closed(this.#failure === '' ? 'connection closed' : this.#failure);
  }

  /** Address of the peer as the kernel gives it (IPv4-mapped where the listener is IPv6), kept after the end. */
  get remoteAddress(): string {
    return this.#remoteAddress;
  }

  /** Own address of the connection; '' before it is connected. That of a connection made here is kept after the end. */
  get localAddress(): string {
    return this.#localAddress === '' ? (this.#raw.localAddress ?? '') : this.#localAddress;
  }

  /** Queues a message. Throws RangeError for a value that does not fit its field. */
  send(message: HeartbeatMessage): void {
    this.#heed(message);
    this.sendEncoded(encodeHeartbeat(message));
  }

  /** Queues a message that is encoded already, so that one encoding serves many links. */
  sendEncoded(bytes: Buffer): void {
    if (this.#ending || !this.#socket.writable) return;
    this.#socket.write(bytes);
    if (this.#socket.writableLength > WRITE_QUEUE_LIMIT) {
      this.#failed('peer does not read: too much is waiting to be sent');
      this.destroy();
    }
  }

  /** What is sent within `sends` goes out as one, in one packet if it fits. */
  together(sends: () => void): void {
    this.#socket.cork();
    try {
      sends();
    } finally {
      this.#socket.uncork();
    }
  }

  /** Sets the longest frame taken from now on. */
  setLimit(limit: number): void {
    this.#reader.setLimit(limit);
  }

  /** Sends what is queued, then ends in order; destroyed after a second. No message is delivered any more. */
  end(): void {
    if (this.#ending || this.#socket.destroyed) return;
    this.#ending = true;
    this.#deaf = true;
    if (this.#raw.connecting) {
      this.#kill();
      return;
    }
    const timer = setTimeout(() => this.destroy(), FLUSH_TIMEOUT_MS);
    this.#socket.once('close', () => clearTimeout(timer));
    this.#socket.end();
  }

  /** Ends at once with a reset, so that neither end waits for octets that nobody wants. */
  destroy(): void {
    const ended = this.#ending;
    this.#ending = true;
    this.#deaf = true;
    if (ended) this.#kill();
    else {
      resetNow(this.#raw);
      this.#socket.destroy();
    }
  }

  #kill(): void {
    this.#raw.destroy();
    this.#socket.destroy();
  }

  /** Both ends learn heartbeat_timeout from the same messages. */
  #heed(message: HeartbeatMessage | undefined): void {
    if (message?.name === 'hello' || message?.name === 'retime') {
      retransmitPromptly(this.#raw, message.timeoutMs);
    }
  }

  #failed(text: string): void {
    if (this.#failure === '') this.#failure = text;
  }

  #deliver(frame: Frame): void {
    const message = decodeHeartbeat(frame);
    this.#heed(message);
    this.#events.message(message);
  }

  #take(chunk: Buffer): void {
    if (this.#deaf) return;
    try {
      if (!this.#heard && isTlsHello(chunk)) throw new ProtocolViolation(SPEAKS_TLS);
      this.#heard = true;
      const whole = this.#reader.whole(chunk);
      if (whole !== undefined) {
        this.#deliver(whole);
        return;
      }
      for (const frame of this.#reader.push(chunk)) {
        this.#deliver(frame);
        if (this.#deaf) return;
      }
    } catch (error) {
      if (!(error instanceof ProtocolViolation)) throw error;
      this.#deaf = true;
      this.#failed(error.message);
      this.#events.violated(error.message);
      if (!this.#ending) this.destroy();
    }
  }
}

/** Where to connect, and how the link is protected. */
export interface FramedTarget {
  /** An address, not a name: names are resolved by the caller, who walks over all addresses itself. */
  readonly address: string;
  readonly port: number;
  /** Who should be there, for a certificate that is made out to a name. Default: the address. */
  readonly host?: string;
  /** Default: not at all. */
  readonly security?: LinkSecurity;
}

/** Connects to a watchdog; `connected` comes when it has proven who it is, if it has to. A failure comes as `closed`. */
export function connectFramed(
  { address, port, host = address, security = UNPROTECTED }: FramedTarget,
  events: FramedEvents & { connected(): void },
): FramedSocket {
  // Node 18 does not declare the option, later ones would race the families against each other.
  const target = { host: address, port, autoSelectFamily: false };
  const raw = net.connect(target as net.TcpNetConnectOpts);
  if (security.kind === 'none') {
    const framed = new FramedSocket(raw, events);
    raw.on('connect', () => events.connected());
    return framed;
  }
  return connectSecured(raw, security, host, events);
}

function connectSecured(
  raw: net.Socket,
  security: SecretSecurity | CertificateSecurity,
  host: string,
  events: FramedEvents & { connected(): void },
): FramedSocket {
  const socket = secureClient(raw, security, host);
  let phase: 'tcp' | 'tls' | 'connected' = 'tcp';
  raw.once('connect', () => {
    phase = 'tls';
  });
  let failure: string | undefined;
  // Before the handshake nothing of the protocol is spoken, so how it failed is the whole story.
  socket.on('error', (error: NodeJS.ErrnoException) => {
    if (phase === 'tls') failure ??= describeHandshakeFailure(error, security.kind, host);
  });
  const framed = new FramedSocket(
    socket,
    {
      message: (message) => events.message(message),
      violated: (text) => events.violated(text),
      closed: (text) => events.closed(failure ?? (phase === 'tls' ? brokenOff(security.kind) : text)),
    },
    raw,
  );
  socket.on('secureConnect', () => {
    if (isProven(socket, security)) {
      phase = 'connected';
      events.connected();
      return;
    }
    failure = 'watchdog has not proven who it is';
    framed.destroy();
  });
  return framed;
}

/** A socket error in the words of strerror(3), without code and address. */
export function describeSocketError(error: NodeJS.ErrnoException): string {
  const known = error.errno === undefined ? undefined : getSystemErrorMap().get(error.errno);
  return known?.[1] ?? error.message;
}

/** The record of a ClientHello (RFC 8446, 5.1); read as the length of a frame it is far beyond any limit. */
function isTlsHello(chunk: Buffer): boolean {
  return chunk[0] === 0x16 && chunk[1] === 0x03;
}
