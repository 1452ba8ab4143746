/** The server's end of a connection that is forwarded. */
import { Buffer } from 'node:buffer';
import net from 'node:net';
import type { DuplexOptions } from 'node:stream';
import type { ServerPlace } from '../core/gateway/cancel-routes.js';
import { adoptSocket } from '../io/adopted-sockets.js';
import { describeSocketError } from '../io/tcp-frames.js';
import { UNSENT_BYTES } from '../io/tcp-listener.js';

/** What a server's end reports. */
export interface ServerEvents {
  connected(): void;
  /** `bytes` belong to the receiver. False stops reading until `resume`. */
  received(bytes: Buffer): boolean;
  /** Everything that was written has gone out, after `forward` was false. */
  drained(): void;
  /** The server has nothing more to say. */
  ended(): void;
  /** It is gone; `text`: why, if not in order. */
  closed(text: string | undefined): void;
}

/**
 * One buffer for all servers: what is read is copied in its true size before anything else is read, so an idle
 * connection holds no memory for what may come. With what may wait to be written already, a session holds at most
 * 64 KiB of what its server says.
 */
const READ_BUFFER = Buffer.allocUnsafeSlow(64 * 1024 - UNSENT_BYTES);

/** Connects to a server; gives up after `timeoutMs`. */
export function connectServer(
  { host, port }: ServerPlace,
  timeoutMs: number,
  events: ServerEvents,
): net.Socket {
  let failure: string | undefined;
  const options: net.NetConnectOpts & DuplexOptions = {
    host,
    port,
    allowHalfOpen: true,
    noDelay: true,
    autoSelectFamily: false,
    writableHighWaterMark: UNSENT_BYTES,
    onread: intoOneBuffer(events),
  };
  const socket = net.connect(options);
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

function intoOneBuffer(events: Pick<ServerEvents, 'received'>): net.OnReadOpts {
  return {
    buffer: READ_BUFFER,
    callback: (count) => {
      const bytes = Buffer.allocUnsafe(count);
      READ_BUFFER.copy(bytes, 0, 0, count);
      return events.received(bytes);
    },
  };
}

/** A server's end that a predecessor has connected; it is not read before `resume`. Undefined: it is none. */
export function adoptServer(fd: number, events: Omit<ServerEvents, 'connected'>): net.Socket | undefined {
  const socket = adoptSocket(fd, intoOneBuffer(events));
  let failure: string | undefined;
  socket?.on('drain', () => events.drained());
  socket?.on('end', () => events.ended());
  socket?.on('error', (error) => {
    failure = describeSocketError(error);
  });
  socket?.on('close', () => events.closed(failure));
  return socket;
}

/** Where bytes go: a socket, or what remembers for it. */
interface Writer {
  readonly writableLength: number;
  write(bytes: Buffer): boolean;
}

/**
 * Writes to one end what came from the other one. False: read no more from there until this end's 'drain', which only
 * follows a write() that has returned false.
 */
export function forward(to: Writer, bytes: Buffer): boolean {
  return to.write(bytes) || to.writableLength === 0;
}
