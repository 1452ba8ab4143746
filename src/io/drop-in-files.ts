/** Files below the directories of unit files: written whole or not at all, and removed with the directory they leave empty. */
import { open, readdir, readFile, rename, rm, rmdir } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { makeDirectories } from './make-directories.js';

/** Everybody may read what a unit is told. */
const DIRECTORY_MODE = 0o755;
const FILE_MODE = 0o644;

/** The text; undefined when there is no such file. Rejects when it cannot be read. */
export async function readUnitFile(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

/** Writes or replaces it, so that systemd never reads a half of it, and not before it is on the disk. */
export async function writeUnitFile(path: string, text: string): Promise<void> {
  const folder = dirname(path);
  const made = await makeDirectories(folder, DIRECTORY_MODE);
  // A strict umask would hide from everybody why the unit is as it is.
  if (made !== undefined) await withHandle(folder, 'r', (handle) => handle.chmod(DIRECTORY_MODE));
  // systemd reads only names that end in .conf.
  const draft = join(folder, `.${basename(path)}.new`);
  await rm(draft, { force: true });
  try {
    await withHandle(draft, 'wx', async (handle) => {
      await handle.writeFile(text);
      await handle.chmod(FILE_MODE);
      await handle.sync();
    });
    await rename(draft, path);
  } catch (error) {
    await rm(draft, { force: true }).catch(() => {});
    throw error;
  }
  await withHandle(folder, 'r', (handle) => handle.sync());
}

/** Removes it, and its directory when that is empty then. */
export async function removeUnitFile(path: string): Promise<void> {
  await rm(path, { force: true });
  await rmdir(dirname(path)).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST' && !isMissing(error)) throw error;
  });
}

/** Names in a directory; none when it does not exist. */
export async function namesIn(folder: string): Promise<readonly string[]> {
  return readdir(folder).then(
    (names) => names.sort(),
    (error: unknown) => {
      if (isMissing(error)) return [];
      throw error;
    },
  );
}

async function withHandle(
  path: string,
  flags: string,
  use: (handle: Awaited<ReturnType<typeof open>>) => Promise<void>,
): Promise<void> {
  const handle = await open(path, flags, FILE_MODE);
  try {
    await use(handle);
  } finally {
    await handle.close();
  }
}

function isMissing(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === 'ENOENT';
}
