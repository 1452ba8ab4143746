/** Sockets of a predecessor as sockets of Node.js. */
import { closeSync } from 'node:fs';
import net from 'node:net';
import type { DuplexOptions } from 'node:stream';
import { UNSENT_BYTES } from './tcp-listener.js';

/** `pauseOnCreate`: what net.Server gives a socket for its pauseOnConnect, so that it is not read for a moment before
 *  `pause`, which costs three calls and memory each (lib/net.js). */
type AdoptedOptions = net.SocketConstructorOpts &
  DuplexOptions & { readonly onread?: net.OnReadOpts; readonly pauseOnCreate: boolean };

/** A connected TCP socket by its descriptor, which it owns from now on; it is not read before `resume`. Undefined, and
 *  the descriptor is closed, when it is none. */
export function adoptSocket(fd: number, onread?: net.OnReadOpts): net.Socket | undefined {
  const options: AdoptedOptions = {
    fd,
    readable: true,
    writable: true,
    allowHalfOpen: true,
    writableHighWaterMark: UNSENT_BYTES,
    pauseOnCreate: true,
    ...(onread === undefined ? {} : { onread }),
  };
  try {
    const socket = new net.Socket(options);
    socket.on('error', () => {});
    socket.pause();
    return socket;
  } catch {
    // A descriptor that is no socket (guessHandleType in lib/net.js).
    if (fd >= 0) closeSync(fd);
    return undefined;
  }
}

/** Resets a connection that nobody serves any more. */
export function resetDescriptor(fd: number): void {
  adoptSocket(fd)?.resetAndDestroy();
}
