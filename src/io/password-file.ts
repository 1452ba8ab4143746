/** Finds the password for a connection where libpq would: PGPASSWORD, then the password file. */
import { readFile, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { type PasswordKey, passwordIn } from '../core/instance/password-file.js';

/** undefined when there is none, or the file is open to others, which libpq then ignores too. */
export async function findPassword(key: PasswordKey, env: NodeJS.ProcessEnv): Promise<string | undefined> {
  if (env['PGPASSWORD'] !== undefined && env['PGPASSWORD'] !== '') return env['PGPASSWORD'];
  const path = env['PGPASSFILE'] || join(homedir(), '.pgpass');
  try {
    const found = await stat(path);
    if (!found.isFile() || (found.mode & 0o077) !== 0) return undefined;
    return passwordIn(await readFile(path, 'utf8'), key);
  } catch {
    return undefined;
  }
}
