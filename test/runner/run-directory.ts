/**
 * The directory a run of the tests, the demo or a benchmark lives in: a fresh one below the system's temporary
 * directory, laid out like the repository, readable by the account the run belongs to wherever the clone lies, and
 * removed as a whole at the end.
 *
 *     <run>/…                    the files of the tree
 *     <run>/build/…              the bundled tests, the PostgreSQL servers
 *     <run>/dist, node_modules   the built programs, the packages the tests import
 *     <run>/tmp                  TMPDIR and HOME of the run, the only place it may write to
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
  symlinkSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Account, mayRead } from './account.js';

/** What is made rather than written in the tree; each is placed by itself if the run needs it. */
const GENERATED = new Set(['.git', 'node_modules', 'build', 'dist']);

/** Packages the programs under test import at run time, in addition to what the bundled tests name. */
const RUNTIME_PACKAGES = ['pg', 'postgres', 'koffi'];

/** Makes an empty run directory whose `tmp` belongs to `account`. */
export function createRunDirectory(account: Account | undefined): string {
  const parent = [tmpdir(), '/tmp', '/var/tmp'].find((path) => existsSync(path) && mayRead(account, path));
  if (parent === undefined) throw new Error(`${account?.name} can walk neither ${tmpdir()} nor /tmp`);
  // Short, because paths of Unix sockets below it may have 107 bytes.
  const run = mkdtempSync(join(parent, 'conmgr-'));
  chmodSync(run, 0o755);
  mkdirSync(join(run, 'tmp'), { mode: 0o700 });
  if (account !== undefined) chownSync(join(run, 'tmp'), account.uid, account.gid);
  return run;
}

/** Copies the files of the tree into the run, so that nothing the run does can touch the tree. */
export function placeTree(root: string, run: string): void {
  for (const name of readdirSync(root)) {
    if (!GENERATED.has(name)) place(join(root, name), join(run, name), copyReadable);
  }
}

/** Puts `dist`, or a directory below `build`, into the run under the same name. */
export function placeGenerated(root: string, run: string, name: string): void {
  place(join(root, name), join(run, name), linkReadable);
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
  const stat = lstatSync(source);
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
