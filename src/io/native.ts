/**
 * Calls into the C library, for what Node.js cannot do: Unix datagrams, flock(2), passing descriptors.
 *
 * The calls go through koffi, a Node-API binary. Nothing is loaded before the first use, and every user of this
 * module has an answer for "not there" (undefined): a package for another architecture must still run.
 */
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { getSystemErrorMap, getSystemErrorName } from 'node:util';

/** Set by the bundler: true in the programs, where `koffi.node` lies beside the bundle. */
declare const CONMGR_BUNDLED: boolean | undefined;

/** A function of the C library; 64-bit results come as number where that is exact. */
export type NativeFunction = (...args: readonly unknown[]) => number;

/** A descriptor that is watched in the event loop. */
export interface PollHandle {
  close(): void;
}

/** What is used of koffi (koffi.dev, version 3); the bare binary has the same members as the package. */
interface Koffi {
  load(library: null): { func(prototype: string): NativeFunction };
  errno(): number;
  struct(name: string, members: Readonly<Record<string, string>>): unknown;
  readonly node: {
    poll(fd: number, events: { readable: boolean }, ready: () => void): PollHandle;
  };
}

/** The C library as seen from here. */
export interface Native {
  /** Declares a function from its prototype ("int flock(int, int)"); do it once and keep the result. */
  func(prototype: string): NativeFunction;
  /** Declares a structure under a name for prototypes; a second declaration of the same name is ignored. */
  struct(name: string, members: Readonly<Record<string, string>>): void;
  /** Error number of the call just made. */
  errno(): number;
  /** Calls `ready` whenever the descriptor has something to read, until closed. */
  watchReadable(fd: number, ready: () => void): PollHandle;
}

/** Multiarch names of Debian's library directories, by process.arch. */
const LIBRARY_TRIPLET: Readonly<Record<string, string>> = {
  x64: 'x86_64-linux-gnu',
  arm64: 'aarch64-linux-gnu',
};

/** The library directories below a prefix, as distributions name them. */
export function libraryFolders(): string[] {
  const triplet = LIBRARY_TRIPLET[process.arch];
  return [...(triplet === undefined ? [] : [`lib/${triplet}`]), 'lib64', 'lib'];
}

/** Where an installed program looks for koffi.node: beside itself, then in the library directories of the prefix it
 *  is installed in (PREFIX/share/conmgr/conmgr.js). */
function packagedPlaces(): string[] {
  const places = ['koffi.node', ...libraryFolders().map((folder) => `../../${folder}/conmgr/koffi.node`)];
  return places.map((place) => fileURLToPath(new URL(place, import.meta.url)));
}

/** Loads koffi. The package's own entry finds its binary by paths that do not survive bundling, so a bundle
 *  loads the binary itself. */
function loadKoffi(): Koffi {
  const load = createRequire(import.meta.url);
  if (typeof CONMGR_BUNDLED === 'undefined' || !CONMGR_BUNDLED) return load('koffi') as Koffi;
  const failures: string[] = [];
  for (const place of packagedPlaces()) {
    try {
      return load(place) as Koffi;
    } catch (error) {
      failures.push(error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error));
    }
  }
  throw new Error(failures.find((text) => !text.startsWith('Cannot find module')) ?? failures[0]);
}

function wrap(koffi: Koffi): Native {
  const library = koffi.load(null);
  const structs = new Set<string>();
  return {
    func: (prototype) => library.func(prototype),
    struct: (name, members) => {
      if (structs.has(name)) return;
      structs.add(name);
      koffi.struct(name, members);
    },
    errno: () => koffi.errno(),
    watchReadable: (fd, ready) => koffi.node.poll(fd, { readable: true }, ready),
  };
}

let loaded: { native: Native | undefined; problem: string | undefined } | undefined;

function load(): NonNullable<typeof loaded> {
  if (loaded === undefined) {
    try {
      loaded = { native: wrap(loadKoffi()), problem: undefined };
    } catch (error) {
      loaded = { native: undefined, problem: error instanceof Error ? error.message : String(error) };
    }
  }
  return loaded;
}

/** The C library, or undefined when koffi.node cannot be loaded. Loads it at the first call (about 2 ms). */
export function loadNative(): Native | undefined {
  return load().native;
}

/** Why `loadNative` gave undefined, in one line; undefined when it did not. */
export function nativeProblem(): string | undefined {
  return load().problem;
}

/** Name of an error number: `ENOENT`. */
export function errnoName(errno: number): string {
  return getSystemErrorName(-errno);
}

/** What an error number means, as people read it: `no such file or directory`. */
export function errnoText(errno: number): string {
  return getSystemErrorMap().get(-errno)?.[1] ?? `error ${errno}`;
}

/** The same for an error thrown by Node.js; its message when it did not come from the system. */
export function errorText(error: unknown): string {
  const { errno, message } = error as NodeJS.ErrnoException;
  return errno === undefined ? (message ?? String(error)) : errnoText(Math.abs(errno));
}
