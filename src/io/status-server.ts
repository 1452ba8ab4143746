/**
 * The HTTP server behind status_port and watchdog.status_port: read-only, for this host, within narrow limits
 * (docs/decisions/0032-status-port.md). It never ends the process and never keeps it alive.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { STATUS_CONNECTIONS } from '../core/config/descriptors.js';
import { EXPOSITION_TYPE } from '../core/status/exposition.js';
import { PAGE_ICON, PAGE_SCRIPT, PAGE_STYLE } from '../core/status/page-assets.js';
import { judgeStatusRequest, STATUS_HEADERS, type StatusDocument } from '../core/status/request.js';
import type { Clock, MonotonicMs } from '../core/time.js';
import { describeSocketError } from './tcp-frames.js';
import type { ListenFailure } from './tcp-listener.js';

/** Request line and headers together; more is refused with 431. */
const MOST_HEADER_BYTES = 8192;
/** A request has to be whole by then. */
const REQUEST_TIMEOUT_MS = 5000;
/** An idle connection is closed by then: longer than the page's period, so that it keeps its own. */
const KEEP_ALIVE_MS = 5000;
/** A peer that takes nothing of its answer is cut off by then. */
const STALLED_MS = 10_000;
/** How often the limits on time are looked at. */
const LOOK_EVERY_MS = 1000;
/** After a picture was made it stands this many times as long as that took: it may take a fifth of the time … */
const REST = 4;
/** … and at least so long, whoever asks again and again. */
const FRESH_MS = 100;

const ADDRESSES = ['127.0.0.1', '::1'] as const;
/** An address that this host does not have keeps nobody from asking at the other. */
const ABSENT: ReadonlySet<string> = new Set(['EADDRNOTAVAIL', 'EAFNOSUPPORT']);

/** What can be shown of one moment, made only when it is asked for. */
export interface Picture {
  metrics(): string;
  status(): string;
  page(): string;
}

export interface StatusServerOptions {
  readonly port: number;
  readonly clock: Clock;
  readonly take: () => Promise<Picture>;
}

type Made = 'metrics' | 'status' | 'page';

const TYPES: Readonly<Record<StatusDocument, string>> = {
  metrics: EXPOSITION_TYPE,
  status: 'application/json; charset=utf-8',
  page: 'text/html; charset=utf-8',
  style: 'text/css; charset=utf-8',
  script: 'text/javascript; charset=utf-8',
  icon: 'image/svg+xml',
};

const FIXED: Readonly<Record<Exclude<StatusDocument, Made>, string>> = {
  style: PAGE_STYLE,
  script: PAGE_SCRIPT,
  icon: PAGE_ICON,
};

export class StatusServer {
  readonly #options: StatusServerOptions;
  readonly #servers: Server[] = [];
  readonly #documents = new Map<Made, string>();
  /** Connections with a request that is not answered yet. */
  readonly #busy = new WeakSet<Socket>();
  #picture: Promise<Picture> | undefined;
  #goodUntil: MonotonicMs = Number.NEGATIVE_INFINITY;

  private constructor(options: StatusServerOptions) {
    this.#options = options;
  }

  /** Listens on the loopback addresses. Resolves with the failures instead where none, or one in use, can be had. */
  static async open(options: StatusServerOptions): Promise<StatusServer | readonly ListenFailure[]> {
    const server = new StatusServer(options);
    const failures: ListenFailure[] = [];
    for (const address of ADDRESSES) {
      const error = await server.#listen(address);
      if (error !== undefined) {
        failures.push({ address, code: error.code ?? '', text: describeSocketError(error) });
      }
    }
    if (server.#servers.length > 0 && failures.every(({ code }) => ABSENT.has(code))) return server;
    server.close();
    return failures;
  }

  /** Ends everything at once. */
  close(): void {
    for (const server of this.#servers) {
      server.close();
      server.closeAllConnections();
    }
  }

  #listen(host: string): Promise<NodeJS.ErrnoException | undefined> {
    const server = createServer(
      {
        maxHeaderSize: MOST_HEADER_BYTES,
        headersTimeout: REQUEST_TIMEOUT_MS,
        requestTimeout: REQUEST_TIMEOUT_MS,
        keepAliveTimeout: KEEP_ALIVE_MS,
        connectionsCheckingInterval: LOOK_EVERY_MS,
      },
      (request, response) => this.#take(request, response),
    );
    server.maxConnections = STATUS_CONNECTIONS / ADDRESSES.length;
    server.timeout = STALLED_MS;
    return new Promise((resolve) => {
      server.once('error', resolve);
      server.listen({ host, port: this.#options.port, ipv6Only: true, exclusive: true }, () => {
        server.off('error', resolve);
        // An accept that fails must not end the process.
        server.on('error', () => {});
        server.unref();
        this.#servers.push(server);
        resolve(undefined);
      });
    });
  }

  /**
   * One request at a time on a connection: of a thousand in one packet Node.js would hand out all before anything else
   * in the process had its turn.
   */
  #take(request: IncomingMessage, response: ServerResponse): void {
    const { socket } = request;
    if (this.#busy.has(socket)) {
      socket.destroy();
      return;
    }
    this.#busy.add(socket);
    response.once('close', () => this.#busy.delete(socket));
    void this.#answer(request, response);
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = '', url = '', headers, socket } = request;
    const verdict = judgeStatusRequest({
      method,
      target: url,
      host: headers.host,
      peer: socket.remoteAddress ?? '',
      hasBody: headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) !== 0,
    });
    if ('refusal' in verdict) {
      if (verdict.refusal === 405) response.setHeader('Allow', 'GET, HEAD');
      // What stands behind a refused request is not read.
      response.setHeader('Connection', 'close');
      send(response, verdict.refusal, 'text/plain; charset=utf-8', `${verdict.text}\n`);
      return;
    }
    const { document } = verdict;
    try {
      const body =
        document in FIXED ? FIXED[document as keyof typeof FIXED] : await this.#make(document as Made);
      send(response, 200, TYPES[document], body);
    } catch (error) {
      send(response, 500, 'text/plain; charset=utf-8', `${(error as Error).message}\n`);
    }
  }

  /** A document of a picture that is fresh enough; whoever asks while one is made gets the same. */
  async #make(name: Made): Promise<string> {
    const { clock, take } = this.#options;
    if (this.#picture === undefined || clock.monotonicMs() >= this.#goodUntil) {
      const begunAt = clock.monotonicMs();
      this.#goodUntil = Number.POSITIVE_INFINITY;
      this.#documents.clear();
      this.#picture = take().finally(() => {
        const now = clock.monotonicMs();
        this.#goodUntil = now + Math.max(FRESH_MS, REST * (now - begunAt));
      });
    }
    const picture = await this.#picture;
    const made = this.#documents.get(name);
    if (made !== undefined) return made;
    const text = picture[name]();
    this.#documents.set(name, text);
    return text;
  }
}

function send(response: ServerResponse, status: number, type: string, body: string): void {
  response.writeHead(status, {
    ...STATUS_HEADERS,
    'Content-Type': type,
    'Content-Length': Buffer.byteLength(body),
  });
  // Node.js itself leaves the body out of an answer to HEAD.
  response.end(body);
}
