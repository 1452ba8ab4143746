/** The server's end of a connection that is forwarded. */
import { Buffer } from 'node:buffer';
import net from 'node:net';
import type { ServerPlace } from '../core/gateway/cancel-routes.js';
import { describeSocketError } from '../io/tcp-frames.js';

/** What a server's end reports. */
export interface ServerEvents {
  connected(): void;
  /** `bytes` are good for the time of the call only. False stops reading until `resume`. */
  received(bytes: Buffer): boolean;
  /** Everything that was written has gone out. */
  drained(): void;
  /** The server has nothing more to say. */
  ended(): void;
  /** It is gone; `text`: why, if not in order. */
  closed(text: string | undefined): void;
}

/**
 * One buffer for all servers: what is read is copied in its true size before anything else is read, so an idle
 * connection holds no memory for what may come.
 */
const READ_BUFFER = Buffer.allocUnsafeSlow(64 * 1024);

/** Connects to a server; gives up after `timeoutMs`. */
export function connectServer(
  { host, port }: ServerPlace,
  timeoutMs: number,
  events: ServerEvents,
): net.Socket {
  let failure: string | undefined;
  const socket = net.connect({
    host,
    port,
    allowHalfOpen: true,
    noDelay: true,
    autoSelectFamily: false,
    onread: {
      buffer: READ_BUFFER,
      callback: (count, buffer) => events.received(Buffer.from(buffer.buffer, buffer.byteOffset, count)),
    },
  });
  const limit = setTimeout(() => {
    failure = `no connection within ${timeoutMs} ms`;
    socket.destroy();
  }, timeoutMs);
  socket.on('connect', () => {
    clearTimeout(limit);
    events.connected();
  });
  socket.on('drain', () => events.drained());
  socket.on('end', () => events.ended());
  socket.on('error', (error) => {
    failure = describeSocketError(error);
  });
  socket.on('close', () => {
    clearTimeout(limit);
    events.closed(failure);
  });
  return socket;
}

const NO_BYTES = Buffer.alloc(0);

/**
 * Writes. False when not all of it was taken at once: then `drained` is called as soon as it has been, or the event
 * `drain` comes, which by itself comes only where more than the high-water mark had to wait.
 */
export function forward(socket: net.Socket, bytes: Buffer, drained: () => void): boolean {
  socket.write(bytes);
  if (socket.writableLength === 0) return true;
  if (!socket.writableNeedDrain) {
    socket.write(NO_BYTES, (error) => {
      if (error === undefined || error === null) drained();
    });
  }
  return false;
}

/** Ends a connection so that a blocked peer returns at once: RST, not FIN. */
export function resetSocket(socket: net.Socket): void {
  // One that is not connected has nobody to tell.
  if (socket.connecting) socket.destroy();
  else socket.resetAndDestroy();
}
