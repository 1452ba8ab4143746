/**
 * What Node.js knows of a TCP socket and does not show: its descriptor, and how much of what was written the kernel has
 * not taken. Members of the handle (src/stream_base.cc of Node.js) that are the same in releases 18 to 24; where they
 * are not there the answer is undefined, and the socket stays where it is.
 */
import type { Server, Socket } from 'node:net';

interface Handle {
  readonly fd?: unknown;
  /** Octets in the queue of libuv. */
  readonly writeQueueSize?: unknown;
  /** Octets handed to libuv so far. */
  readonly bytesWritten?: unknown;
}

function handleOf(socket: Socket | Server): Handle | undefined {
  return (socket as unknown as { readonly _handle?: Handle | null })._handle ?? undefined;
}

/** The descriptor; it stays the socket's. Undefined when it has none, or none any more. */
export function descriptorOf(socket: Socket | Server): number | undefined {
  const fd = handleOf(socket)?.fd;
  return typeof fd === 'number' && fd >= 0 ? fd : undefined;
}

/** How many of the octets that were written the kernel has not taken. */
export function unsentCount(socket: Socket): number | undefined {
  const handle = handleOf(socket);
  const queued = handle?.writeQueueSize;
  const dispatched = handle?.bytesWritten;
  if (typeof queued !== 'number' || typeof dispatched !== 'number') return undefined;
  return queued + socket.bytesWritten - dispatched;
}
