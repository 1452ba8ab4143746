/**
 * The directory a run of the tests, the demo or a benchmark lives in: a fresh one below the system's temporary
 * directory, laid out like the repository, readable by the account the run belongs to wherever the clone lies, and
 * removed as a whole at the end.
 *
 *     <run>/…                    the files of the tree
 *     <run>/build/…              the bundled tests, the PostgreSQL servers
 *     <run>/dist, node_modules   the programs, built for the run; the packages the tests import
 *
 * Beside it stands the only place the run may write to, its TMPDIR and HOME: in memory where there is enough, because
 * every test server begins with a copy of a data directory of 40 MB.
 */
import {
  chmodSync,
  chownSync,
  constants,
  copyFileSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statfsSync,
  symlinkSync,
} from 'node:fs';
import { freemem, tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Account, mayRead } from './account.js';
import { RUN_ID } from './sweep.js';

/** What is made rather than written in the tree; each is placed by itself if the run needs it. */
const GENERATED = new Set(['.git', 'node_modules', 'build', 'dist']);

/** Packages the programs under test import at run time, in addition to what the bundled tests name. */
const RUNTIME_PACKAGES = ['pg', 'postgres', 'koffi'];

/** What a run has of the file system. */
export interface RunDirectories {
  readonly directory: string;
  /** Belongs to the account of the run. */
  readonly scratch: string;
}

/** Room in memory that makes it worth working there, and its directory on Linux. */
const ENOUGH_BYTES = 2 * 2 ** 30;
const IN_MEMORY = '/dev/shm';

/** Makes an empty run directory and an empty scratch directory. */
export function createRunDirectories(account: Account | undefined): RunDirectories {
  const parent = [tmpdir(), '/tmp', '/var/tmp'].find((path) => existsSync(path) && mayRead(account, path));
  if (parent === undefined) throw new Error(`${account?.name} can walk neither ${tmpdir()} nor /tmp`);
  // Short names, because paths of Unix sockets below them may have 107 bytes.
  const directory = mkdtempSync(join(parent, 'conmgr-'));
  chmodSync(directory, 0o755);
  const scratch = mkdtempSync(join(roomInMemory() ? IN_MEMORY : parent, 'conmgr-'));
  if (account !== undefined) chownSync(scratch, account.uid, account.gid);
  return { directory, scratch };
}

function roomInMemory(): boolean {
  // A run inside a run (a test of this runner) stays within the outer one's scratch directory.
  if (process.env[RUN_ID] !== undefined) return false;
  const mount = readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .map((line) => line.split(' '))
    .find(([, path]) => path === IN_MEMORY);
  if (mount === undefined || mount[3]?.split(',').some((option) => option === 'noexec' || option === 'ro'))
    return false;
  const { bavail, bsize } = statfsSync(IN_MEMORY);
  return Math.min(bavail * bsize, freemem()) >= ENOUGH_BYTES;
}

/** Copies the files of the tree into the run, so that nothing the run does can touch the tree. */
export function placeTree(root: string, run: string): void {
  for (const name of readdirSync(root)) {
    if (!GENERATED.has(name)) place(join(root, name), join(run, name), copyReadable);
  }
}

/** Puts a directory below `build` into the run under the same name. */
export function placeGenerated(root: string, run: string, name: string): void {
  place(join(root, name), join(run, name), linkReadable);
}

/** Installs the SQL extension into a PostgreSQL that was put into the run, as a package would. */
export function placeExtension(root: string, run: string, postgres: string): void {
  const target = join(run, postgres, 'share/postgresql/extension');
  for (const name of readdirSync(join(root, 'extension'))) {
    place(join(root, 'extension', name), join(target, name), copyReadable);
  }
}

/** Puts the packages that `imported` names, what they depend on, and what programs need, into the run. */
export function placePackages(root: string, run: string, imported: Iterable<string>): void {
  const waiting = [...RUNTIME_PACKAGES, ...imported];
  const placed = new Set<string>();
  for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
    const folder = join('node_modules', name);
    if (placed.has(name) || !existsSync(join(root, folder, 'package.json'))) continue;
    placed.add(name);
    place(join(root, folder), join(run, folder), linkReadable);
    const manifest = JSON.parse(readFileSync(join(root, folder, 'package.json'), 'utf8')) as {
      dependencies?: Record<string, string>;
      optionalDependencies?: Record<string, string>;
    };
    waiting.push(...Object.keys({ ...manifest.dependencies, ...manifest.optionalDependencies }));
  }
}

/** Puts one program into the run if the account cannot reach it where it is, and returns where to run it. */
export function placeProgram(run: string, program: string, account: Account | undefined): string {
  if (mayRead(account, program)) return program;
  const goal = join(run, 'bin', 'node');
  mkdirSync(join(run, 'bin'), { recursive: true });
  linkReadable(program, goal, 0o755);
  return goal;
}

type PlaceFile = (source: string, goal: string, mode: number) => void;

function place(source: string, goal: string, placeFile: PlaceFile): void {
  const stat = lstatSync(source, { throwIfNoEntry: false });
  // An editor's temporary file, gone since its directory was read.
  if (stat === undefined) return;
  if (stat.isSymbolicLink()) {
    symlinkSync(readlinkSync(source), goal);
  } else if (stat.isDirectory()) {
    mkdirSync(goal, { recursive: true });
    chmodSync(goal, 0o755);
    for (const name of readdirSync(source)) place(join(source, name), join(goal, name), placeFile);
  } else if (stat.isFile()) {
    placeFile(source, goal, stat.mode & 0o111 ? 0o755 : 0o644);
  }
}

function copyReadable(source: string, goal: string, mode: number): void {
  copyFileSync(source, goal, constants.COPYFILE_FICLONE);
  chmodSync(goal, mode);
}

/** A hard link costs nothing, but serves only within a file system and only if the file is readable as it is. */
function linkReadable(source: string, goal: string, mode: number): void {
  if ((lstatSync(source).mode & mode & 0o005) === (mode & 0o005)) {
    try {
      linkSync(source, goal);
      return;
    } catch {
      // Another file system, or the kernel forbids links to others' files: copy.
    }
  }
  copyReadable(source, goal, mode);
}
