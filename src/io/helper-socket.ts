/**
 * The socket of the privileged helper: who connects is known by the kernel (SO_PEERCRED), lines and connections are
 * bounded, and whoever does not read is not listened to.
 */
import { chmodSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { MOST_REQUEST_BYTES, RequestAllowance } from '../core/guard/request.js';
import type { Clock } from '../core/time.js';
import { LineBuffer } from './control-socket.js';
import type { Native } from './native.js';
import { type PeerCredentials, peerCredentials } from './unix-datagram.js';
import { listenUnix } from './unix-listen.js';

const MOST_CALLERS = 64;
const MOST_CALLERS_OF_USER = 16;
/** Who was refused has this long to hang up. */
const FAREWELL_MS = 1000;
/** Owner and group. */
const SOCKET_MODE = 0o660;

/** What answers one caller. */
export interface CallerService {
  answer(line: string): object;
  /** The caller is gone. */
  close(): void;
}

export interface HelperSocketOptions {
  readonly path: string;
  readonly native: Native;
  readonly clock: Clock;
  /** A caller, or why there is none for it. */
  accept(peer: PeerCredentials): Promise<CallerService | string>;
  /** Somebody was refused. */
  onRefused(peer: PeerCredentials, reason: string): void;
}

/** Listens; a socket that nobody serves any more is replaced. Rejects with the system's error. */
export async function serveHelper(options: HelperSocketOptions): Promise<{ close(): Promise<void> }> {
  const callers = new Map<Socket, number>();
  const server = createServer((socket) => {
    // Node.js has no call for it; the descriptor is the socket's for as long as this handler runs.
    const handle = (socket as unknown as { readonly _handle?: { readonly fd: number } })._handle;
    const peer = handle === undefined ? undefined : peerCredentials(options.native, handle.fd);
    socket.on('error', () => {});
    if (peer === undefined) {
      socket.destroy();
      return;
    }
    const ofUser = [...callers.values()].filter((uid) => uid === peer.uid).length;
    if (callers.size >= MOST_CALLERS || ofUser >= MOST_CALLERS_OF_USER) {
      refuse(socket, peer, 'too many connections', options);
      return;
    }
    callers.set(socket, peer.uid);
    socket.once('close', () => callers.delete(socket));
    void serveCaller(socket, peer, options);
  });
  await listenUnix(server, options.path);
  chmodSync(options.path, SOCKET_MODE);
  return {
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of callers.keys()) socket.destroy();
      }),
  };
}

function refuse(socket: Socket, peer: PeerCredentials, reason: string, options: HelperSocketOptions): void {
  options.onRefused(peer, reason);
  socket.resume();
  socket.end(`${JSON.stringify({ id: 0, ok: false, error: reason })}\n`);
  // Not at once: who is just saying something would learn of a broken pipe instead of the reason.
  const patience = options.clock.setTimer(FAREWELL_MS, () => socket.destroy());
  socket.once('close', () => patience.cancel());
}

async function serveCaller(
  socket: Socket,
  peer: PeerCredentials,
  options: HelperSocketOptions,
): Promise<void> {
  const service = await options.accept(peer);
  if (typeof service === 'string') {
    refuse(socket, peer, service, options);
    return;
  }
  if (socket.destroyed) {
    service.close();
    return;
  }
  const lines = new LineBuffer(MOST_REQUEST_BYTES);
  const allowance = new RequestAllowance(options.clock.monotonicMs());
  let waiting = false;
  const resume = (): void => {
    waiting = false;
    if (!socket.destroyed) takeLines();
  };
  const takeLines = (): void => {
    if (!lines.hasLine) {
      socket.resume();
      return;
    }
    waiting = true;
    socket.pause();
    const waitMs = allowance.take(options.clock.monotonicMs());
    if (waitMs > 0) {
      options.clock.setTimer(waitMs, resume);
      return;
    }
    const answer = service.answer(lines.take() ?? '');
    // The other callers come between two requests: one that asks without end delays none of them.
    if (socket.write(`${JSON.stringify(answer)}\n`)) setImmediate(resume);
    else socket.once('drain', resume);
  };
  socket.once('close', () => service.close());
  socket.on('data', (chunk: Buffer) => {
    if (!lines.push(chunk)) socket.destroy();
    else if (!waiting) takeLines();
  });
}
