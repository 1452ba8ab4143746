/**
 * Lists and ends TCP sockets of this network namespace: sock_diag(7) over netlink(7), which Node.js does not have.
 *
 * The kernel answers within the call, so nothing here waits; whoever has much to end does it in several calls.
 * Listing needs no right, ending CAP_NET_ADMIN.
 */
import { Buffer } from 'node:buffer';
import { closeSync } from 'node:fs';
import {
  decodeAnswers,
  encodeDestroy,
  encodeDump,
  type SocketFamily,
  type TcpSocket,
  type TcpState,
} from '../core/guard/inet-diag.js';
import type { Target } from '../core/guard/target.js';
import { errnoName, errnoText, type Native, type NativeFunction } from './native.js';

const AF_NETLINK = 16;
const SOCK_RAW_CLOEXEC_NONBLOCK = 3 | 0o2000000 | 0o4000;
const NETLINK_SOCK_DIAG = 4;
const MSG_DONTWAIT = 0x40;
const SOL_SOCKET = 1;
const SO_NETNS_COOKIE = 71;
const ENOENT = 2;
const EAGAIN = 11;

/** The kernel gives at most 32 KiB of a list at a time (netlink(7)). */
const RECEIVE_BYTES = 64 * 1024;
/** Sockets of one call: their errors must fit into the receive buffer of the netlink socket. */
const MOST_AT_ONCE = 100;

/** A call of the kernel failed; `code` is the name of the error: EPERM, ENOTSUP, ENOENT. */
export class SockDiagError extends Error {
  readonly code: string;

  constructor(what: string, errno: number) {
    super(`${what}: ${errnoText(errno)}`);
    this.name = 'SockDiagError';
    this.code = errnoName(errno);
  }
}

interface Calls {
  readonly socket: NativeFunction;
  readonly sendto: NativeFunction;
  readonly recv: NativeFunction;
  readonly getsockopt: NativeFunction;
}

/** What ends sockets; the helper is tested with another one. */
export interface SocketTable {
  /** The sockets of a family in these states; with a target, those whose remote end it is. Throws SockDiagError. */
  list(family: SocketFamily, states: readonly TcpState[], target?: Target): TcpSocket[];
  /** Ends them; how many there still were. Throws SockDiagError when it may or can not be done. */
  end(sockets: readonly TcpSocket[]): number;
  /** Number of the network namespace; undefined before Linux 5.14. */
  namespaceCookie(): bigint | undefined;
  close(): void;
}

/** Opens a netlink socket. Throws SockDiagError (EPROTONOSUPPORT: the kernel has no sock_diag). */
export function openSocketTable(native: Native): SocketTable {
  return new SockDiag(native);
}

class SockDiag implements SocketTable {
  readonly #native: Native;
  readonly #calls: Calls;
  readonly #fd: number;
  readonly #buffer = Buffer.alloc(RECEIVE_BYTES);
  #sequence = 0;

  constructor(native: Native) {
    this.#native = native;
    this.#calls = {
      socket: native.func('int socket(int, int, int)'),
      sendto: native.func('intptr_t sendto(int, const void *, size_t, int, const void *, uint32_t)'),
      recv: native.func('intptr_t recv(int, void *, size_t, int)'),
      getsockopt: native.func('int getsockopt(int, int, int, void *, void *)'),
    };
    this.#fd = this.#calls.socket(AF_NETLINK, SOCK_RAW_CLOEXEC_NONBLOCK, NETLINK_SOCK_DIAG);
    if (this.#fd < 0) throw this.#failure('could not open a netlink socket');
  }

  list(family: SocketFamily, states: readonly TcpState[], target?: Target): TcpSocket[] {
    this.#sequence = (this.#sequence + 1) >>> 0;
    this.#send(encodeDump(family, states, target, this.#sequence));
    const sockets: TcpSocket[] = [];
    for (;;) {
      const part = this.#receive();
      if (part === undefined) throw new SockDiagError('could not list sockets', EAGAIN);
      const { sockets: some, errors, done } = decodeAnswers(part);
      for (const socket of some) sockets.push(socket);
      const [error] = errors;
      if (error !== undefined) throw new SockDiagError('could not list sockets', error);
      if (done) return sockets;
    }
  }

  end(sockets: readonly TcpSocket[]): number {
    let ended = 0;
    for (let at = 0; at < sockets.length; at += MOST_AT_ONCE) {
      ended += this.#endSome(sockets.slice(at, at + MOST_AT_ONCE));
    }
    return ended;
  }

  #endSome(sockets: readonly TcpSocket[]): number {
    this.#send(encodeDestroy(sockets));
    const errors: number[] = [];
    for (let part = this.#receive(); part !== undefined; part = this.#receive()) {
      errors.push(...decodeAnswers(part).errors);
    }
    // ENOENT: it was gone by itself.
    const serious = errors.find((errno) => errno !== ENOENT);
    if (serious !== undefined) throw new SockDiagError('could not end a socket', serious);
    return sockets.length - errors.length;
  }

  namespaceCookie(): bigint | undefined {
    const value = Buffer.alloc(8);
    const length = Buffer.alloc(4);
    length.writeUInt32LE(value.length);
    const status = this.#calls.getsockopt(this.#fd, SOL_SOCKET, SO_NETNS_COOKIE, value, length);
    return status < 0 ? undefined : value.readBigUInt64LE(0);
  }

  close(): void {
    closeSync(this.#fd);
  }

  #send(message: Buffer): void {
    const sent = this.#calls.sendto(this.#fd, message, message.length, MSG_DONTWAIT, null, 0);
    if (sent < 0) throw this.#failure('could not ask the kernel about sockets');
  }

  /** What waits in the socket; undefined: nothing. */
  #receive(): Buffer | undefined {
    const bytes = this.#calls.recv(this.#fd, this.#buffer, this.#buffer.length, MSG_DONTWAIT);
    if (bytes >= 0) return this.#buffer.subarray(0, bytes);
    if (this.#native.errno() === EAGAIN) return undefined;
    throw this.#failure('could not read what the kernel says about sockets');
  }

  #failure(what: string): SockDiagError {
    return new SockDiagError(what, this.#native.errno());
  }
}
