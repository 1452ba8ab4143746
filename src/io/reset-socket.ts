/** Ends a TCP connection by a reset, whatever state it is in. */
import type { Socket } from 'node:net';

/**
 * Resets a connection at once: what is queued is dropped, and neither end waits for octets that nobody wants. 'close'
 * follows, and the descriptor is free.
 *
 * Behind end() it is closed without a reset: while the shutdown that end() has asked for is under way, libuv refuses
 * one (uv_tcp_close_reset, UV_EINVAL) and Node.js then forgets the handle without closing it. The same holds once a
 * peer's FIN was read, since a socket without allowHalfOpen calls end() by itself.
 */
export function resetNow(socket: Socket): void {
  // Nobody to tell, or nothing to wait for; resetAndDestroy would wait until the connection is made.
  if (socket.connecting || socket.destroyed || socket.writableEnded) {
    socket.destroy();
    return;
  }
  socket.resetAndDestroy();
  // By itself it waits until the peer has taken what is queued.
  socket.destroy();
}
