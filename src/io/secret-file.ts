/** Reads files with the secret of the heartbeat links, and refuses those that others could have read. */
import type { Stats } from 'node:fs';
import { constants, type FileHandle, open } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { LONGEST_SECRET_FILE, parseSecrets } from '../core/config/secret.js';
import { errorText } from './native.js';

/** systemd.unit(5): the directory with the credentials of a unit. */
const CREDENTIALS_PREFIX = '%d/';
const GROUP_OR_OTHERS = 0o077;
const OTHERS = 0o007;

/** A secret cannot be used. The message names the file and says what to do; it has nothing of the content. */
export class SecretFileError extends Error {
  constructor(file: string, problem: string, cure: string, options?: ErrorOptions) {
    super(`secret file "${file}" ${problem}; ${cure}`, options);
    this.name = 'SecretFileError';
  }
}

/** Whether a name is that of a credential, and this process has none: only the unit can read it. */
export function isForeignCredential({ path, env }: Pick<SecretPlace, 'path' | 'env'>): boolean {
  return path.startsWith(CREDENTIALS_PREFIX) && env['CREDENTIALS_DIRECTORY'] === undefined;
}

/** Where a secret stands and who may own the file. */
export interface SecretPlace {
  /** As configured: absolute, relative to `base`, or %d/NAME for a credential of the systemd unit. */
  readonly path: string;
  readonly base: string;
  /** The user for whom the secret is; root may own the file too. */
  readonly owner: number;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/**
 * Reads the secrets, the one to connect with first. Rejects with SecretFileError when the file cannot be read, is
 * readable by group or others, belongs to somebody else, or holds no good secret.
 */
export async function readSecretFile(place: SecretPlace): Promise<readonly [string, ...string[]]> {
  const file = secretPath(place);
  // A named pipe in its place must not hold up the start.
  const handle = await open(file, constants.O_RDONLY | constants.O_NONBLOCK).catch((error: Error) => {
    throw new SecretFileError(
      file,
      `could not be read: ${errorText(error)}`,
      '"cm_ctl secret FILE" makes one',
      { cause: error },
    );
  });
  try {
    checkAccess(file, await handle.stat(), place);
    const parsed = parseSecrets(await readText(handle));
    if (parsed.ok) return parsed.secrets;
    throw new SecretFileError(file, parsed.problem, '"cm_ctl secret FILE" makes a good one');
  } finally {
    await handle.close();
  }
}

function secretPath({ path, base, env }: SecretPlace): string {
  if (!path.startsWith(CREDENTIALS_PREFIX)) return resolve(base, path);
  const directory = env['CREDENTIALS_DIRECTORY'];
  if (directory?.startsWith('/')) {
    return join(directory, path.slice(CREDENTIALS_PREFIX.length));
  }
  const cure = 'LoadCredential= in a drop-in of the systemd unit sets it';
  throw new SecretFileError(path, 'needs the variable CREDENTIALS_DIRECTORY', cure);
}

function checkAccess(file: string, stats: Stats, { owner, env }: SecretPlace): void {
  const { mode, uid } = stats;
  if (!stats.isFile()) throw new SecretFileError(file, 'is not a regular file', 'name a file');
  if (uid !== owner && uid !== 0) {
    const cure = `make it belong to the user that reads it: chown ${owner} ${file}`;
    throw new SecretFileError(file, `belongs to another user (UID ${uid})`, cure);
  }
  // systemd lets a unit's user read a credential through an access list, which shows as the right of a group
  // (systemd.exec(5), Credentials); the directory around it is closed to everybody else.
  const isCredential = dirname(file) === env['CREDENTIALS_DIRECTORY'] && uid === 0;
  const forbidden = isCredential ? OTHERS : GROUP_OR_OTHERS;
  if ((mode & forbidden) === 0) return;
  const text = (mode & 0o777).toString(8).padStart(4, '0');
  const cure = `make a new secret, as others may know this one, and keep it closed: chmod 0600 ${file}`;
  throw new SecretFileError(file, `may be used by group or others (mode ${text})`, cure);
}

/** One byte more than may be there shows that there is too much. */
async function readText(handle: FileHandle): Promise<string> {
  const { buffer, bytesRead } = await handle.read({ buffer: Buffer.alloc(LONGEST_SECRET_FILE + 1) });
  return buffer.toString('latin1', 0, bytesRead);
}
