/**
 * A TCP relay that stands between two programs and breaks the network for them: silence in one direction or both,
 * delay, resets, refusals, streams cut at a byte or chopped into pieces.
 */
import { connect, createServer, type Server, type Socket } from 'node:net';
import { freePort } from './free-ports.js';

/** Which way bytes flow: from the side that connected to the server behind the relay, or back. */
export type Direction = 'toServer' | 'toClient';

const BOTH: readonly Direction[] = ['toServer', 'toClient'];

export interface RelayOptions {
  /** Where the relay listens; default 127.0.0.1 and a free port. */
  readonly listen?: { readonly host?: string; readonly port?: number };
  /** The local address of its connections to the server, which is what the server sees of the client. */
  readonly localAddress?: string;
}

/** How a stream that was cut goes on. */
export type Cut = 'end' | 'reset' | 'silence';

/**
 * Ends a connection by a reset and nothing else. `socket.resetAndDestroy()` first shuts down the sending side, so that
 * the peer sees an orderly end; this takes its second half alone.
 */
export function resetSocket(socket: Socket): void {
  if (socket.connecting) socket.once('connect', () => resetSocket(socket));
  else Object.assign(socket, { resetAndClosing: true }).destroy();
}

/** What holds for one direction of all connections. */
interface Way {
  paused: boolean;
  delayMs: number;
  /** Write in pieces of at most so many bytes, a millisecond apart, so that the reader does not get them in one. */
  pieceBytes: number;
  /** Bytes that still pass before the cut, over all connections. */
  cut: { left: number; then: Cut } | undefined;
}

/** Listens at `port` and connects each client to `target`. */
export class Relay {
  readonly #ways: Record<Direction, Way>;
  readonly #pipes = new Set<Pipe>();
  #server: Server | undefined;

  private constructor(
    readonly host: string,
    readonly port: number,
    private readonly target: { readonly host: string; readonly port: number },
    private readonly localAddress: string | undefined,
  ) {
    const clear = (): Way => ({
      paused: false,
      delayMs: 0,
      pieceBytes: Number.POSITIVE_INFINITY,
      cut: undefined,
    });
    this.#ways = { toServer: clear(), toClient: clear() };
  }

  static async start(
    target: { readonly host: string; readonly port: number },
    options: RelayOptions = {},
  ): Promise<Relay> {
    const { host = '127.0.0.1', port = await freePort() } = options.listen ?? {};
    const relay = new Relay(host, port, { host: target.host, port: target.port }, options.localAddress);
    await relay.accept();
    return relay;
  }

  /** How many clients are connected. */
  get connections(): number {
    return this.#pipes.size;
  }

  /** Goes silent: connections stay open and nothing passes, ends and errors neither; new ones are taken and held. */
  pause(...directions: readonly Direction[]): void {
    this.#each(directions, (way) => {
      way.paused = true;
    });
  }

  /** What was held passes now. */
  resume(...directions: readonly Direction[]): void {
    this.#each(directions, (way) => {
      way.paused = false;
    });
  }

  /** Everything that arrives from now on passes so much later. */
  delay(ms: number, ...directions: readonly Direction[]): void {
    this.#each(directions, (way) => {
      way.delayMs = ms;
    });
  }

  /** Passes the streams on in pieces of at most so many bytes. */
  chop(pieceBytes: number, ...directions: readonly Direction[]): void {
    this.#each(directions, (way) => {
      way.pieceBytes = pieceBytes;
    });
  }

  /** After so many bytes more in this direction, the connection they pass on is ended, reset, or goes silent. */
  cutAfter(bytes: number, direction: Direction, then: Cut): void {
    this.#ways[direction].cut = { left: bytes, then };
  }

  /** Resets all connections on both sides. */
  reset(): void {
    for (const pipe of [...this.#pipes]) pipe.reset();
  }

  /** Stops listening: who connects is refused. Connections stay; `reset` ends them. */
  refuse(): void {
    // Its end waits for the connections, but the port is free at once.
    this.#server?.close();
    this.#server = undefined;
  }

  /** Listens again after `refuse`. */
  async accept(): Promise<void> {
    if (this.#server !== undefined) return;
    const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (client) =>
      this.#onClient(client),
    );
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen({ host: this.host, port: this.port, exclusive: true }, resolve);
    });
    this.#server = server;
  }

  /** Ends everything. */
  close(): void {
    this.refuse();
    this.reset();
  }

  #each(directions: readonly Direction[], change: (way: Way) => void): void {
    for (const direction of directions.length === 0 ? BOTH : directions) change(this.#ways[direction]);
    for (const pipe of this.#pipes) pipe.flow();
  }

  #onClient(client: Socket): void {
    const pipe: Pipe = new Pipe(
      client,
      () => connect({ ...this.target, allowHalfOpen: true, localAddress: this.localAddress }),
      this.#ways,
      () => this.#pipes.delete(pipe),
    );
    this.#pipes.add(pipe);
    pipe.flow();
  }
}

/** Something that arrived in one direction and has not been passed on: bytes, the end of the stream, or an error. */
interface Arrival {
  readonly event: Buffer | 'end' | 'reset';
  readonly dueMs: number;
}

/** One client and its connection to the server. */
class Pipe {
  readonly #queues: Record<Direction, Arrival[]> = { toServer: [], toClient: [] };
  readonly #timers: Partial<Record<Direction, NodeJS.Timeout>> = {};
  readonly #silent = new Set<Direction>();
  #server: Socket | undefined;
  #closed = false;

  constructor(
    private readonly client: Socket,
    private readonly connectServer: () => Socket,
    private readonly ways: Record<Direction, Way>,
    private readonly onClosed: () => void,
  ) {
    this.#read(client, 'toServer');
  }

  /** Passes on what may pass now. */
  flow(): void {
    if (this.#closed) return;
    if (this.#server === undefined && !this.ways.toServer.paused) {
      this.#server = this.connectServer();
      this.#read(this.#server, 'toClient');
    }
    for (const direction of BOTH) this.#pass(direction);
  }

  reset(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const timer of Object.values(this.#timers)) clearTimeout(timer);
    for (const socket of [this.client, this.#server]) {
      if (socket !== undefined) resetSocket(socket);
    }
    this.onClosed();
  }

  #read(from: Socket, direction: Direction): void {
    const arrive = (event: Arrival['event']): void => {
      if (this.#closed) return;
      this.#queues[direction].push({ event, dueMs: performance.now() + this.ways[direction].delayMs });
      this.#pass(direction);
    };
    from.setNoDelay(true);
    from.on('data', arrive);
    from.on('drain', () => this.#pass(direction === 'toServer' ? 'toClient' : 'toServer'));
    from.on('end', () => arrive('end'));
    from.on('error', () => arrive('reset'));
    from.resume();
  }

  #pass(direction: Direction): void {
    const way = this.ways[direction];
    const queue = this.#queues[direction];
    const from = direction === 'toServer' ? this.client : this.#server;
    const to = direction === 'toServer' ? this.#server : this.client;
    clearTimeout(this.#timers[direction]);
    if (way.paused || this.#silent.has(direction) || to === undefined || to.writableNeedDrain) {
      // Unread bytes fill the kernel's buffers, so that a writer notices the silence as it would on a network.
      from?.pause();
      return;
    }
    if (from?.isPaused()) from.resume();
    for (let next = queue[0]; next !== undefined && !this.#closed; next = queue[0]) {
      const waitMs = next.dueMs - performance.now();
      if (waitMs > 0) {
        this.#timers[direction] = setTimeout(() => this.#pass(direction), waitMs);
        return;
      }
      queue.shift();
      if (next.event === 'end') to.end();
      else if (next.event === 'reset') this.reset();
      else if (!this.#write(to, next, direction)) return;
    }
    this.#closeIfDone();
  }

  /** Writes bytes; false if nothing more passes in this turn. */
  #write(to: Socket, { event, dueMs }: Arrival, direction: Direction): boolean {
    const way = this.ways[direction];
    const bytes = event as Buffer;
    const size = Math.min(bytes.length, way.pieceBytes, way.cut?.left ?? Number.POSITIVE_INFINITY);
    const rest = bytes.subarray(size);
    if (rest.length > 0) this.#queues[direction].unshift({ event: rest, dueMs });
    if (way.cut === undefined) {
      to.write(bytes.subarray(0, size));
      if (rest.length === 0) return true;
      this.#timers[direction] = setTimeout(() => this.#pass(direction), 1);
      return false;
    }
    way.cut.left -= size;
    const { left, then } = way.cut;
    if (left === 0) way.cut = undefined;
    // Written before what ends the stream overtakes it.
    to.write(bytes.subarray(0, size), () => {
      if (left > 0) this.#pass(direction);
      else this.#cut(to, direction, then);
    });
    return false;
  }

  #cut(to: Socket, direction: Direction, then: Cut): void {
    this.#silent.add(direction);
    this.#queues[direction].length = 0;
    // Later, because libuv takes a reset that comes in one poll with the last bytes for an orderly end.
    if (then === 'reset') setTimeout(() => this.reset(), 20);
    else if (then === 'end') to.end();
    this.#pass(direction);
  }

  /** Both sides have ended their streams and nothing is left to pass on. */
  #closeIfDone(): void {
    const done = (socket: Socket | undefined): boolean =>
      socket !== undefined && (socket.destroyed || (socket.readableEnded && socket.writableEnded));
    if (this.#closed || !done(this.client) || !done(this.#server)) return;
    this.#closed = true;
    this.onClosed();
  }
}
