/** Loads the redirect programs, attaches them to a control group and pins them and their maps; and the way back. */
import {
  chmodSync,
  chownSync,
  closeSync,
  constants,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { join } from 'node:path';
import { linkProgram, readBpfObject } from '../core/redirect/elf.js';
import { mountPoints } from '../core/redirect/mounts.js';
import { Bpf } from './bpf.js';
import type { Native } from './native.js';

/** Where root pins them; systemd shows the helper the same directory elsewhere. */
export const PINS = '/sys/fs/bpf/conmgr';

/** enum bpf_prog_type and bpf_attach_type of linux/bpf.h, by the name of the program. */
const KINDS: Readonly<Record<string, { readonly type: number; readonly attachType: number }>> = {
  connect4: { type: 18, attachType: 10 },
  connect6: { type: 18, attachType: 11 },
  sock_release: { type: 9, attachType: 34 },
};
/** A link beside the pins: the control group they were attached to, which may be another one by the time they go. */
const ATTACHED_TO = 'cgroup';
export const ROUTES = 'routes';
export const SESSIONS = 'sessions';

export interface Place {
  /** Directory of the pins, in a file system of type bpf. */
  readonly pins: string;
  /** Directory of the control group whose processes are redirected; undefined: none, the programs are only pinned. */
  readonly cgroup: string | undefined;
}

export interface LoadOptions extends Place {
  /** The object of programs. */
  readonly object: string;
  /** Whom the pins of the maps belong to; those of the programs, and their directory, are root's. */
  readonly owner: { readonly uid: number; readonly gid: number };
}

/** The root of the control groups of version 2, which may be mounted beside the older ones; undefined: nowhere. */
export function findCgroup2(): string | undefined {
  return mountPoints(readFileSync('/proc/self/mountinfo', 'utf8'), 'cgroup2')[0];
}

/** Replaces what is loaded. Throws BpfError or the system's error, and then leaves nothing behind. */
export function loadRedirect(native: Native, options: LoadOptions): void {
  const bpf = new Bpf(native);
  const { programs, maps, license } = readBpfObject(readFileSync(options.object));
  unloadRedirect(native, options);
  const open: number[] = [];
  try {
    // Not with what is above it: without the file system of pins there is no place for them, and Node.js would try for
    // ever to make one in /sys.
    if (!existsSync(options.pins)) mkdirSync(options.pins);
    const pin = (fd: number, name: string): string => {
      const path = join(options.pins, name);
      bpf.pin(fd, path);
      chmodSync(path, 0o600);
      return path;
    };
    const mapFds = new Map<string, number>();
    for (const map of maps) {
      const fd = bpf.createMap(map);
      open.push(fd);
      mapFds.set(map.name, fd);
      chownSync(pin(fd, map.name), options.owner.uid, options.owner.gid);
    }
    const loaded = programs.map((program) => {
      const kind = KINDS[program.name];
      if (kind === undefined) throw new RangeError(`nothing is known of program "${program.name}"`);
      const instructions = linkProgram(program, mapFds);
      const fd = bpf.loadProgram({ name: program.name, ...kind, instructions, license });
      open.push(fd);
      pin(fd, program.name);
      return { fd, attachType: kind.attachType };
    });
    // Nobody but root puts anything here, for root takes it away again.
    chmodSync(options.pins, 0o711);
    if (options.cgroup !== undefined) symlinkSync(options.cgroup, join(options.pins, ATTACHED_TO));
    withCgroup(options.cgroup, (cgroup) => {
      for (const { fd, attachType } of loaded) bpf.attach(cgroup, fd, attachType);
    });
  } catch (error) {
    unloadRedirect(native, options);
    throw error;
  } finally {
    for (const fd of open) closeSync(fd);
  }
}

/**
 * Detaches, from where it was attached and from `cgroup`, and removes what is pinned; whether there was anything. Throws
 * BpfError when it may not.
 */
export function unloadRedirect(native: Native, { pins, cgroup }: Place): boolean {
  if (!existsSync(pins)) return false;
  const bpf = new Bpf(native);
  for (const path of new Set([attachedTo(pins), cgroup])) {
    // Where there is no control group any more, nothing is attached to it.
    if (path !== undefined && existsSync(path)) withCgroup(path, (group) => detachAll(bpf, pins, group));
  }
  rmSync(pins, { recursive: true });
  return true;
}

function attachedTo(pins: string): string | undefined {
  try {
    return readlinkSync(join(pins, ATTACHED_TO));
  } catch {
    return undefined;
  }
}

function detachAll(bpf: Bpf, pins: string, group: number): void {
  for (const [name, { attachType }] of Object.entries(KINDS)) {
    const path = join(pins, name);
    if (!existsSync(path)) continue;
    const program = bpf.openPin(path);
    try {
      bpf.detach(group, program, attachType);
    } catch (error) {
      // It was not attached here.
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    } finally {
      closeSync(program);
    }
  }
}

function withCgroup(path: string | undefined, act: (fd: number) => void): void {
  if (path === undefined) return;
  const fd = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    act(fd);
  } finally {
    closeSync(fd);
  }
}
