/**
 * The port for applications: accepts, bounds what is half-open, and sends what ConmgrCore has to say.
 *
 * Node accepts and closes silently at its descriptor limit, so descriptors are counted here: a
 * connection too many is told why it is refused, and the links keep their descriptors.
 */
import type { Socket } from 'node:net';
import { refusalForDescriptors } from '../core/conmgr/refusals.js';
import type { ServerPlace } from '../core/gateway/cancel-routes.js';
import type { Ask } from '../core/protocol/ask.js';
import {
  type BackendMessage,
  type BoundMessage,
  type ConmgrMessage,
  encodeConmgrMessage,
} from '../core/protocol/first-phase.js';
import { type ErrorFields, encodeErrorResponse, STARTUP_TIMEOUT_MS } from '../core/protocol/startup.js';
import type { Clock, MonotonicMs, TimerHandle } from '../core/time.js';
import { AppConnection, type AppEvents, type CancelRequest, type Successor } from './app-connection.js';
import { BACKLOG, type ListenerRule } from './app-listeners.js';
import { ConsoleConnection, type ConsoleWorld } from './console-connection.js';
import type { Gateway } from './gateway.js';
import type { HandedPart, HandedServer } from './handed-part.js';

/** A message to many sessions goes out in slices of this size, with the links' packets between them. */
export const SLICE = 200;
/**
 * Half-open connections at the most; the oldest makes room for the newest. All that the kernel holds come at once, before the
 * first of them is read: none of these may be sent away for having said nothing.
 */
const MAX_HALF_OPEN = 2 * BACKLOG;
const HALF_OPEN_SWEEP_MS = 250;

export interface AppPortEvents {
  asked(session: number, ask: Ask): void;
  bound(session: number, message: BoundMessage): void;
  backend(session: number, message: BackendMessage): void;
  closed(session: number): void;
  report(
    message: 'badClient' | 'stockDriver' | 'clientRefused' | 'noDescriptor',
    params: Record<string, string | number>,
  ): void;
}

export interface AppPortOptions {
  readonly clock: Clock;
  /** Application connections that the descriptor limit allows, below the limit by what the rest of the process needs. */
  readonly allowed: () => { readonly connections: number; readonly limit: number };
  /** heartbeat_timeout: an application's host that is silent for longer counts as gone. */
  readonly silentAfterMs: () => number;
  readonly console: ConsoleWorld;
  /** Takes over stock drivers. */
  readonly gateway: Gateway;
  readonly events: AppPortEvents;
}

/** Sessions must be adopted before connections that are none, so that those get numbers behind them. */
export type AdoptedPart = Omit<HandedPart, 'fd' | 'server'> & {
  readonly server: (HandedServer & { readonly place: ServerPlace; readonly key: Buffer }) | undefined;
};

interface Delivery {
  readonly sessions: readonly number[];
  readonly act: (connection: AppConnection) => void;
  /** A later delivery of the same subject makes what is left of this one worthless; undefined: nothing does. */
  readonly subject: string | undefined;
  next: number;
}

/** What a message is news of, where only the newest counts. */
function subjectOf([message, ...others]: readonly ConmgrMessage[]): string | undefined {
  if (message === undefined || others.length > 0) return undefined;
  if (message.kind === 'changed') return `changed ${message.instance}`;
  return message.kind === 'ping' ? 'ping' : undefined;
}

export class AppPort implements AppEvents {
  readonly #options: AppPortOptions;
  readonly #connections = new Map<number, AppConnection>();
  readonly #sessions = new Set<number>();
  /** Insertion order is the order of accept. */
  readonly #halfOpen = new Map<AppConnection, MonotonicMs>();
  #sweep: TimerHandle | undefined;
  #nextId = 1;
  #queue: Delivery[] = [];
  #delivering = false;
  #idle: (() => void)[] = [];
  /** Who waits for the end of a connection. */
  readonly #closing = new Map<AppConnection, () => void>();

  constructor(options: AppPortOptions) {
    this.#options = options;
  }

  get open(): number {
    return this.#connections.size;
  }

  connection(session: number): AppConnection | undefined {
    return this.#connections.get(session);
  }

  /** All connections. */
  ids(): IterableIterator<number> {
    return this.#connections.keys();
  }

  /** Whether a descriptor is left for one more connection. */
  hasRoom(): boolean {
    return this.#used < this.#options.allowed().connections;
  }

  get #used(): number {
    return this.#connections.size + this.#options.gateway.servers;
  }

  accept(socket: Socket, listener: ListenerRule): void {
    const { limit } = this.#options.allowed();
    const full = !this.hasRoom();
    if (full) this.#options.events.report('noDescriptor', { open: this.#used, limit });
    if (full || this.#halfOpen.size >= MAX_HALF_OPEN) {
      // Who has not said anything yet makes room: a real client speaks at once.
      const [oldest] = this.#halfOpen.keys();
      if (oldest === undefined) {
        sendAway(socket, limit);
        return;
      }
      this.#forget(oldest);
      oldest.sendAway(refusalForDescriptors(limit));
    }
    const connection = new AppConnection(this.#nextId, socket, this, listener, this.#options.silentAfterMs());
    this.#nextId += 1;
    this.#connections.set(connection.id, connection);
    this.unsettled(connection);
  }

  /** Queues messages; they go out in order, a slice a turn of the event loop. */
  tell(sessions: readonly number[], messages: readonly ConmgrMessage[], close: boolean): void {
    const encoded = messages.map(encodeConmgrMessage);
    const bytes = encoded.length === 1 && encoded[0] !== undefined ? encoded[0] : Buffer.concat(encoded);
    const subject = subjectOf(messages);
    if (subject !== undefined) this.#queue = this.#queue.filter((waiting) => waiting.subject !== subject);
    this.#enqueue(sessions, subject, (connection) => {
      connection.send(bytes);
      if (close) connection.end();
    });
  }

  /** Resets connections that are forwarded, in the same slices. */
  reset(sessions: readonly number[]): void {
    this.#enqueue(sessions, undefined, (connection) => connection.reset());
  }

  #enqueue(
    sessions: readonly number[],
    subject: string | undefined,
    act: (connection: AppConnection) => void,
  ): void {
    this.#queue.push({ sessions, act, subject, next: 0 });
    if (!this.#delivering) this.#deliver();
  }

  /**
   * What a successor needs of each connection, by its id; those that are missing cannot be handed over. What was to be
   * told has been. Until `thaw` there must be no turn of the event loop.
   */
  handOver(): ReadonlyMap<number, HandedPart> {
    this.#deliver(Number.POSITIVE_INFINITY);
    const parts = new Map<number, HandedPart>();
    for (const [id, connection] of this.#connections) {
      const part = connection.handOver();
      if (part !== undefined) parts.set(id, part);
    }
    return parts;
  }

  /** In the last moment of this process: what a successor does not take is told so. */
  sayGoodbye(session: number, message: ConmgrMessage): void {
    this.#connections.get(session)?.send(encodeConmgrMessage(message));
  }

  /** The same for one without words. */
  cutOff(id: number): void {
    this.#connections.get(id)?.reset();
  }

  /** Nobody has taken them. */
  thaw(): void {
    for (const connection of [...this.#connections.values()]) connection.thaw();
  }

  /**
   * Takes over a connection of a predecessor. `session`: its id there, undefined for one that is no session yet; `place`:
   * the server of one that is forwarded. False: it is reset.
   */
  adopt(socket: Socket, listener: ListenerRule, session: number | undefined, part: AdoptedPart): boolean {
    const id = session ?? this.#nextId;
    this.#nextId = Math.max(this.#nextId, id + 1);
    const connection = new AppConnection(id, socket, this, listener, this.#options.silentAfterMs());
    this.#connections.set(id, connection);
    if (session === undefined) this.unsettled(connection);
    else if (part.server === undefined) this.#sessions.add(id);
    if (part.server === undefined) {
      connection.restore(part);
      return true;
    }
    const forwarded = this.#options.gateway.restore(connection, socket, part.server);
    connection.restoreForwarded(forwarded);
    const isServed = forwarded.restore(part.server, part);
    if (!isServed) connection.reset();
    return isServed;
  }

  refuse(session: number, error: ErrorFields): void {
    this.#connections.get(session)?.refuse(error);
  }

  /** Resolves when everything that was told has been handed to the kernel or `timeoutMs` have passed; then ends all. */
  async drain(timeoutMs: number): Promise<void> {
    const deadline = new Promise<void>((done) => this.#options.clock.setTimer(timeoutMs, done));
    const idle = this.#delivering ? new Promise<void>((done) => this.#idle.push(done)) : Promise.resolve();
    await Promise.race([idle, deadline]);
    const closed = [...this.#connections.values()].map(
      (connection) => new Promise<void>((done) => this.#closing.set(connection, done)),
    );
    for (const connection of this.#connections.values()) connection.end();
    await Promise.race([Promise.all(closed), deadline]);
    this.#sweep?.cancel();
    for (const connection of [...this.#connections.values()]) connection.destroy();
  }

  // AppEvents

  asked(connection: AppConnection, ask: Ask): void {
    this.#sessions.add(connection.id);
    this.#options.events.asked(connection.id, ask);
  }

  bound(connection: AppConnection, message: BoundMessage): void {
    this.#options.events.bound(connection.id, message);
  }

  backend(connection: AppConnection, message: BackendMessage): void {
    this.#options.events.backend(connection.id, message);
  }

  stock(connection: AppConnection): void {
    this.#options.events.report('stockDriver', { peer: connection.peer });
  }

  refusedQuestion(connection: AppConnection, reason: string): void {
    this.#options.events.report('clientRefused', { peer: connection.peer, reason });
  }

  garbage(connection: AppConnection, reason: string, more: string): void {
    this.#options.events.report('badClient', { peer: connection.peer, reason, more });
  }

  forward(connection: AppConnection, socket: Socket): Successor {
    return this.#options.gateway.adopt(connection, socket);
  }

  console(connection: AppConnection, socket: Socket, params: ReadonlyMap<string, string>): Successor {
    return new ConsoleConnection(socket, this.#options.console, params, () => connection.end());
  }

  cancel(connection: AppConnection, request: CancelRequest): Promise<void> {
    return this.#options.gateway.cancel(request, connection);
  }

  settled(connection: AppConnection): void {
    this.#halfOpen.delete(connection);
  }

  unsettled(connection: AppConnection): void {
    this.#halfOpen.delete(connection);
    this.#halfOpen.set(connection, this.#options.clock.monotonicMs());
    this.#sweep ??= this.#armSweep();
  }

  closed(connection: AppConnection): void {
    this.#forget(connection);
    this.#closing.get(connection)?.();
    this.#closing.delete(connection);
    if (this.#sessions.delete(connection.id)) this.#options.events.closed(connection.id);
  }

  /** Its descriptor is free, or is about to be within this turn of the event loop. */
  #forget(connection: AppConnection): void {
    this.#halfOpen.delete(connection);
    this.#connections.delete(connection.id);
  }

  #deliver(most = SLICE): void {
    this.#delivering = true;
    let left = most;
    while (left > 0) {
      const [delivery] = this.#queue;
      if (delivery === undefined) break;
      const slice = delivery.sessions.slice(delivery.next, delivery.next + left);
      left -= slice.length;
      delivery.next += slice.length;
      for (const session of slice) {
        const connection = this.#connections.get(session);
        if (connection !== undefined) delivery.act(connection);
      }
      if (delivery.next >= delivery.sessions.length) this.#queue.shift();
    }
    if (this.#queue.length > 0) {
      setImmediate(() => this.#deliver());
      return;
    }
    this.#delivering = false;
    for (const done of this.#idle.splice(0)) done();
  }

  /** What has come must have been read before: a process that was late itself takes a turn of the event loop for all. */
  #armSweep(): TimerHandle {
    const afterReading = (): void => void setImmediate(() => setImmediate(() => this.#sweepHalfOpen()));
    return this.#options.clock.setTimer(HALF_OPEN_SWEEP_MS, afterReading);
  }

  #sweepHalfOpen(): void {
    this.#sweep = undefined;
    const now = this.#options.clock.monotonicMs();
    for (const [connection, since] of this.#halfOpen) {
      if (now - since < STARTUP_TIMEOUT_MS) break;
      this.#options.events.report('badClient', {
        peer: connection.peer,
        reason: `no complete start-up packet within ${STARTUP_TIMEOUT_MS / 1000} s`,
        more: '',
      });
      this.#halfOpen.delete(connection);
      connection.destroy();
    }
    if (this.#halfOpen.size > 0) {
      this.#sweep = this.#armSweep();
    }
  }
}

/** Tells a connection that nothing can be done for it and closes it within this very call. */
function sendAway(socket: Socket, limit: number): void {
  socket.on('error', () => {});
  socket.write(encodeErrorResponse(refusalForDescriptors(limit)));
  socket.destroy();
}
