/** The connections of stock drivers: carries out what ConmgrCore decides for them, and tells it what happens. */
import type { Socket } from 'node:net';
import type { TargetSessionAttrs } from '../core/cluster/target-session.js';
import { CancelRoutes, type ServerPlace } from '../core/gateway/cancel-routes.js';
import type { Candidate } from '../core/protocol/first-phase.js';
import type { ErrorFields } from '../core/protocol/startup.js';
import { resetNow } from '../io/reset-socket.js';
import type { AppConnection } from './app-connection.js';
import { ForwardedConnection, serverPlace } from './forwarded-connection.js';
import { sendCancel } from './gateway-cancel.js';

/** What happens to forwarded sessions. */
export interface GatewayEvents {
  forward(session: number, target: TargetSessionAttrs, app: string): void;
  /** It has named itself and maybe another target than that of its port. */
  introduced(session: number, app: string, target: TargetSessionAttrs | undefined): void;
  routeFailed(session: number, instance: number, text: string): void;
  bound(session: number, instance: number, address: string, port: number): void;
  /** The server has told the process ID of the session's backend. */
  backend(session: number, pid: number): void;
  closed(session: number): void;
}

export interface GatewayOptions {
  readonly events: GatewayEvents;
  /** Whether a descriptor is left for one more server. */
  readonly hasRoom: () => boolean;
  readonly descriptorLimit: number;
  /** How long a connection to a server may take. */
  readonly connectTimeoutMs: () => number;
}

/** What has been forwarded for a session, in bytes. */
export interface Traffic {
  readonly listener: number;
  readonly fromApplication: number;
  readonly fromServer: number;
}

/**
 * So many servers' ends are reset in a turn of the event loop: few, because thousands of applications may have to be
 * told first, and a server that is lost does not wait for it.
 */
const SERVERS_A_TURN = 5;

export class Gateway {
  readonly #options: GatewayOptions;
  readonly #connections = new Map<number, ForwardedConnection>();
  readonly #cancels = new CancelRoutes();
  /** Servers' ends that are still to be reset. */
  readonly #abandoned: Socket[] = [];
  /** Connections to servers: so many descriptors besides those of the applications. */
  servers = 0;

  constructor(options: GatewayOptions) {
    this.#options = options;
  }

  // From the port

  /** Takes over the connection of a stock driver. */
  adopt(connection: AppConnection, socket: Socket): ForwardedConnection {
    const forwarded = new ForwardedConnection(connection, socket, this);
    this.#connections.set(connection.id, forwarded);
    return forwarded;
  }

  /** The connection of a session that a predecessor has forwarded. */
  restore(
    connection: AppConnection,
    socket: Socket,
    { place, key }: { readonly place: ServerPlace; readonly key: Buffer },
  ): ForwardedConnection {
    const forwarded = this.adopt(connection, socket);
    const { id, listener, address } = connection;
    this.#cancels.add(id, { place, listener: listener.port, peer: address });
    if (key.length > 0) this.#cancels.learn(id, key);
    return forwarded;
  }

  /** Where the CancelRequests of a session go, and its key; empty: not known. */
  cancelRoute(session: number): { readonly place: ServerPlace; readonly key: Buffer } | undefined {
    return this.#cancels.routeOf(session);
  }

  /** Resolves when the request has been handed on as well as it can be. */
  cancel(request: { readonly pid: number; readonly key: Buffer }, from: AppConnection): Promise<void> {
    const body = Buffer.alloc(4 + request.key.length);
    body.writeUInt32BE(request.pid, 0);
    request.key.copy(body, 4);
    const places = this.#cancels.find(body, from.listener.port, from.address);
    return Promise.all(places.map((place) => this.#cancelAt(place, request))).then(() => {});
  }

  /** A server that does not answer must not cost more descriptors than there are. */
  async #cancelAt(
    place: ServerPlace,
    request: { readonly pid: number; readonly key: Buffer },
  ): Promise<void> {
    if (!this.#options.hasRoom()) return;
    this.servers += 1;
    await sendCancel(place, request, this.#options.connectTimeoutMs());
    this.servers -= 1;
  }

  // From ConmgrCore

  route(session: number, place: Candidate): void {
    this.#connections.get(session)?.route(place);
  }

  hold(session: number): void {
    this.#connections.get(session)?.hold();
  }

  /** False when the session is not one of these. */
  refuse(session: number, error: ErrorFields): boolean {
    const forwarded = this.#connections.get(session);
    forwarded?.refuse(error);
    return forwarded !== undefined;
  }

  traffic(session: number): Traffic | undefined {
    const forwarded = this.#connections.get(session);
    if (forwarded === undefined) return undefined;
    const { fromApplication, fromServer, connection } = forwarded;
    return { listener: connection.listener.port, fromApplication, fromServer };
  }

  // From the connections

  get descriptorLimit(): number {
    return this.#options.descriptorLimit;
  }

  get connectTimeoutMs(): number {
    return this.#options.connectTimeoutMs();
  }

  hasRoom(): boolean {
    return this.#options.hasRoom();
  }

  forward(session: number, target: TargetSessionAttrs, app: string): void {
    this.#options.events.forward(session, target, app);
  }

  introduced(session: number, app: string, target: TargetSessionAttrs | undefined): void {
    this.#options.events.introduced(session, app, target);
  }

  routeFailed(session: number, instance: number, text: string): void {
    this.#options.events.routeFailed(session, instance, text);
  }

  opened({ id, connection }: ForwardedConnection, place: Candidate, server: Socket): void {
    const { listener, address } = connection;
    this.#cancels.add(id, { place: serverPlace(place), listener: listener.port, peer: address });
    this.#options.events.bound(id, place.instance, server.localAddress ?? '', server.localPort ?? 0);
  }

  learnKey(session: number, key: Buffer): void {
    this.#cancels.learn(session, key);
    if (key.length >= 4) this.#options.events.backend(session, key.readUInt32BE(0));
  }

  left(session: number): void {
    this.#options.events.closed(session);
  }

  /** Resets a server's end whose application has been reset. */
  resetLater(server: Socket): void {
    this.#abandoned.push(server);
    if (this.#abandoned.length === 1) setImmediate(() => this.#resetAbandoned());
  }

  #resetAbandoned(): void {
    for (const server of this.#abandoned.splice(0, SERVERS_A_TURN)) {
      this.servers -= 1;
      resetNow(server);
    }
    if (this.#abandoned.length > 0) setImmediate(() => this.#resetAbandoned());
  }

  gone({ id }: ForwardedConnection): void {
    this.#connections.delete(id);
    this.#cancels.remove(id);
  }
}
