/** A kernel for tests: sockets in a list, routes in a map, and errors where it lacks something. */

import type { TcpSocket, TcpState } from '../../../src/core/guard/inet-diag.js';
import { AF_INET, AF_INET6, TCP_STATE } from '../../../src/core/guard/inet-diag.js';
import { formatTarget, parseTarget, type Target } from '../../../src/core/guard/target.js';
import type { Kernel } from '../../../src/helper/abilities.js';
import type { RouteMap } from '../../../src/io/route-map.js';
import { SockDiagError, type SocketTable } from '../../../src/io/sock-diag.js';

interface FakeSocket {
  readonly to: string;
  readonly port: number;
  readonly localAddress?: string;
  readonly localPort?: number;
  readonly state?: TcpState;
  readonly v6?: boolean;
}

export class FakeKernel implements Kernel, SocketTable, RouteMap {
  readonly sockets: TcpSocket[] = [];
  readonly routes = new Map<number, string>();
  readonly cameBy = new Map<bigint, number>();
  /** Number of the error that ending a socket gives. */
  endErrno = 0;
  openError: Error | undefined;
  routeError: Error | undefined;
  /** How often a route was taken back. */
  routesRemoved = 0;
  cookie: bigint | undefined = 7n;
  #next = 1n;

  /** The cookie of the new socket. */
  connect({
    to,
    port,
    localAddress = '192.0.2.1',
    localPort = 40_000,
    state = TCP_STATE.ESTABLISHED,
    v6 = false,
  }: FakeSocket): bigint {
    const target = parseTarget(to, port);
    const local = parseTarget(localAddress, localPort);
    if (target === undefined || local === undefined) throw new Error(`cannot connect to ${to}`);
    const cookie = this.#next++;
    const family = v6 || to.includes(':') ? AF_INET6 : AF_INET;
    const id = new Uint8Array(48);
    this.sockets.push({
      family,
      state,
      localAddress: local.bytes,
      localPort,
      remotePort: port,
      remoteAddress: target.bytes,
      cookie,
      id,
    });
    return cookie;
  }

  /** Cookies of those that are left. */
  get left(): bigint[] {
    return this.sockets.map(({ cookie }) => cookie);
  }

  openSocketTable(): SocketTable {
    if (this.openError !== undefined) throw this.openError;
    return this;
  }

  openRouteMap(): RouteMap {
    return this;
  }

  list(family: number, states: readonly TcpState[], target?: Target): TcpSocket[] {
    return this.sockets.filter(
      (socket) =>
        socket.family === family &&
        states.some((state) => state === socket.state) &&
        // As careless as the kernel may be: the port alone.
        (target === undefined || socket.remotePort === target.port),
    );
  }

  end(sockets: readonly TcpSocket[]): number {
    if (this.endErrno !== 0 && sockets.length > 0) {
      throw new SockDiagError('could not end a socket', this.endErrno);
    }
    for (const { cookie } of sockets) {
      const at = this.sockets.findIndex((socket) => socket.cookie === cookie);
      if (at >= 0) this.sockets.splice(at, 1);
    }
    return sockets.length;
  }

  namespaceCookie(): bigint | undefined {
    return this.cookie;
  }

  set(port: number, targets: readonly Target[], validMs: number): void {
    if (this.routeError !== undefined) throw this.routeError;
    this.routes.set(port, `${targets.map(formatTarget).join(' ')} for ${validMs}`);
  }

  remove(port: number): void {
    if (this.routeError !== undefined) throw this.routeError;
    this.routes.delete(port);
    this.routesRemoved += 1;
  }

  clear(): void {
    this.routes.clear();
  }

  listenerOf(cookie: bigint): number | undefined {
    return this.cameBy.get(cookie);
  }

  close(): void {}
}
