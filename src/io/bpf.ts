/**
 * bpf(2), which Node.js does not have: maps, programs, their pins and their attachment to a control group.
 *
 * Errors are thrown with the name of the system's error in `code`. Descriptors are the caller's to close.
 */
import { Buffer } from 'node:buffer';
import type { ObjectMap } from '../core/redirect/elf.js';
import { errnoName, errnoText, type Native, type NativeFunction } from './native.js';

/** Number of bpf(2) (asm/unistd_64.h, asm-generic/unistd.h). */
const SYSCALL: Readonly<Record<string, number>> = { x64: 321, arm64: 280 };
const COMMAND = {
  MAP_CREATE: 0,
  MAP_LOOKUP_ELEM: 1,
  MAP_UPDATE_ELEM: 2,
  MAP_DELETE_ELEM: 3,
  MAP_GET_NEXT_KEY: 4,
  PROG_LOAD: 5,
  OBJ_PIN: 6,
  OBJ_GET: 7,
  PROG_ATTACH: 8,
  PROG_DETACH: 9,
} as const;
const ENOENT = 2;
const ALLOW_MULTI = 2;
const LOG_BYTES = 64 * 1024;

/** The kernel refused; `log` is what its verifier says about a program. */
export class BpfError extends Error {
  readonly code: string;
  readonly log: string;

  constructor(what: string, errno: number, log = '') {
    super(`${what}: ${errnoText(errno)}`);
    this.name = 'BpfError';
    this.code = errnoName(errno);
    this.log = log;
  }
}

/** Arguments of PROG_LOAD. */
export interface ProgramShape {
  readonly name: string;
  /** enum bpf_prog_type, enum bpf_attach_type. */
  readonly type: number;
  readonly attachType: number;
  readonly instructions: Buffer;
  readonly license: string;
}

type Call = (command: number, attributes: object, bytes: number) => number;

/** The attributes of each group of commands (union bpf_attr of linux/bpf.h), as far as they are used. */
const ATTRIBUTES = {
  bpf_map_create: {
    type: 'uint32_t',
    keyBytes: 'uint32_t',
    valueBytes: 'uint32_t',
    entries: 'uint32_t',
    flags: 'uint32_t',
  },
  bpf_element: { fd: 'uint32_t', zero: 'uint32_t', key: 'const void *', value: 'void *', flags: 'uint64_t' },
  bpf_program: {
    type: 'uint32_t',
    count: 'uint32_t',
    instructions: 'const void *',
    license: 'const void *',
    logLevel: 'uint32_t',
    logBytes: 'uint32_t',
    log: 'void *',
    kernel: 'uint32_t',
    flags: 'uint32_t',
    name0: 'uint64_t',
    name1: 'uint64_t',
    interface: 'uint32_t',
    attachType: 'uint32_t',
  },
  bpf_pin: { path: 'const void *', fd: 'uint32_t', flags: 'uint32_t' },
  bpf_attachment: { target: 'uint32_t', program: 'uint32_t', type: 'uint32_t', flags: 'uint32_t' },
} as const;
const BYTES = { bpf_map_create: 20, bpf_element: 32, bpf_program: 72, bpf_pin: 16, bpf_attachment: 16 };
type Group = keyof typeof ATTRIBUTES;

export class Bpf {
  readonly #native: Native;
  readonly #calls = new Map<Group, Call>();

  /** Throws BpfError (ENOSYS) on an architecture whose number of the call is not known. */
  constructor(native: Native) {
    this.#native = native;
    const number = SYSCALL[process.arch];
    if (number === undefined) throw new BpfError('bpf(2)', 38);
    for (const group of Object.keys(ATTRIBUTES) as Group[]) {
      native.struct(group, ATTRIBUTES[group]);
      const call: NativeFunction = native.func(`intptr_t syscall(intptr_t, int, ${group} *, uint32_t)`);
      this.#calls.set(group, (command, attributes, bytes) => call(number, command, attributes, bytes));
    }
  }

  createMap(shape: ObjectMap): number {
    const result = this.#call('bpf_map_create', COMMAND.MAP_CREATE, shape);
    return this.#checked(`could not make map "${shape.name}"`, result);
  }

  /** Copies the value of a key into `value`; false when there is none. */
  lookup(fd: number, key: Buffer, value: Buffer): boolean {
    return this.#found('could not read a map', this.#element(COMMAND.MAP_LOOKUP_ELEM, fd, key, value));
  }

  update(fd: number, key: Buffer, value: Buffer): void {
    this.#checked('could not write a map', this.#element(COMMAND.MAP_UPDATE_ELEM, fd, key, value));
  }

  /** Whether the key was there. */
  delete(fd: number, key: Buffer): boolean {
    return this.#found('could not write a map', this.#element(COMMAND.MAP_DELETE_ELEM, fd, key, null));
  }

  /** All keys, as they are at this moment, at most `most`. */
  keys(fd: number, keyBytes: number, most: number): Buffer[] {
    const keys: Buffer[] = [];
    let last: Buffer | null = null;
    while (keys.length < most) {
      const next: Buffer = Buffer.alloc(keyBytes);
      if (!this.#found('could not list a map', this.#element(COMMAND.MAP_GET_NEXT_KEY, fd, last, next)))
        break;
      keys.push(next);
      last = next;
    }
    return keys;
  }

  /** Loads a program; where the kernel refuses it, what its verifier says is in the error. */
  loadProgram({ name, type, attachType, instructions, license }: ProgramShape): number {
    const log = Buffer.alloc(LOG_BYTES);
    const nameBytes = Buffer.alloc(16);
    nameBytes.write(name, 0, 15, 'ascii');
    const attributes = {
      type,
      count: instructions.length / 8,
      instructions,
      license: zeroEnded(license),
      logLevel: 1,
      logBytes: log.length,
      log,
      kernel: 0,
      flags: 0,
      name0: nameBytes.readBigUInt64LE(0),
      name1: nameBytes.readBigUInt64LE(8),
      interface: 0,
      attachType,
    };
    const fd = this.#call('bpf_program', COMMAND.PROG_LOAD, attributes);
    if (fd >= 0) return fd;
    const errno = this.#native.errno();
    throw new BpfError(
      `could not load program "${name}"`,
      errno,
      log.toString('utf8', 0, log.indexOf(0)).trim(),
    );
  }

  pin(fd: number, path: string): void {
    const result = this.#call('bpf_pin', COMMAND.OBJ_PIN, { path: zeroEnded(path), fd, flags: 0 });
    this.#checked(`could not pin "${path}"`, result);
  }

  openPin(path: string): number {
    const result = this.#call('bpf_pin', COMMAND.OBJ_GET, { path: zeroEnded(path), fd: 0, flags: 0 });
    return this.#checked(`could not open "${path}"`, result);
  }

  /** Attaches beside whatever is attached already. */
  attach(cgroup: number, program: number, type: number): void {
    this.#attachment('could not attach a program', COMMAND.PROG_ATTACH, cgroup, program, type, ALLOW_MULTI);
  }

  detach(cgroup: number, program: number, type: number): void {
    this.#attachment('could not detach a program', COMMAND.PROG_DETACH, cgroup, program, type, 0);
  }

  #attachment(what: string, command: number, target: number, program: number, type: number, flags: number) {
    this.#checked(what, this.#call('bpf_attachment', command, { target, program, type, flags }));
  }

  #element(command: number, fd: number, key: Buffer | null, value: Buffer | null): number {
    return this.#call('bpf_element', command, { fd, zero: 0, key, value, flags: 0n });
  }

  #call(group: Group, command: number, attributes: object): number {
    const call = this.#calls.get(group);
    if (call === undefined) throw new Error(`no attributes ${group}`);
    return call(command, attributes, BYTES[group]);
  }

  #checked(what: string, result: number): number {
    if (result < 0) throw new BpfError(what, this.#native.errno());
    return result;
  }

  /** false for ENOENT. */
  #found(what: string, result: number): boolean {
    if (result >= 0) return true;
    const errno = this.#native.errno();
    if (errno === ENOENT) return false;
    throw new BpfError(what, errno);
  }
}

function zeroEnded(text: string): Buffer {
  return Buffer.from(`${text}\0`, 'utf8');
}
