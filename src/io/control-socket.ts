/**
 * A process's control socket: a Unix socket in its directory on which one JSON value a line is said each way.
 *
 * Both halves are here, so that conmgr, the watchdog and cm_ctl agree on framing and bounds. The socket is
 * 0600: whoever may connect may also signal the process. What the lines mean is not known here.
 */
import { closeSync, constants, openSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { CONTROL_SOCKET, type ControlAnswer, type ControlRequest } from '../core/control/protocol.js';
import { descriptorOf } from './socket-handle.js';
import { listenUnix } from './unix-listen.js';

/** sun_path holds 108 bytes with its final zero (unix(7)). */
const MAX_SOCKET_PATH_BYTES = 107;
/** Connections at a time; only this user and root can make one. */
const MAX_CLIENTS = 32;
/** No honest answer is longer; it bounds what a program that is not ours can make the caller hold. */
const MAX_ANSWER_BYTES = 256 * 1024 * 1024;
/** An answer usually takes a millisecond; a process that is stopped or swapped out gets this long. */
const DEFAULT_TIMEOUT_MS = 5000;

/** One caller, as the serving process sees it. */
export interface ControlClient {
  /** Writes one value as a line. While the caller does not read, only the newest unsent value is kept. */
  send(value: unknown): void;
  /** Closes after what was sent has gone out. */
  end(): void;
  /** Descriptor of the connection, for what Node.js cannot send; it stays the connection's. Undefined: it is gone. */
  descriptor(): number | undefined;
  /** Calls `fn` once when the connection is gone, at once when it is already. */
  onClose(fn: () => void): void;
}

/** Where a socket is and what its owner does with a request. */
export interface ServeControlOptions {
  readonly directory: string;
  /** File name of the socket in the directory. */
  readonly name: string;
  /** A longer request ends its connection. */
  readonly maxRequestBytes: number;
  /** One request, without its line end. Each is expected to be answered by at least one `send`. */
  onLine(line: string, client: ControlClient): void;
}

/**
 * Listens. A socket left over by a dead process is replaced, so the caller must hold the lock that makes it the
 * only process of this directory. Rejects with the system's error (EADDRINUSE: the name is taken by something
 * that is no socket). `close` ends the callers too and removes the socket.
 */
export async function serveControl(options: ServeControlOptions): Promise<{ close(): Promise<void> }> {
  const place = socketPlace(options.directory, options.name);
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    new ServedClient(socket, options);
  });
  server.maxConnections = MAX_CLIENTS;
  try {
    await listenUnix(server, place.path);
  } catch (error) {
    place.release();
    throw error;
  }
  return {
    close: () =>
      new Promise((resolve) => {
        server.close(() => {
          place.release();
          resolve();
        });
        for (const socket of sockets) socket.destroy();
      }),
  };
}

/** A path short enough for a socket address: through a descriptor of the directory where it would be too long. */
export function socketPlace(directory: string, name: string): { readonly path: string; release(): void } {
  const path = join(directory, name);
  if (Buffer.byteLength(path) <= MAX_SOCKET_PATH_BYTES) return { path, release: () => {} };
  const descriptor = openSync(directory, constants.O_RDONLY | constants.O_DIRECTORY);
  let open = true;
  const release = () => {
    if (open) closeSync(descriptor);
    open = false;
  };
  return { path: `/proc/self/fd/${descriptor}/${name}`, release };
}

/** The bytes of one direction, cut into lines. Holds one incomplete line of at most `limit` bytes, and what the
 *  last chunk completed. */
export class LineBuffer {
  readonly #limit: number;
  #incomplete: Buffer[] = [];
  #bytes = 0;
  #complete: string[] = [];

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Whether all lines so far keep within the limit. */
  push(chunk: Buffer): boolean {
    let start = 0;
    for (let end = chunk.indexOf(0x0a); end >= 0; end = chunk.indexOf(0x0a, start)) {
      const line = Buffer.concat([...this.#incomplete, chunk.subarray(start, end)]);
      if (line.length > this.#limit) return false;
      this.#complete.push(line.toString('utf8'));
      this.#incomplete = [];
      this.#bytes = 0;
      start = end + 1;
    }
    if (start < chunk.length) this.#incomplete.push(chunk.subarray(start));
    this.#bytes += chunk.length - start;
    return this.#bytes <= this.#limit;
  }

  /** The next complete line. */
  take(): string | undefined {
    return this.#complete.shift();
  }

  get hasLine(): boolean {
    return this.#complete.length > 0;
  }
}

const NOTHING = Symbol('nothing');

class ServedClient implements ControlClient {
  readonly #socket: Socket;
  readonly #options: ServeControlOptions;
  readonly #lines: LineBuffer;
  /** What waits for the caller to read. */
  #unsent: unknown = NOTHING;
  #blocked = false;
  /** The caller has said all it will say. */
  #heardAll = false;
  #ending = false;
  /** Requests that have not been answered. */
  #owed = 0;

  constructor(socket: Socket, options: ServeControlOptions) {
    this.#socket = socket;
    this.#options = options;
    this.#lines = new LineBuffer(options.maxRequestBytes);
    socket.on('error', () => {});
    socket.on('drain', () => this.#unblock());
    socket.on('data', (chunk: Buffer) => {
      if (this.#lines.push(chunk)) this.#takeLines();
      else socket.destroy();
    });
    socket.on('end', () => {
      this.#heardAll = true;
      this.#endWhenDone();
    });
  }

  send(value: unknown): void {
    if (this.#ending || this.#socket.destroyed) return;
    this.#owed -= 1;
    if (this.#blocked) this.#unsent = value;
    else this.#write(value);
    this.#endWhenDone();
  }

  end(): void {
    this.#ending = true;
    if (!this.#blocked) this.#socket.end();
  }

  descriptor(): number | undefined {
    return descriptorOf(this.#socket);
  }

  onClose(fn: () => void): void {
    if (this.#socket.destroyed) fn();
    else this.#socket.once('close', fn);
  }

  #write(value: unknown): void {
    this.#blocked = !this.#socket.write(JSON.stringify(value) + '\n');
    // Whoever does not read its answers is not listened to either.
    if (this.#blocked) this.#socket.pause();
  }

  #unblock(): void {
    this.#blocked = false;
    if (this.#unsent !== NOTHING) {
      const value = this.#unsent;
      this.#unsent = NOTHING;
      this.#write(value);
    }
    if (this.#blocked) return;
    if (this.#ending) {
      this.#socket.end();
      return;
    }
    this.#socket.resume();
    this.#takeLines();
  }

  #takeLines(): void {
    while (!this.#blocked && !this.#ending && !this.#socket.destroyed) {
      const line = this.#lines.take();
      if (line === undefined) break;
      this.#owed = Math.max(0, this.#owed) + 1;
      this.#options.onLine(line, this);
    }
    this.#endWhenDone();
  }

  #endWhenDone(): void {
    if (this.#heardAll && this.#owed <= 0 && !this.#lines.hasLine && !this.#ending) this.end();
  }
}

/** Why no answer came. 'no answer': something listens, but it does not speak as a conmgr does. */
export type ControlUnavailableReason = 'no directory' | 'no access' | 'not running' | 'timeout' | 'no answer';

/** Nothing answers at a control socket. */
export class ControlUnavailable extends Error {
  readonly reason: ControlUnavailableReason;

  constructor(reason: ControlUnavailableReason, directory: string, cause?: unknown) {
    super(`control socket in "${directory}": ${reason}`, { cause });
    this.name = 'ControlUnavailable';
    this.reason = reason;
  }
}

/** The calling side. */
export interface ControlCallOptions {
  /** File name of the socket, default conmgr's. */
  readonly name?: string;
  /** For the whole call, default 5 s; 0 = for ever. */
  readonly timeoutMs?: number;
}

/** A request as conmgr or another owner of a control socket knows it. */
export type AnyControlRequest = ControlRequest | { readonly command: string };

/** Asks once. Rejects with ControlUnavailable. */
export async function askControl<Answer = ControlAnswer>(
  directory: string,
  request: AnyControlRequest,
  options: ControlCallOptions = {},
): Promise<Answer> {
  const timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
  const call = new AbortController();
  const timer = timeoutMs === 0 ? undefined : setTimeout(() => call.abort(), timeoutMs);
  try {
    const socket = await open(directory, options.name ?? CONTROL_SOCKET, call.signal);
    return await new Promise<Answer>((resolve, reject) => {
      const fail = (reason: ControlUnavailableReason) => {
        socket.destroy();
        reject(new ControlUnavailable(reason, directory));
      };
      call.signal.addEventListener('abort', () => fail('timeout'));
      readLines(socket, (value) => {
        socket.destroy();
        resolve(value as Answer);
      }).then(fail, () => fail('no answer'));
      socket.write(JSON.stringify(request) + '\n');
    });
  } finally {
    clearTimeout(timer);
  }
}

/** A subscription to a process's state. */
export interface ControlWatch {
  /** Resolves when the process (or `close`) has ended the connection. Never rejects. */
  readonly closed: Promise<void>;
  close(): void;
}

/** Sends `watch` and calls `onAnswer` for every line that comes. Rejects with ControlUnavailable. */
export async function watchControl<Answer = ControlAnswer>(
  directory: string,
  onAnswer: (answer: Answer) => void,
  options: { readonly name?: string } = {},
): Promise<ControlWatch> {
  const socket = await open(directory, options.name ?? CONTROL_SOCKET);
  const closed = readLines(socket, (value) => onAnswer(value as Answer)).then(
    () => {},
    () => {},
  );
  socket.write('{"command":"watch"}\n');
  return { closed, close: () => socket.destroy() };
}

/** A connected socket, or ControlUnavailable. */
async function open(directory: string, name: string, signal?: AbortSignal): Promise<Socket> {
  try {
    const place = socketPlace(directory, name);
    try {
      return await new Promise<Socket>((resolve, reject) => {
        const socket = connect(place.path);
        const onAbort = () => socket.destroy(new ControlUnavailable('timeout', directory));
        signal?.addEventListener('abort', onAbort);
        socket.once('connect', () => {
          signal?.removeEventListener('abort', onAbort);
          socket.off('error', reject);
          resolve(socket);
        });
        socket.once('error', reject);
      });
    } finally {
      place.release();
    }
  } catch (error) {
    if (error instanceof ControlUnavailable) throw error;
    throw new ControlUnavailable(await reasonOf(error as NodeJS.ErrnoException, directory), directory, error);
  }
}

async function reasonOf(error: NodeJS.ErrnoException, directory: string): Promise<ControlUnavailableReason> {
  if (error.code === 'EACCES' || error.code === 'EPERM') return 'no access';
  try {
    return (await stat(directory)).isDirectory() ? 'not running' : 'no directory';
  } catch (problem) {
    return (problem as NodeJS.ErrnoException).code === 'EACCES' ? 'no access' : 'no directory';
  }
}

/** Hands on every line as a value; resolves with 'not running' when the other end closes, rejects on a line that is
 *  no JSON or too long. */
function readLines(socket: Socket, onValue: (value: unknown) => void): Promise<'not running'> {
  return new Promise((resolve, reject) => {
    const lines = new LineBuffer(MAX_ANSWER_BYTES);
    socket.on('error', () => {});
    socket.once('close', () => resolve('not running'));
    socket.on('data', (chunk: Buffer) => {
      try {
        if (!lines.push(chunk)) throw new Error('answer is too long');
        for (let line = lines.take(); line !== undefined; line = lines.take()) onValue(JSON.parse(line));
      } catch (error) {
        reject(error);
        socket.destroy();
      }
    });
  });
}
