/**
 * TCP connections to the right server for drivers other than CmClient: the same walk over hosts and candidates,
 * but an attempt is a connection only. Authentication and the check of the role are the driver's.
 */
import { Socket } from 'node:net';
import type { Endpoint } from '../core/client/walk.js';
import { asError, cmError } from './errors.js';
import { type Attempt, type EstablishPlan, establish } from './establish.js';
import { dialOptions, unreachable } from './first-phase.js';
import { lossOf } from './loss.js';
import type { SideSocket } from './side-socket.js';

/** A connected socket that is destroyed when conmgr tells of a loss, and leaves conmgr when it is closed. */
export class SqlSocket extends Socket {
  /** The name of the server, for TLS; postgres.js reads both. */
  readonly host: string;
  readonly port: number;
  #side: SideSocket | undefined;

  constructor({ host, port }: Endpoint) {
    super();
    this.host = host;
    this.port = port;
  }

  /** The connection to conmgr; undefined when there is none. */
  get cmSocket(): Socket | undefined {
    return this.#side?.socket;
  }

  /** From now on conmgr's word decides about this connection. Throws CmError when conmgr has left meanwhile. */
  bind(side: SideSocket, endpoint: Endpoint & { readonly instance: number }): void {
    this.#side = side;
    side.bind(
      endpoint.instance,
      { address: this.localAddress ?? '', port: this.localPort ?? 0 },
      (reason, text) => {
        const error = lossOf(endpoint, reason, text);
        // A driver that put TLS over this socket took its listeners off; an error would then end the process.
        this.destroy(this.listenerCount('error') > 0 ? error : undefined);
      },
    );
    if (!side.watching) throw lossOf(endpoint, 'conmgr gone', '');
  }

  /** Not a listener on 'close', because drivers take all listeners off. */
  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#side?.end();
    super._destroy(error, callback);
  }
}

/** Connects to what fits. Rejects as establish() does. */
export async function connectSqlSocket(plan: EstablishPlan): Promise<SqlSocket> {
  const { result } = await establish(plan, dialServer);
  return result;
}

function dialServer({ endpoint, side, timeoutMs, signal }: Attempt): Promise<SqlSocket> {
  const socket = new SqlSocket(endpoint);
  const where = { host: endpoint.host, port: endpoint.port };
  return new Promise<SqlSocket>((resolve, reject) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
      socket.off('connect', onConnect).off('error', onError);
    };
    const fail = (error: Error) => {
      done();
      socket.on('error', () => {}).destroy();
      reject(error);
    };
    const onAbort = () => fail(asError(signal.reason));
    const onError = (error: Error) => fail(unreachable(where, error));
    const onConnect = () => {
      const { instance } = endpoint;
      try {
        if (side !== undefined && instance !== undefined) socket.bind(side, { ...endpoint, instance });
      } catch (error) {
        fail(error as Error);
        return;
      }
      done();
      resolve(socket);
    };
    const timer =
      timeoutMs > 0 ? setTimeout(() => fail(cmError('08001', 'timeout', where)), timeoutMs) : undefined;
    signal.addEventListener('abort', onAbort);
    socket.on('error', onError).once('connect', onConnect).connect(dialOptions(endpoint));
    socket.setNoDelay(true);
  });
}
