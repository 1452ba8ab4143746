/**
 * A TCP connection that carries heartbeat messages instead of bytes; both ends of a link use it.
 *
 * What comes in is bounded by the frame limit before it is kept, what goes out by a queue of 64 kB: a peer that
 * does not read is closed, not waited for.
 */
import type { Buffer } from 'node:buffer';
import net from 'node:net';
import { getSystemErrorMap } from 'node:util';
import { decodeHeartbeat, encodeHeartbeat, ProtocolViolation } from '../core/protocol/codec.js';
import { FrameReader } from '../core/protocol/framer.js';
import type { HeartbeatMessage } from '../core/protocol/messages.js';

/** More unsent octets than this and the peer is closed. */
export const WRITE_QUEUE_LIMIT = 64 * 1024;
/** A connection that is being ended in order is destroyed after this. */
export const FLUSH_TIMEOUT_MS = 1000;

/** What a framed connection tells its owner. Nothing follows `closed`. */
export interface FramedEvents {
  /** One complete message; undefined for a type that is unknown and may be skipped. */
  message(message: HeartbeatMessage | undefined): void;
  /** The peer broke the protocol. The owner may still send and `end`; else the connection is destroyed. */
  violated(text: string): void;
  /** The connection is gone. Comes exactly once, whatever ended it. */
  closed(text: string): void;
}

/** A connection of heartbeat messages. Sending on a connection that is gone does nothing. */
export class FramedSocket {
  readonly #socket: net.Socket;
  readonly #events: FramedEvents;
  readonly #reader = new FrameReader();
  #remoteAddress: string;
  #localAddress: string;
  /** Set once nothing more is delivered: after end, destroy or a violation. */
  #deaf = false;
  #ending = false;
  #failure = '';

  constructor(socket: net.Socket, events: FramedEvents) {
    this.#socket = socket;
    this.#events = events;
    this.#remoteAddress = socket.remoteAddress ?? '';
    this.#localAddress = socket.localAddress ?? '';
    socket.setNoDelay(true);
    socket.on('connect', () => {
      this.#remoteAddress = socket.remoteAddress ?? this.#remoteAddress;
      this.#localAddress = socket.localAddress ?? '';
    });
    socket.on('data', (chunk: Buffer) => this.#take(chunk));
    socket.on('end', () => this.#failed('connection closed by peer'));
    socket.on('error', (error: NodeJS.ErrnoException) => this.#failed(describeSocketError(error)));
    socket.on('close', () => {
      this.#deaf = true;
      events.closed(this.#failure === '' ? 'connection closed' : this.#failure);
    });
  }

  /** Address of the peer as the kernel gives it (IPv4-mapped where the listener is IPv6), kept after the end. */
  get remoteAddress(): string {
    return this.#remoteAddress;
  }

  /** Own address of the connection, kept after the end; '' before it is connected. */
  get localAddress(): string {
    return this.#localAddress;
  }

  /** Queues a message. Throws RangeError for a value that does not fit its field. */
  send(message: HeartbeatMessage): void {
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

  /** Sets the longest frame taken from now on. */
  setLimit(limit: number): void {
    this.#reader.setLimit(limit);
  }

  /** Sends what is queued, then ends in order; destroyed after a second. No message is delivered any more. */
  end(): void {
    if (this.#ending || this.#socket.destroyed) return;
    this.#ending = true;
    this.#deaf = true;
    if (this.#socket.connecting) {
      this.#socket.destroy();
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
    // resetAndDestroy would wait until the connection is made, and on Node.js 18 does nothing behind end().
    if (ended || this.#socket.connecting || this.#socket.destroyed) this.#socket.destroy();
    else this.#socket.resetAndDestroy();
  }

  #failed(text: string): void {
    if (this.#failure === '') this.#failure = text;
  }

  #take(chunk: Buffer): void {
    if (this.#deaf) return;
    try {
      for (const frame of this.#reader.push(chunk)) {
        this.#events.message(decodeHeartbeat(frame));
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

/**
 * Connects to a watchdog. `address` is an address, not a name: names are resolved by the caller, who walks over
 * all addresses itself. A failure to connect comes as `closed`.
 */
export function connectFramed(
  options: { readonly address: string; readonly port: number },
  events: FramedEvents & { connected(): void },
): FramedSocket {
  // Node 18 does not declare the option, later ones would race the families against each other.
  const target = { host: options.address, port: options.port, autoSelectFamily: false };
  const socket = net.connect(target as net.TcpNetConnectOpts);
  const framed = new FramedSocket(socket, events);
  socket.on('connect', () => events.connected());
  return framed;
}

/** A socket error in the words of strerror(3), without code and address. */
export function describeSocketError(error: NodeJS.ErrnoException): string {
  const known = error.errno === undefined ? undefined : getSystemErrorMap().get(error.errno);
  return known?.[1] ?? error.message;
}
