/**
 * A Unix datagram socket that receives: stands in for systemd, a syslog daemon and journald.
 */
import assert from 'node:assert/strict';
import { closeSync, fstatSync, readSync } from 'node:fs';
import { loadNative, type Native, type PollHandle } from '../../src/io/native.js';
import { unixAddress } from '../../src/io/unix-datagram.js';

const SOL_SOCKET = 1;
const SO_PASSCRED = 16;
const SCM_RIGHTS = 1;
const SCM_CREDENTIALS = 2;
const MSG_DONTWAIT_CLOEXEC = 0x40 | 0x40000000;

/** One datagram as received. */
export interface Datagram {
  readonly bytes: Buffer;
  /** Process that sent it, as the kernel says. */
  readonly senderPid: number | undefined;
  /** Descriptors that came with it; the test closes them. */
  readonly fds: readonly number[];
}

function nativeOrFail(): Native {
  const native = loadNative();
  assert.ok(native, 'koffi is needed for this test');
  return native;
}

/** Control messages of one datagram (cmsg(3), 64-bit Linux). */
function parseControl(control: Buffer): Pick<Datagram, 'senderPid' | 'fds'> {
  let senderPid: number | undefined;
  const fds: number[] = [];
  for (let at = 0; at + 16 <= control.length; ) {
    const length = Number(control.readBigUInt64LE(at));
    if (length < 16) break;
    const type = control.readInt32LE(at + 12);
    if (type === SCM_CREDENTIALS) senderPid = control.readInt32LE(at + 16);
    if (type === SCM_RIGHTS) for (let o = 16; o < length; o += 4) fds.push(control.readInt32LE(at + o));
    at += Math.ceil(length / 8) * 8;
  }
  return { senderPid, fds };
}

/** Receives on `path` (a leading `@`: abstract) from its construction to `close()`. */
export class DatagramReceiver {
  readonly #fd: number;
  readonly #recvmsg: (...args: unknown[]) => number;
  readonly #native: Native;
  readonly #received: Datagram[] = [];
  #waiting: (() => void)[] = [];
  #watch: PollHandle | undefined;

  constructor(path: string, options: { paused?: boolean } = {}) {
    const native = nativeOrFail();
    this.#native = native;
    native.struct('iovec', { base: 'const void *', length: 'size_t' });
    native.struct('receivedmsg', {
      name: 'void *',
      nameLength: 'uint32_t',
      parts: 'iovec *',
      partCount: 'size_t',
      control: 'void *',
      controlLength: 'size_t',
      flags: 'int',
    });
    const address = unixAddress(path);
    this.#fd = native.func('int socket(int, int, int)')(1, 2 | 0o2000000 | 0o4000, 0);
    const on = Buffer.alloc(4);
    on.writeInt32LE(1);
    native.func('int setsockopt(int, int, int, const void *, uint32_t)')(
      this.#fd,
      SOL_SOCKET,
      SO_PASSCRED,
      on,
      4,
    );
    const bound = native.func('int bind(int, const void *, uint32_t)')(this.#fd, address, address.length);
    assert.equal(bound, 0, `bind to ${path}: error ${native.errno()}`);
    this.#recvmsg = native.func('intptr_t recvmsg(int, _Inout_ receivedmsg *, int)');
    if (options.paused !== true) this.resume();
  }

  /** Starts to read: what the kernel has queued first. */
  resume(): void {
    this.#watch ??= this.#native.watchReadable(this.#fd, () => this.readAll());
  }

  /** Stops to read: the kernel's queue fills up. */
  pause(): void {
    this.#watch?.close();
    this.#watch = undefined;
  }

  /** Everything received and not yet taken, after reading what the kernel has. */
  readAll(): readonly Datagram[] {
    for (let one = this.#receive(); one !== undefined; one = this.#receive()) this.#received.push(one);
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const wake of waiting) wake();
    return this.#received;
  }

  /** The next datagram, as soon as it is there. */
  async next(): Promise<Datagram> {
    for (;;) {
      const first = this.#received.shift();
      if (first !== undefined) return first;
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  /** The next datagram as text. */
  async nextText(): Promise<string> {
    return (await this.next()).bytes.toString('utf8');
  }

  /** The texts of everything that is there now; nothing is left. */
  takeTexts(): string[] {
    this.readAll();
    return this.#received.splice(0).map((one) => one.bytes.toString('utf8'));
  }

  close(): void {
    this.pause();
    closeSync(this.#fd);
  }

  #receive(): Datagram | undefined {
    const bytes = Buffer.alloc(1 << 18);
    const control = Buffer.alloc(1024);
    const message = {
      name: null,
      nameLength: 0,
      parts: [{ base: bytes, length: bytes.length }],
      partCount: 1,
      control,
      controlLength: control.length,
      flags: 0,
    };
    const length = this.#recvmsg(this.#fd, message, MSG_DONTWAIT_CLOEXEC);
    if (length < 0) return undefined;
    return {
      bytes: bytes.subarray(0, length),
      ...parseControl(control.subarray(0, Number(message.controlLength))),
    };
  }
}

/** Contents of a descriptor that refers to a file, then closes it. */
export function readAndClose(fd: number): Buffer {
  const contents = Buffer.alloc(fstatSync(fd).size);
  for (let at = 0; at < contents.length; ) at += readSync(fd, contents, at, contents.length - at, at);
  closeSync(fd);
  return contents;
}
