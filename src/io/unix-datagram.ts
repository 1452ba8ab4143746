/**
 * Unix datagram sockets, which Node.js does not have: what sd_notify(3), syslog and journald are spoken to with.
 *
 * Sending does not block (MSG_DONTWAIT), but for `sendWithin`, and never raises SIGPIPE; the sockets are not connected, so a log daemon
 * that was restarted is reached again without any reconnecting. Constants are those of Linux on x86-64 and arm64.
 */
import { closeSync, writeSync } from 'node:fs';
import { constants } from 'node:os';
import { encodeDescriptors, SOL_SOCKET } from './control-message.js';
import type { Native, NativeFunction } from './native.js';

const AF_UNIX = 1;
const SOCK_DGRAM_CLOEXEC = 2 | 0o2000000;
const MSG_NOSIGNAL = 0x4000;
const MSG_DONTWAIT_NOSIGNAL = 0x40 | MSG_NOSIGNAL;
const SO_SNDTIMEO = 21;
const SO_PEERCRED = 17;
const MFD_CLOEXEC_ALLOW_SEALING = 3;
const F_ADD_SEALS = 1033;
const ALL_SEALS = 0xf;

/** Room for a path in struct sockaddr_un (unix(7)). */
const LONGEST_PATH = 108;

/** struct sockaddr_un of a path; a leading `@` or NUL names an abstract socket. Throws RangeError when too long. */
export function unixAddress(path: string): Buffer {
  const abstract = path.startsWith('@') || path.startsWith('\0');
  const name = Buffer.from(abstract ? `\0${path.slice(1)}` : `${path}\0`, 'utf8');
  if (name.length > LONGEST_PATH) throw new RangeError(`path of Unix socket is too long: "${path}"`);
  const family = Buffer.alloc(2);
  family.writeUInt16LE(AF_UNIX, 0);
  return Buffer.concat([family, name]);
}

/** The calls of one C library; declared once. */
class DatagramCalls {
  readonly socket: NativeFunction;
  readonly sendto: NativeFunction;
  readonly sendmsg: NativeFunction;
  readonly memfdCreate: NativeFunction;
  readonly fcntl: NativeFunction;
  readonly getsockopt: NativeFunction;
  readonly setsockopt: NativeFunction;

  constructor(native: Native) {
    native.struct('iovec', { base: 'const void *', length: 'size_t' });
    native.struct('msghdr', {
      name: 'const void *',
      nameLength: 'uint32_t',
      parts: 'iovec *',
      partCount: 'size_t',
      control: 'void *',
      controlLength: 'size_t',
      flags: 'int',
    });
    this.socket = native.func('int socket(int, int, int)');
    this.sendto = native.func('intptr_t sendto(int, const void *, size_t, int, const void *, uint32_t)');
    this.sendmsg = native.func('intptr_t sendmsg(int, const msghdr *, int)');
    this.memfdCreate = native.func('int memfd_create(const char *, unsigned int)');
    this.fcntl = native.func('int fcntl(int, int, ...)');
    this.getsockopt = native.func('int getsockopt(int, int, int, void *, void *)');
    this.setsockopt = native.func('int setsockopt(int, int, int, const void *, uint32_t)');
  }
}

const callsOf = new WeakMap<Native, DatagramCalls>();

function calls(native: Native): DatagramCalls {
  let known = callsOf.get(native);
  if (known === undefined) {
    known = new DatagramCalls(native);
    callsOf.set(native, known);
  }
  return known;
}

/** Sends datagrams to one address. The socket is opened by the constructor, while descriptors are to be had. */
export class DatagramSender {
  readonly #native: Native;
  readonly #calls: DatagramCalls;
  readonly #address: Buffer;
  #fd: number;

  constructor(native: Native, path: string) {
    this.#native = native;
    this.#calls = calls(native);
    this.#address = unixAddress(path);
    this.#fd = this.#open();
  }

  /** Sends one datagram, with descriptors if given; yields 0, or the error number (EAGAIN: the queue is full). */
  send(datagram: Buffer, fds: readonly number[] = []): number {
    if (this.#fd < 0) this.#fd = this.#open();
    if (this.#fd < 0) return this.#native.errno();
    const sent =
      fds.length === 0
        ? this.#sendPlain(datagram)
        : this.#sendWithDescriptors(datagram, fds, MSG_DONTWAIT_NOSIGNAL);
    return sent < 0 ? this.#native.errno() : 0;
  }

  /** The same, but a full queue is waited for: EAGAIN after `timeoutMs`, which must be more than 0. */
  sendWithin(datagram: Buffer, fds: readonly number[], timeoutMs: number): number {
    if (this.#fd < 0) this.#fd = this.#open();
    const until = performance.now() + timeoutMs;
    for (let leftMs = timeoutMs; leftMs > 0; leftMs = until - performance.now()) {
      if (!this.#limitWaiting(leftMs)) return this.#native.errno();
      if (this.#sendWithDescriptors(datagram, fds, MSG_NOSIGNAL) >= 0) return 0;
      const errno = this.#native.errno();
      if (errno !== constants.errno.EINTR) return errno;
    }
    return constants.errno.EAGAIN;
  }

  /** SO_SNDTIMEO of socket(7); a struct timeval. */
  #limitWaiting(ms: number): boolean {
    const limit = Buffer.alloc(16);
    limit.writeBigInt64LE(BigInt(Math.floor(ms / 1000)), 0);
    limit.writeBigInt64LE(BigInt(Math.max(1, Math.floor((ms % 1000) * 1000))), 8);
    return this.#calls.setsockopt(this.#fd, SOL_SOCKET, SO_SNDTIMEO, limit, limit.length) === 0;
  }

  /** Sends a datagram that is too big for the queue as a sealed memory file, as journald takes it
   *  (sd_journal_send(3)); yields 0 or the error number. */
  sendAsMemoryFile(datagram: Buffer): number {
    const fd = this.#calls.memfdCreate('journal-entry', MFD_CLOEXEC_ALLOW_SEALING);
    if (fd < 0) return this.#native.errno();
    try {
      for (let at = 0; at < datagram.length; ) at += writeSync(fd, datagram, at);
      if (this.#calls.fcntl(fd, F_ADD_SEALS, 'int', ALL_SEALS) < 0) return this.#native.errno();
      return this.send(Buffer.alloc(0), [fd]);
    } catch (error) {
      return Math.abs((error as NodeJS.ErrnoException).errno ?? constants.errno.EIO);
    } finally {
      closeSync(fd);
    }
  }

  close(): void {
    if (this.#fd >= 0) closeSync(this.#fd);
    this.#fd = -1;
  }

  #open(): number {
    return this.#calls.socket(AF_UNIX, SOCK_DGRAM_CLOEXEC, 0);
  }

  #sendPlain(datagram: Buffer): number {
    return this.#calls.sendto(
      this.#fd,
      datagram,
      datagram.length,
      MSG_DONTWAIT_NOSIGNAL,
      this.#address,
      this.#address.length,
    );
  }

  #sendWithDescriptors(datagram: Buffer, fds: readonly number[], flags: number): number {
    const control = fds.length === 0 ? undefined : encodeDescriptors(fds);
    const message = {
      name: this.#address,
      nameLength: this.#address.length,
      parts: [{ base: datagram, length: datagram.length }],
      partCount: 1,
      control: control ?? null,
      controlLength: control?.length ?? 0,
      flags: 0,
    };
    return this.#calls.sendmsg(this.#fd, message, flags);
  }
}

/** Who is at the other end of a Unix stream socket. */
export interface PeerCredentials {
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
}

/** Process and user that connected to (or listen on) the other end of a Unix socket (unix(7), SO_PEERCRED);
 *  undefined when the descriptor is none. */
export function peerCredentials(native: Native, fd: number): PeerCredentials | undefined {
  const value = Buffer.alloc(12);
  const length = Buffer.alloc(4);
  length.writeUInt32LE(value.length, 0);
  if (calls(native).getsockopt(fd, SOL_SOCKET, SO_PEERCRED, value, length) < 0) return undefined;
  return { pid: value.readInt32LE(0), uid: value.readUInt32LE(4), gid: value.readUInt32LE(8) };
}
