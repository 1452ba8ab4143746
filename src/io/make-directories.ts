/** Directories with what is missing above them, as `mkdir -p` makes them. */
import { mkdir, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';

/**
 * Makes a directory and those above it, each with `mode` less the umask; one that is there is taken as it is.
 * Node.js's own (`recursive: true`) never ends where the kernel refuses a directory with ENOENT although the one above
 * exists, as in /proc and /sys.
 * @returns the uppermost one that was made; undefined when all were there
 * Rejects with the error of mkdir(2), EEXIST for something that is no directory.
 */
export async function makeDirectories(directory: string, mode = 0o777): Promise<string | undefined> {
  const path = resolve(directory);
  const above = dirname(path);
  const missing = above !== path && (await codeOf(stat(above))) === 'ENOENT';
  const first = missing ? await makeDirectories(above, mode) : undefined;
  try {
    await mkdir(path, mode);
    return first ?? path;
  } catch (error) {
    const there = await stat(path).catch(() => undefined);
    if ((error as NodeJS.ErrnoException).code === 'EEXIST' && there?.isDirectory() === true) return undefined;
    throw error;
  }
}

/** Code of the error that it rejects with. */
function codeOf(promise: Promise<unknown>): Promise<string | undefined> {
  return promise.then(
    () => undefined,
    (error: NodeJS.ErrnoException) => error.code,
  );
}
