/** One application's connection to conmgr: its first packet, then the messages of the first phase. */
import { Buffer } from 'node:buffer';
import type { Socket } from 'node:net';
import { refusalForStockDriver } from '../core/conmgr/refusals.js';
import { ASK_OPTION, type Ask, parseAsk } from '../core/protocol/ask.js';
import { type BoundMessage, readClientMessages } from '../core/protocol/first-phase.js';
import {
  type ErrorFields,
  encodeErrorResponse,
  encodeNegotiateProtocolVersion,
  type FirstPacket,
  readFirstPacket,
} from '../core/protocol/startup.js';

/** More unsent octets than this and the application is closed: it does not read. */
export const SESSION_QUEUE_LIMIT = 64 * 1024;
/** A peer may take this long to read what was sent last and to close its own end; then it is cut off. */
const LINGER_MS = 1000;
const PROTOCOL_3_0 = 196_608;
/** libuv asks a silent peer every second, ten times, once the delay is over (uv_tcp_keepalive). */
const KEEPALIVE_PROBES_MS = 10_000;
const SHORTEST_KEEPALIVE_DELAY_MS = 1000;

/** How long a connection is silent before the kernel asks, so that the host is known to be gone after `silentAfterMs`
 *  in all; not below 11 s. */
export function keepAliveDelayMs(silentAfterMs: number): number {
  return Math.max(SHORTEST_KEEPALIVE_DELAY_MS, silentAfterMs - KEEPALIVE_PROBES_MS);
}

/** This host itself: its kernel closes the connections of a process that ends. */
function isLoopback(address: string): boolean {
  return /^(?:::ffff:)?127\.|^::1$/.test(address);
}

/** What a connection tells the port it belongs to. */
export interface AppEvents {
  asked(connection: AppConnection, ask: Ask): void;
  bound(connection: AppConnection, message: BoundMessage): void;
  /** A driver without the option connected and was refused. */
  stock(connection: AppConnection): void;
  /** A question that is refused, or something that is not PostgreSQL: why. */
  refusedQuestion(connection: AppConnection, reason: string): void;
  /** `more`: what differs from one to the next, so that a flood of them is one kind of message. */
  garbage(connection: AppConnection, reason: string, more: string): void;
  /** The first packet is complete, whatever it was: the connection is no longer half-open. */
  settled(connection: AppConnection): void;
  closed(connection: AppConnection): void;
}

export class AppConnection {
  readonly id: number;
  /** `127.0.0.1:40312`, `[::1]:40312`. */
  readonly peer: string;
  readonly remotePort: number;
  readonly localPort: number;
  readonly #socket: Socket;
  readonly #events: AppEvents;
  #held: Buffer = Buffer.alloc(0);
  #phase: 'first packet' | 'session' | 'ending' = 'first packet';
  /** Encryption was asked for and refused; each may be asked once, as libpq does. */
  readonly #declined = new Set<string>();
  #cutOff: NodeJS.Timeout | undefined;

  /** `silentAfterMs`: a host that does not answer for so long counts as gone. */
  constructor(id: number, socket: Socket, events: AppEvents, silentAfterMs: number) {
    this.id = id;
    this.#socket = socket;
    this.#events = events;
    this.remotePort = socket.remotePort ?? 0;
    const address = socket.remoteAddress ?? 'unknown';
    this.peer = `${address.includes(':') ? `[${address}]` : address}:${this.remotePort}`;
    this.localPort = socket.localPort ?? 0;
    socket.setNoDelay(true);
    if (!isLoopback(address)) socket.setKeepAlive(true, keepAliveDelayMs(silentAfterMs));
    socket.on('data', (chunk: Buffer) => this.#take(chunk));
    // An application that half-closes has nothing more to say, and its attachment is over.
    socket.on('end', () => this.end());
    socket.on('error', () => {});
    socket.on('close', () => {
      clearTimeout(this.#cutOff);
      events.closed(this);
    });
  }

  /** Writes to the application; one that does not read is closed. */
  send(bytes: Buffer): void {
    if (!this.#socket.writable) return;
    this.#socket.write(bytes);
    if (this.#socket.writableLength > SESSION_QUEUE_LIMIT) this.destroy();
  }

  /** Ends in order after what was sent. */
  end(): void {
    this.#linger();
    this.#socket.end();
  }

  destroy(): void {
    this.#phase = 'ending';
    this.#socket.destroy();
  }

  /** Sends an ErrorResponse and closes once the peer has had time to read it. */
  refuse(error: ErrorFields): void {
    this.#linger();
    this.#socket.end(encodeErrorResponse(error));
  }

  /** The same, but the connection is gone within this very call: what was sent has been handed to the kernel. */
  sendAway(error: ErrorFields): void {
    this.#phase = 'ending';
    this.#socket.write(encodeErrorResponse(error));
    this.#socket.destroy();
  }

  /** Whatever the peer does from now on, its descriptor is free soon, and its session is over. */
  #linger(): void {
    this.#phase = 'ending';
    if (!this.#socket.destroyed) this.#cutOff ??= setTimeout(() => this.#socket.destroy(), LINGER_MS);
  }

  #take(chunk: Buffer): void {
    if (this.#phase === 'ending') return;
    this.#held = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk]);
    if (this.#phase === 'first packet') this.#readFirst();
    else this.#readMessages();
  }

  #readFirst(): void {
    const packet = readFirstPacket(this.#held);
    switch (packet.kind) {
      case 'incomplete':
        // What is kept between reads must not pin a chunk of the socket.
        this.#held = Buffer.from(this.#held);
        return;
      case 'ssl-request':
      case 'gssenc-request':
        this.#decline(packet.kind, packet.rest);
        return;
      case 'startup':
        this.#startup(packet);
        return;
      case 'cancel':
        // A cancel request for a session that conmgr does not carry: as PostgreSQL, no answer.
        this.#settle();
        this.end();
        return;
      case 'direct-tls':
        this.#garbage('direct TLS is not served on this port', '');
        return;
      case 'garbage':
        this.#garbage(
          'not the beginning of a PostgreSQL connection',
          ` (${packet.why}, first bytes ${this.#held.subarray(0, 16).toString('hex')})`,
        );
        return;
    }
  }

  #decline(kind: string, rest: Buffer): void {
    if (rest.length > 0 || this.#declined.has(kind)) {
      this.#garbage('data behind an encryption request', '');
      return;
    }
    this.#declined.add(kind);
    this.#held = Buffer.alloc(0);
    this.send(Buffer.from('N'));
  }

  #startup(packet: Extract<FirstPacket, { kind: 'startup' }>): void {
    const question = packet.params.get(ASK_OPTION);
    this.#settle();
    if (question === undefined) {
      this.#events.stock(this);
      this.refuse(refusalForStockDriver());
      return;
    }
    const parsed = parseAsk(question);
    if ('refusal' in parsed) {
      const { sqlState, message, detail } = parsed.refusal;
      this.#events.refusedQuestion(this, `${message}; ${detail}`);
      this.refuse({ severity: 'FATAL', sqlState, message, detail });
      return;
    }
    const unknown = [...packet.params.keys()].filter(
      (name) => name.startsWith('_pq_.') && name !== ASK_OPTION,
    );
    if (packet.version !== PROTOCOL_3_0 || unknown.length > 0)
      this.send(encodeNegotiateProtocolVersion(unknown));
    this.#phase = 'session';
    this.#held = Buffer.from(packet.rest);
    this.#events.asked(this, parsed.ask);
    if (this.#held.length > 0 && this.#open()) this.#readMessages();
  }

  /** Asked of the field anew: what is reported may have ended the connection. */
  #open(): boolean {
    return this.#phase === 'session';
  }

  #readMessages(): void {
    const { messages, rest } = readClientMessages(this.#held);
    this.#held = rest;
    for (const message of messages) {
      if (!this.#open()) return;
      if (message.kind === 'bound') this.#events.bound(this, message);
      else if (message.kind === 'close') this.end();
      else {
        this.#events.garbage(this, message.why, '');
        this.destroy();
      }
    }
  }

  #settle(): void {
    this.#events.settled(this);
  }

  #garbage(reason: string, more: string): void {
    this.#settle();
    this.#events.garbage(this, reason, more);
    this.destroy();
  }
}
