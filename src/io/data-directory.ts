/**
 * A PostgreSQL data directory as the file system and the process table show it; works while the instance is down.
 */
import { open, readdir, readlink, realpath, stat } from 'node:fs/promises';
import { endianness } from 'node:os';
import { join } from 'node:path';
import type { PostmasterFact } from '../core/instance/attributes.js';
import { newestTimeline } from '../core/instance/check-row.js';
import {
  type PostmasterOptions,
  type PostmasterPid,
  parsePostmasterOpts,
  parsePostmasterPid,
} from '../core/instance/postmaster-files.js';

/** The files read here are a few hundred octets; more is not read. */
const LONGEST_FILE = 64 * 1024;

/** Why a directory cannot be served. */
export type DirectoryProblem = 'missing' | 'not a data directory' | 'unreadable';

/** A data directory that was looked at. */
export interface DataDirectory {
  /** Without symbolic links. */
  readonly path: string;
  /** Major version, from PG_VERSION. */
  readonly major: number;
  /** User and group that own it. */
  readonly uid: number;
  readonly gid: number;
}

/** Looks at a directory; a problem comes with the system's reason. */
export async function openDataDirectory(
  directory: string,
): Promise<DataDirectory | { readonly problem: DirectoryProblem; readonly reason: string }> {
  try {
    const path = await realpath(directory);
    const { uid, gid } = await stat(path);
    const major = Number.parseInt(await readSmall(join(path, 'PG_VERSION')), 10);
    if (!(major > 0)) return { problem: 'not a data directory', reason: 'PG_VERSION is not a version' };
    return { path, major, uid, gid };
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const there = await stat(directory).then(
      (found) => found.isDirectory(),
      () => false,
    );
    if (code === 'EACCES' || code === 'EPERM') return { problem: 'unreadable', reason: message };
    return there
      ? { problem: 'not a data directory', reason: 'it has no file PG_VERSION' }
      : { problem: 'missing', reason: message };
  }
}

/** User that owns a directory the caller may not be able to look into; undefined when there is none. */
export async function ownerOf(directory: string): Promise<number | undefined> {
  return stat(directory).then(
    ({ uid }) => uid,
    () => undefined,
  );
}

/** postmaster.pid as a fact and, where one is there, in full. Rejects when the file is there but cannot be read. */
export async function readPostmaster(
  path: string,
): Promise<{ readonly fact: PostmasterFact; readonly file: PostmasterPid | undefined }> {
  const text = await readIfThere(join(path, 'postmaster.pid'));
  const file = text === undefined ? undefined : parsePostmasterPid(text);
  if (file === undefined) return { fact: { kind: 'none' }, file: undefined };
  if (file.pid < 0) return { fact: { kind: 'singleUser' }, file };
  const fact: PostmasterFact = (await isPostmaster(file.pid, path))
    ? { kind: 'running', pid: file.pid, status: file.status }
    : { kind: 'gone', pid: file.pid };
  return { fact, file };
}

/**
 * Whether a process is the postmaster of the directory: it lives and works there, as every process of PostgreSQL does
 * (src/backend/utils/init/miscinit.c, ChangeToDataDir). So a pid that is used again does not pass for it.
 */
async function isPostmaster(pid: number, path: string): Promise<boolean> {
  try {
    return (await readlink(`/proc/${pid}/cwd`)) === path;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // A process that has ended and waits for its parent has no working directory either.
    if (code === 'ENOENT' || code === 'ESRCH') return false;
    return !/^\d+ \(.*\) [ZX] /s.test((await readIfThere(`/proc/${pid}/stat`).catch(() => undefined)) ?? '');
  }
}

/** How the postmaster was last started; undefined when it never was. */
export async function readPostmasterOptions(path: string): Promise<PostmasterOptions | undefined> {
  const text = await readIfThere(join(path, 'postmaster.opts'));
  return text === undefined ? undefined : parsePostmasterOpts(text);
}

/** Timeline of the newest history file in pg_wal, 1 where there is none or it cannot be read. */
export async function readNewestTimeline(path: string): Promise<number> {
  return newestTimeline(await readdir(join(path, 'pg_wal')).catch(() => []));
}

/**
 * Identity of the cluster, from the first octets of pg_control (PostgreSQL src/include/catalog/pg_control.h,
 * ControlFileData.system_identifier, in the byte order of the machine); 0 where it cannot be read. It does not change
 * in the life of a data directory.
 */
export async function readSystemIdentifier(path: string): Promise<bigint> {
  try {
    const file = await open(join(path, 'global/pg_control'), 'r');
    try {
      const { buffer, bytesRead } = await file.read({ buffer: Buffer.alloc(8), length: 8 });
      if (bytesRead < 8) return 0n;
      return endianness() === 'LE' ? buffer.readBigUInt64LE() : buffer.readBigUInt64BE();
    } finally {
      await file.close();
    }
  } catch {
    return 0n;
  }
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readSmall(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // ESRCH: a file below /proc whose process is gone.
    if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'ESRCH') return undefined;
    throw error;
  }
}

/** Reads at most LONGEST_FILE octets. */
async function readSmall(path: string): Promise<string> {
  const file = await open(path, 'r');
  try {
    const { buffer, bytesRead } = await file.read({ buffer: Buffer.alloc(LONGEST_FILE) });
    return buffer.toString('utf8', 0, bytesRead);
  } finally {
    await file.close();
  }
}
