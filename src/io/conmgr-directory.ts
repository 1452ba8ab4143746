/** The directory of one conmgr: whether it can be used, and its conmgr.conf. */
import { constants } from 'node:fs';
import { access, open, realpath, stat } from 'node:fs/promises';
import path from 'node:path';

/** Name of the configuration file in the directory. */
export const CONFIG_FILE = 'conmgr.conf';
/** A configuration file larger than this is refused unread. */
const MAX_CONFIG_BYTES = 1024 * 1024;

/** The directory's real path. Rejects with a short reason in words. */
export async function openDirectory(directory: string): Promise<string> {
  try {
    const real = await realpath(directory);
    if (!(await stat(real)).isDirectory()) throw new Error('it is not a directory');
    await access(real, constants.R_OK | constants.W_OK | constants.X_OK);
    return real;
  } catch (error) {
    throw new Error(reasonOf(error));
  }
}

/** The text of conmgr.conf. Rejects with a short reason in words. */
export async function readConfigFile(directory: string): Promise<string> {
  let handle: Awaited<ReturnType<typeof open>> | undefined;
  try {
    // Non-blocking, so that a FIFO in its place does not hang the start.
    handle = await open(path.join(directory, CONFIG_FILE), constants.O_RDONLY | constants.O_NONBLOCK);
    const facts = await handle.stat();
    if (!facts.isFile()) throw new Error('it is not a regular file');
    if (facts.size > MAX_CONFIG_BYTES) throw new Error(`it is larger than ${MAX_CONFIG_BYTES} bytes`);
    return await handle.readFile('utf8');
  } catch (error) {
    throw new Error(reasonOf(error));
  } finally {
    await handle?.close();
  }
}

/** The directory and conmgr.conf in it, as far as every user of the host may write them. Never rejects. */
export async function writableByAll(directory: string): Promise<readonly string[]> {
  const paths = [directory, path.join(directory, CONFIG_FILE)];
  const modes = await Promise.all(
    paths.map((one) =>
      stat(one).then(
        ({ mode }) => mode,
        () => 0,
      ),
    ),
  );
  return paths.filter((_one, at) => ((modes[at] ?? 0) & constants.S_IWOTH) !== 0);
}

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'no such file or directory',
  ENOTDIR: 'not a directory',
  EACCES: 'permission denied',
  ELOOP: 'too many symbolic links',
  EROFS: 'read-only file system',
};

function reasonOf(error: unknown): string {
  const problem = error as NodeJS.ErrnoException;
  return REASONS[problem.code ?? ''] ?? problem.message;
}
