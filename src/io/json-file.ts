/** Small JSON files that another process may read at any moment, or that a crash may leave behind. */
import { open, rename, rm, writeFile } from 'node:fs/promises';

/** More is not read. */
const LONGEST_JSON = 16 * 1024 * 1024;

/** The value in a file; undefined when it is missing, too long or not JSON. */
export async function readJsonFile(path: string): Promise<unknown> {
  try {
    const file = await open(path, 'r');
    try {
      const { size } = await file.stat();
      if (size > LONGEST_JSON) return undefined;
      const text = Buffer.alloc(size);
      const { bytesRead } = await file.read({ buffer: text });
      return JSON.parse(text.toString('utf8', 0, bytesRead));
    } finally {
      await file.close();
    }
  } catch {
    return undefined;
  }
}

/**
 * Replaces a file as a whole: a reader sees the old or the new text. Text in parts is written part by part, and each is
 * asked for when the one before it is written. Rejects with the system's error.
 */
export async function replaceFile(path: string, text: string | Iterable<string>): Promise<void> {
  const temporary = `${path}.tmp`;
  try {
    await writeFile(temporary, text, { mode: 0o600 });
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => {});
    throw error;
  }
}
