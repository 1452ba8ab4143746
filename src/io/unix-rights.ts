/**
 * Unix stream sockets as raw descriptors, for what Node.js cannot do with them: passing descriptors to another process.
 *
 * A descriptor in flight is held by the kernel: its file stays open whatever happens to sender and receiver, until it
 * is received or the last end of the socket is closed. Constants are those of Linux on x86-64 and arm64.
 */
import { Buffer } from 'node:buffer';
import { closeSync, fstatSync, readSync, writeSync } from 'node:fs';
import { constants } from 'node:os';
import { decodeDescriptors, encodeDescriptors, LARGEST_MESSAGE, SOL_SOCKET } from './control-message.js';
import type { Native, NativeFunction } from './native.js';
import { unixAddress } from './unix-datagram.js';

const AF_UNIX = 1;
const SOCK_STREAM_CLOEXEC_NONBLOCK = 1 | 0o2000000 | 0o4000;
const MSG_DONTWAIT_NOSIGNAL = 0x40 | 0x4000;
const MSG_DONTWAIT_CLOEXEC = 0x40 | 0x40000000;
const MSG_CTRUNC = 0x8;
const SO_ACCEPTCONN = 30;
const F_DUPFD_CLOEXEC = 1030;
const F_ADD_SEALS = 1033;
const MFD_CLOEXEC_ALLOW_SEALING = 3;
const ALL_SEALS = 0xf;
const POLLIN = 1;
const POLLHUP_ERR = 0x10 | 0x8;

/** A call failed; `errno` says how. */
export class NativeCallError extends Error {
  readonly errno: number;

  constructor(call: string, errno: number) {
    super(`${call}: error ${errno}`);
    this.name = 'NativeCallError';
    this.errno = errno;
  }
}

/** What one receive brought. */
export interface Received {
  /** Empty: the other end is closed. */
  readonly bytes: Buffer;
  /** This process's from now on. */
  readonly fds: readonly number[];
}

/** The calls of one C library; declared once. */
class StreamCalls {
  readonly socket: NativeFunction;
  readonly connect: NativeFunction;
  readonly socketpair: NativeFunction;
  readonly sendmsg: NativeFunction;
  readonly recvmsg: NativeFunction;
  readonly poll: NativeFunction;
  readonly fcntl: NativeFunction;
  readonly getsockopt: NativeFunction;
  readonly memfdCreate: NativeFunction;

  constructor(native: Native) {
    native.struct('rights_part', { base: 'void *', length: 'size_t' });
    native.struct('rights_message', {
      name: 'void *',
      nameLength: 'uint32_t',
      parts: 'rights_part *',
      partCount: 'size_t',
      control: 'void *',
      controlLength: 'size_t',
      flags: 'int',
    });
    this.socket = native.func('int socket(int, int, int)');
    this.connect = native.func('int connect(int, const void *, uint32_t)');
    this.socketpair = native.func('int socketpair(int, int, int, void *)');
    this.sendmsg = native.func('intptr_t sendmsg(int, const rights_message *, int)');
    this.recvmsg = native.func('intptr_t recvmsg(int, _Inout_ rights_message *, int)');
    this.poll = native.func('int poll(void *, unsigned long, int)');
    this.fcntl = native.func('int fcntl(int, int, ...)');
    this.getsockopt = native.func('int getsockopt(int, int, int, void *, void *)');
    this.memfdCreate = native.func('int memfd_create(const char *, unsigned int)');
  }
}

/** The calls on raw descriptors. All of them throw NativeCallError. */
export class UnixRights {
  readonly #native: Native;
  readonly #calls: StreamCalls;

  constructor(native: Native) {
    this.#native = native;
    this.#calls = new StreamCalls(native);
  }

  /** Both ends of a pair that does not block. */
  pair(): readonly [number, number] {
    const ends = Buffer.alloc(8);
    this.#must('socketpair', this.#calls.socketpair(AF_UNIX, SOCK_STREAM_CLOEXEC_NONBLOCK, 0, ends));
    return [ends.readInt32LE(0), ends.readInt32LE(4)];
  }

  /** A connection to the socket at a path; it does not block. */
  connect(path: string): number {
    const fd = this.#must('socket', this.#calls.socket(AF_UNIX, SOCK_STREAM_CLOEXEC_NONBLOCK, 0));
    const address = unixAddress(path);
    if (this.#calls.connect(fd, address, address.length) === 0) return fd;
    const errno = this.#native.errno();
    closeSync(fd);
    throw new NativeCallError('connect', errno);
  }

  /**
   * Sends bytes, at least one, with descriptors that stay open here; yields how many bytes went. EAGAIN: the socket is
   * full; ETOOMANYREFS: so many descriptors may not be in flight for this user (RLIMIT_NOFILE).
   */
  send(socket: number, bytes: Buffer, fds: readonly number[] = []): number {
    const control = fds.length === 0 ? undefined : encodeDescriptors(fds);
    const message = messageOf(bytes, control);
    return this.#must('sendmsg', this.#calls.sendmsg(socket, message, MSG_DONTWAIT_NOSIGNAL));
  }

  /** What is there, at most `most` bytes; undefined: nothing yet. */
  receive(socket: number, most: number): Received | undefined {
    const bytes = Buffer.alloc(most);
    const control = Buffer.alloc(LARGEST_MESSAGE);
    const message = messageOf(bytes, control);
    const count = this.#calls.recvmsg(socket, message, MSG_DONTWAIT_CLOEXEC);
    if (count < 0) {
      const errno = this.#native.errno();
      if (errno === constants.errno.EAGAIN) return undefined;
      throw new NativeCallError('recvmsg', errno);
    }
    const fds = decodeDescriptors(control.subarray(0, Number(message.controlLength)));
    if ((message.flags & MSG_CTRUNC) === 0) return { bytes: bytes.subarray(0, count), fds };
    // The rest is lost, because this process may not have more open files.
    for (const fd of fds) closeSync(fd);
    throw new NativeCallError('recvmsg', constants.errno.EMFILE);
  }

  /** Waits without a turn of the event loop until something can be read or the other end is closed; false: it took
   *  longer. */
  waitReadable(socket: number, timeoutMs: number): boolean {
    const pollfd = Buffer.alloc(8);
    pollfd.writeInt32LE(socket, 0);
    pollfd.writeInt16LE(POLLIN, 4);
    const until = performance.now() + timeoutMs;
    for (;;) {
      const leftMs = Math.max(0, Math.ceil(until - performance.now()));
      const count = this.#calls.poll(pollfd, 1, leftMs);
      if (count > 0) return (pollfd.readInt16LE(6) & (POLLIN | POLLHUP_ERR)) !== 0;
      if (count === 0) return false;
      const errno = this.#native.errno();
      if (errno !== constants.errno.EINTR) throw new NativeCallError('poll', errno);
    }
  }

  /** Another descriptor of the same open file, which a program that is started does not inherit. */
  duplicate(fd: number): number {
    return this.#must('fcntl', this.#calls.fcntl(fd, F_DUPFD_CLOEXEC, 'int', 0));
  }

  /** Whether it is a socket that accepts connections. */
  isListening(fd: number): boolean {
    const value = Buffer.alloc(4);
    const length = Buffer.alloc(4);
    length.writeUInt32LE(4, 0);
    return (
      this.#calls.getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, value, length) === 0 && value.readInt32LE(0) !== 0
    );
  }

  /** A file in memory with these parts, which nobody can change any more. */
  memoryFile(name: string, parts: readonly Buffer[]): number {
    const fd = this.#must('memfd_create', this.#calls.memfdCreate(name, MFD_CLOEXEC_ALLOW_SEALING));
    try {
      for (const part of parts) for (let at = 0; at < part.length; ) at += writeSync(fd, part, at);
      this.#must('fcntl', this.#calls.fcntl(fd, F_ADD_SEALS, 'int', ALL_SEALS));
      return fd;
    } catch (error) {
      closeSync(fd);
      throw error;
    }
  }

  #must(call: string, result: number): number {
    if (result < 0) throw new NativeCallError(call, this.#native.errno());
    return result;
  }
}

function messageOf(bytes: Buffer, control: Buffer | undefined) {
  return {
    name: null,
    nameLength: 0,
    parts: [{ base: bytes, length: bytes.length }],
    partCount: 1,
    control: control ?? null,
    controlLength: control?.length ?? 0,
    flags: 0,
  };
}

/** Contents of a file by its descriptor, from its beginning; undefined when it has more than `most` bytes. */
export function readWhole(fd: number, most: number): Buffer | undefined {
  const { size } = fstatSync(fd);
  if (size > most) return undefined;
  const contents = Buffer.alloc(size);
  let at = 0;
  while (at < size) {
    const count = readSync(fd, contents, at, size - at, at);
    if (count === 0) break;
    at += count;
  }
  return contents.subarray(0, at);
}
