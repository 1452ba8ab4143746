/** One application's connection to conmgr: its first packet, then the messages of the first phase. */
import { Buffer } from 'node:buffer';
import type { Socket } from 'node:net';
import { refusalForConsole, refusalForStockDriver } from '../core/conmgr/refusals.js';
import { isForConsole } from '../core/gateway/startup-options.js';
import { ASK_OPTION, type Ask, parseAsk } from '../core/protocol/ask.js';
import { type BackendMessage, type BoundMessage, readClientMessages } from '../core/protocol/first-phase.js';
import {
  type ErrorFields,
  encodeErrorResponse,
  encodeNegotiateProtocolVersion,
  type FirstPacket,
  readFirstPacket,
} from '../core/protocol/startup.js';
import { descriptorOf } from '../io/socket-handle.js';
import { Unsent } from '../io/unsent.js';
import type { ListenerRule } from './app-listeners.js';
import type { HandedPart } from './handed-part.js';

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
  backend(connection: AppConnection, message: BackendMessage): void;
  /** A driver without the option connected and was refused. */
  stock(connection: AppConnection): void;
  /** A question that is refused, or something that is not PostgreSQL: why. */
  refusedQuestion(connection: AppConnection, reason: string): void;
  /** `more`: what differs from one to the next, so that a flood of them is one kind of message. */
  garbage(connection: AppConnection, reason: string, more: string): void;
  /** A stock driver is to be forwarded: what takes its bytes from now on. */
  forward(connection: AppConnection, socket: Socket): Successor;
  /** A client of the console: what takes its bytes from now on. */
  console(connection: AppConnection, socket: Socket, params: ReadonlyMap<string, string>): Successor;
  /** Resolves when the request has been handed on. */
  cancel(connection: AppConnection, request: CancelRequest): Promise<void>;
  /** The first packet is complete, whatever it was: the connection is no longer half-open. */
  settled(connection: AppConnection): void;
  /** It has to send a first packet once more. */
  unsettled(connection: AppConnection): void;
  closed(connection: AppConnection): void;
}

type StartupPacket = Extract<FirstPacket, { kind: 'startup' }>;
export type CancelRequest = Extract<FirstPacket, { kind: 'cancel' }>;

/** What a connection hands its bytes to once it is known what it is. */
export interface Successor {
  take(chunk: Buffer): void;
  /** The application has nothing more to say. */
  ended(): void;
  /** Everything that was written has gone out. */
  drained(): void;
  closed(): void;
  /** Both ends at once, without a word. */
  reset(): void;
  /** For a successor, with what was read last; undefined: that cannot be. Nothing may be read or written behind it. */
  handOver?(fd: number, read: Buffer): HandedPart | undefined;
}

export class AppConnection {
  readonly id: number;
  readonly listener: ListenerRule;
  /** Of the application. */
  readonly address: string;
  /** `127.0.0.1:40312`, `[::1]:40312`. */
  readonly peer: string;
  readonly remotePort: number;
  readonly localPort: number;
  /** What is written to the application. */
  readonly outgoing: Unsent;
  readonly #socket: Socket;
  readonly #events: AppEvents;
  /** What is read while nothing is handled. */
  #frozen: Buffer[] | undefined;
  #wasPaused = false;
  #held: Buffer = Buffer.alloc(0);
  #phase: 'first packet' | 'session' | 'handed over' | 'ending' = 'first packet';
  /** Encryption was asked for and refused; each may be asked once, as libpq does. */
  readonly #declined = new Set<string>();
  #successor: Successor | undefined;
  #cutOff: NodeJS.Timeout | undefined;

  /** `silentAfterMs`: a host that does not answer for so long counts as gone. */
  constructor(id: number, socket: Socket, events: AppEvents, listener: ListenerRule, silentAfterMs: number) {
    this.id = id;
    this.listener = listener;
    this.#socket = socket;
    this.outgoing = new Unsent(socket);
    this.#events = events;
    this.remotePort = socket.remotePort ?? 0;
    const address = socket.remoteAddress ?? 'unknown';
    this.address = address;
    this.peer = `${address.includes(':') ? `[${address}]` : address}:${this.remotePort}`;
    this.localPort = socket.localPort ?? 0;
    socket.setNoDelay(true);
    if (!isLoopback(address)) socket.setKeepAlive(true, keepAliveDelayMs(silentAfterMs));
    socket.on('data', (chunk: Buffer) => {
      if (this.#frozen === undefined) this.#receive(chunk);
      else this.#frozen.push(chunk);
    });
    socket.on('drain', () => this.#successor?.drained());
    socket.on('end', () => {
      // An application that half-closes has nothing more to say, and its attachment is over.
      if (this.#successor === undefined) this.end();
      else this.#successor.ended();
    });
    socket.on('error', () => {});
    socket.on('close', () => {
      clearTimeout(this.#cutOff);
      this.#successor?.closed();
      events.closed(this);
    });
  }

  /** Writes to the application; one that does not read is closed. */
  send(bytes: Buffer): void {
    if (!this.#socket.writable) return;
    this.outgoing.write(bytes);
    if (this.#socket.writableLength > SESSION_QUEUE_LIMIT) this.destroy();
  }

  /**
   * Stops reading, and gives what a successor needs; undefined when it is to be treated as without hand-over. Until
   * `thaw` there must be no turn of the event loop.
   */
  handOver(): HandedPart | undefined {
    this.#freeze();
    const fd = descriptorOf(this.#socket);
    const read = Buffer.concat(this.#frozen ?? []);
    if (fd === undefined || this.#phase === 'ending' || this.#socket.writableEnded) return undefined;
    if (this.#successor !== undefined) return this.#successor.handOver?.(fd, read);
    const outbound = this.outgoing.take();
    if (outbound === undefined) return undefined;
    const inbound = Buffer.concat([this.#held, read]);
    const isSession = this.#phase === 'session';
    return { fd, server: undefined, isSession, declined: [...this.#declined], inbound, outbound };
  }

  #freeze(): void {
    this.#frozen = [];
    this.#wasPaused = this.#socket.isPaused();
    this.#socket.pause();
    // What Node.js has read already comes as `data`, too.
    while (this.#socket.read() !== null);
  }

  /** Nobody has taken it: goes on. */
  thaw(): void {
    const frozen = this.#frozen ?? [];
    this.#frozen = undefined;
    if (!this.#wasPaused) this.#socket.resume();
    for (const chunk of frozen) this.#receive(chunk);
  }

  /** Begins where the predecessor has stopped: as a session, or with its first packet. */
  restore({ isSession, declined, inbound, outbound }: Omit<HandedPart, 'fd' | 'server'>): void {
    if (isSession) {
      this.settle();
      this.#phase = 'session';
    }
    for (const kind of declined) this.#declined.add(kind);
    if (outbound.length > 0) this.send(outbound);
    if (inbound.length > 0) this.#take(inbound);
    this.#socket.resume();
  }

  /** The same for one that is forwarded. */
  restoreForwarded(successor: Successor): void {
    this.settle();
    this.#phase = 'handed over';
    this.#successor = successor;
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

  /** Its server is lost: it must not wait for an answer that never comes. */
  reset(): void {
    if (this.#successor === undefined) this.destroy();
    else this.#successor.reset();
  }

  /** Something that is not PostgreSQL: closed, and said in the log. */
  garbage(reason: string, bytes: Buffer): void {
    this.#garbage(reason, ` (first bytes ${bytes.toString('hex', 0, 16)})`);
  }

  /** A CancelRequest gets no answer but the end of the connection. */
  cancel(request: CancelRequest): void {
    this.settle();
    // It must not be sent twice, here or by a successor: the second could hit the statement after the one that was meant.
    this.#phase = 'ending';
    void this.#events.cancel(this, request).then(() => this.end());
  }

  /** The client wants the console. */
  openConsole({ params, version, rest }: StartupPacket): void {
    this.settle();
    if (!isLoopback(this.address)) {
      this.refuse(refusalForConsole());
      return;
    }
    this.#phase = 'handed over';
    this.#negotiate(version, params);
    this.#successor = this.#events.console(this, this.#socket, params);
    if (rest.length > 0) this.#successor.take(rest);
  }

  /** Its packet is complete; what it says next may take its time. */
  settle(): void {
    this.#events.settled(this);
  }

  /** Its next packet is a first packet again, and must come as soon as one. */
  unsettle(): void {
    this.#events.unsettled(this);
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

  #receive(chunk: Buffer): void {
    if (this.#successor === undefined) this.#take(chunk);
    else this.#successor.take(chunk);
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
        if (this.listener.forwards()) this.#forward();
        else this.#decline(packet.kind, packet.rest);
        return;
      case 'startup':
        this.#startup(packet);
        return;
      case 'cancel':
        this.cancel(packet);
        return;
      case 'direct-tls':
        if (this.listener.forwards()) this.#forward();
        else this.#garbage('direct TLS is not served on this port', '');
        return;
      case 'garbage':
        this.#garbage(
          'not the beginning of a PostgreSQL connection',
          ` (${packet.why}, first bytes ${this.#held.subarray(0, 16).toString('hex')})`,
        );
        return;
    }
  }

  #forward(): void {
    const held = this.#held;
    this.#held = Buffer.alloc(0);
    this.settle();
    this.#phase = 'handed over';
    this.#successor = this.#events.forward(this, this.#socket);
    this.#successor.take(held);
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

  #startup(packet: StartupPacket): void {
    const question = packet.params.get(ASK_OPTION);
    if (question === undefined && isForConsole(packet.params)) {
      this.openConsole(packet);
      return;
    }
    if (question === undefined && this.listener.forwards()) {
      this.#forward();
      return;
    }
    this.settle();
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
    this.#negotiate(packet.version, packet.params);
    this.#phase = 'session';
    this.#held = Buffer.from(packet.rest);
    this.#events.asked(this, parsed.ask);
    if (this.#held.length > 0 && this.#open()) this.#readMessages();
  }

  /** As a server does: what the client asked for beyond protocol 3.0 is not known here. */
  #negotiate(version: number, params: ReadonlyMap<string, string>): void {
    const unknown = [...params.keys()].filter((name) => name.startsWith('_pq_.') && name !== ASK_OPTION);
    if (version !== PROTOCOL_3_0 || unknown.length > 0) this.send(encodeNegotiateProtocolVersion(unknown));
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
      else if (message.kind === 'backend') this.#events.backend(this, message);
      else if (message.kind === 'close') this.end();
      else {
        this.#events.garbage(this, message.why, '');
        this.destroy();
      }
    }
  }

  #garbage(reason: string, more: string): void {
    this.settle();
    this.#events.garbage(this, reason, more);
    this.destroy();
  }
}
