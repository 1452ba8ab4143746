/**
 * Messages of sock_diag netlink about TCP sockets (sock_diag(7), linux/inet_diag.h): the list of sockets with a peer,
 * and the end of one (SOCK_DESTROY). Numbers of the header of netlink(7) are in the byte order of the machine, which is
 * little-endian on every architecture conmgr runs on; addresses and ports are in network order.
 */
import { Buffer } from 'node:buffer';
import { isIpv4, sixteenBytes, type Target } from './target.js';

const SOCK_DIAG_BY_FAMILY = 20;
const SOCK_DESTROY = 21;
const NLMSG_ERROR = 2;
const NLMSG_DONE = 3;
const NLM_F_REQUEST = 0x1;
const NLM_F_DUMP = 0x300;
const HEADER_BYTES = 16;
/** struct inet_diag_req_v2. */
const REQUEST_BYTES = 56;
/** struct inet_diag_msg; attributes may follow. */
const SOCKET_BYTES = 72;
/** struct inet_diag_sockid, in both of them. */
const SOCKET_ID_BYTES = 48;
const IPPROTO_TCP = 6;
const INET_DIAG_REQ_BYTECODE = 1;
const INET_DIAG_BC_D_COND = 8;

export const AF_INET = 2;
export const AF_INET6 = 10;
export type SocketFamily = typeof AF_INET | typeof AF_INET6;

/** States of TCP (net/tcp_states.h). */
export const TCP_STATE = {
  ESTABLISHED: 1,
  SYN_SENT: 2,
  SYN_RECV: 3,
  FIN_WAIT1: 4,
  FIN_WAIT2: 5,
  TIME_WAIT: 6,
  CLOSE: 7,
  CLOSE_WAIT: 8,
  LAST_ACK: 9,
  LISTEN: 10,
  CLOSING: 11,
} as const;
export type TcpState = (typeof TCP_STATE)[keyof typeof TCP_STATE];

/** Every state in which a program may wait for the peer. TIME_WAIT and CLOSE have nobody who waits, LISTEN and
 *  SYN_RECV are the server's side. */
export const STATES_WITH_PEER: readonly TcpState[] = [
  TCP_STATE.ESTABLISHED,
  TCP_STATE.SYN_SENT,
  TCP_STATE.FIN_WAIT1,
  TCP_STATE.FIN_WAIT2,
  TCP_STATE.CLOSE_WAIT,
  TCP_STATE.LAST_ACK,
  TCP_STATE.CLOSING,
];

/** One socket of the list. */
export interface TcpSocket {
  readonly family: SocketFamily;
  readonly state: number;
  readonly localPort: number;
  /** 16 bytes, as in `Target`. */
  readonly localAddress: Uint8Array;
  readonly remotePort: number;
  /** 16 bytes, as in `Target`. */
  readonly remoteAddress: Uint8Array;
  /** The kernel's number of the socket, never used again while the host runs (SO_COOKIE). */
  readonly cookie: bigint;
  /** struct inet_diag_sockid as it came: names this socket and no other. */
  readonly id: Uint8Array;
}

/** What is in one buffer of answers. */
export interface DiagAnswers {
  readonly sockets: readonly TcpSocket[];
  /** Numbers of errors (errno, positive), one for each message that failed; acknowledgements are left out. */
  readonly errors: readonly number[];
  /** The list is complete. */
  readonly done: boolean;
}

function header(type: number, flags: number, bytes: number, sequence: number): Buffer {
  const buffer = Buffer.alloc(bytes);
  buffer.writeUInt32LE(bytes, 0);
  buffer.writeUInt16LE(type, 4);
  buffer.writeUInt16LE(flags, 6);
  buffer.writeUInt32LE(sequence, 8);
  return buffer;
}

function writeRequest(buffer: Buffer, family: SocketFamily, states: number): void {
  buffer.writeUInt8(family, HEADER_BYTES);
  buffer.writeUInt8(IPPROTO_TCP, HEADER_BYTES + 1);
  buffer.writeUInt32LE(states, HEADER_BYTES + 4);
}

/** Asks for the sockets of a family in certain states; with a target, only for those whose remote end it is. */
export function encodeDump(
  family: SocketFamily,
  states: readonly TcpState[],
  target?: Target,
  sequence = 0,
): Buffer {
  const filter = target === undefined ? Buffer.alloc(0) : encodeFilter(target);
  const attributeBytes = filter.length === 0 ? 0 : 4 + filter.length;
  const bytes = HEADER_BYTES + REQUEST_BYTES + attributeBytes;
  const buffer = header(SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST | NLM_F_DUMP, bytes, sequence);
  writeRequest(
    buffer,
    family,
    states.reduce((mask, state) => mask | (1 << state), 0),
  );
  if (filter.length > 0) {
    buffer.writeUInt16LE(attributeBytes, HEADER_BYTES + REQUEST_BYTES);
    buffer.writeUInt16LE(INET_DIAG_REQ_BYTECODE, HEADER_BYTES + REQUEST_BYTES + 2);
    filter.copy(buffer, HEADER_BYTES + REQUEST_BYTES + 4);
  }
  return buffer;
}

/** The program the kernel filters with: one condition (struct inet_diag_bc_op, inet_diag_hostcond) on remote address
 *  and port. An IPv4 condition also fits v4-mapped sockets. */
function encodeFilter({ bytes, port }: Target): Buffer {
  const ipv4 = isIpv4(bytes);
  const address = ipv4 ? bytes.slice(12) : bytes;
  const length = 4 + 8 + address.length;
  const buffer = Buffer.alloc(length);
  buffer.writeUInt8(INET_DIAG_BC_D_COND, 0);
  // Where it holds the program ends exactly here, which accepts; else 4 bytes behind its end, which does not.
  buffer.writeUInt8(length, 1);
  buffer.writeUInt16LE(length + 4, 2);
  buffer.writeUInt8(ipv4 ? AF_INET : AF_INET6, 4);
  buffer.writeUInt8(address.length * 8, 5);
  buffer.writeInt32LE(port, 8);
  buffer.set(address, 12);
  return buffer;
}

/** The end of each socket, in one buffer; only failures are answered, in any number. */
export function encodeDestroy(sockets: readonly TcpSocket[]): Buffer {
  return Buffer.concat(
    sockets.map(({ family, id }, index) => {
      const buffer = header(SOCK_DESTROY, NLM_F_REQUEST, HEADER_BYTES + REQUEST_BYTES, index);
      writeRequest(buffer, family, 0xffff_ffff);
      buffer.set(id, HEADER_BYTES + 8);
      return buffer;
    }),
  );
}

/**
 * Reads what one recv(2) gave. Throws RangeError on what no kernel sends: lengths that do not fit.
 */
export function decodeAnswers(buffer: Buffer): DiagAnswers {
  const sockets: TcpSocket[] = [];
  const errors: number[] = [];
  let done = false;
  for (let at = 0; at + HEADER_BYTES <= buffer.length; ) {
    const length = buffer.readUInt32LE(at);
    if (length < HEADER_BYTES || at + length > buffer.length) {
      throw new RangeError(`netlink message of ${length} bytes at ${at} of ${buffer.length}`);
    }
    const body = buffer.subarray(at + HEADER_BYTES, at + length);
    switch (buffer.readUInt16LE(at + 4)) {
      case NLMSG_DONE: {
        done = true;
        const error = body.length >= 4 ? -body.readInt32LE(0) : 0;
        if (error > 0) errors.push(error);
        break;
      }
      case NLMSG_ERROR: {
        const error = -body.readInt32LE(0);
        if (error > 0) errors.push(error);
        break;
      }
      case SOCK_DIAG_BY_FAMILY: {
        const socket = decodeSocket(body);
        if (socket !== undefined) sockets.push(socket);
        break;
      }
    }
    at += Math.ceil(length / 4) * 4;
  }
  return { sockets, errors, done };
}

function decodeSocket(body: Buffer): TcpSocket | undefined {
  if (body.length < SOCKET_BYTES) throw new RangeError(`socket of ${body.length} bytes`);
  const family = body.readUInt8(0);
  if (family !== AF_INET && family !== AF_INET6) return undefined;
  const addressBytes = family === AF_INET ? 4 : 16;
  return {
    family,
    state: body.readUInt8(1),
    localPort: body.readUInt16BE(4),
    remotePort: body.readUInt16BE(6),
    localAddress: sixteenBytes(new Uint8Array(body.subarray(8, 8 + addressBytes))),
    remoteAddress: sixteenBytes(new Uint8Array(body.subarray(24, 24 + addressBytes))),
    cookie: body.readBigUInt64LE(44),
    id: new Uint8Array(body.subarray(4, 4 + SOCKET_ID_BYTES)),
  };
}
