/** Reads the files that protect heartbeat links: secrets, keys, certificates; refuses those that others could use. */
import type { Stats } from 'node:fs';
import { constants, type FileHandle, open } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { errorText } from './native.js';

/** systemd.unit(5): the directory with the credentials of a unit. */
const CREDENTIALS_PREFIX = '%d/';
const OTHERS = 0o007;

/** A file cannot be used. The message names it and says what to do; it has nothing of the content. */
export class LinkFileError extends Error {
  /** The parameter that names the file. */
  readonly parameter: string;

  constructor(parameter: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'LinkFileError';
    this.parameter = parameter;
  }
}

/** The error of a file that was found at `path`. */
export function unusable(
  { kind, parameter }: LinkFile,
  path: string,
  problem: string,
  cure: string,
  options?: ErrorOptions,
): LinkFileError {
  return new LinkFileError(parameter, `${kind.what} "${path}" ${problem}; ${cure}`, options);
}

/** What a file holds and who may use it. */
export interface LinkFileKind {
  /** For people. */
  readonly what: string;
  /** Octets that are read, and one more: what is longer is for the reader to refuse. */
  readonly limit: number;
  /** What to do where it cannot be read. */
  readonly cure: string;
  /** Bits of its mode that nobody may have; undefined: whoever can, may use it. */
  readonly closedTo: { readonly ofRoot: number; readonly ofOthers: number } | undefined;
  /** What to do where it was open. */
  readonly cureOfOpen?: string;
}

/** Where a file stands and who may own it. */
export interface LinkFile {
  readonly kind: LinkFileKind;
  /** For the error. */
  readonly parameter: string;
  /** As configured: absolute, relative to `base`, or %d/NAME for a credential of the systemd unit. */
  readonly path: string;
  readonly base: string;
  /** The user for whom the file is; root may own it too. */
  readonly owner: number;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** Whether a name is that of a credential, and this process has none: only the unit can read it. */
export function isForeignCredential({ path, env }: Pick<LinkFile, 'path' | 'env'>): boolean {
  return path.startsWith(CREDENTIALS_PREFIX) && env['CREDENTIALS_DIRECTORY'] === undefined;
}

/** The name under which a file is opened. Throws LinkFileError for a credential where there is none. */
export function linkFilePath(file: LinkFile): string {
  const { path, base, env } = file;
  if (!path.startsWith(CREDENTIALS_PREFIX)) return resolve(base, path);
  const directory = env['CREDENTIALS_DIRECTORY'];
  if (directory?.startsWith('/')) {
    return join(directory, path.slice(CREDENTIALS_PREFIX.length));
  }
  const cure = 'LoadCredential= in a drop-in of the systemd unit sets it';
  throw unusable(file, path, 'needs the variable CREDENTIALS_DIRECTORY', cure);
}

/** The text of a file. Rejects with LinkFileError when it cannot be read or others may use it. */
export async function readLinkFile(
  file: LinkFile,
): Promise<{ readonly path: string; readonly text: string }> {
  const { kind } = file;
  const path = linkFilePath(file);
  // A named pipe in its place must not hold up the start.
  const handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK).catch((error: Error) => {
    const problem = `could not be read: ${errorText(error)}`;
    throw unusable(file, path, problem, kind.cure, { cause: error });
  });
  try {
    const stats = await handle.stat();
    checkAccess(file, path, stats);
    return { path, text: await readText(handle, Math.min(stats.size, kind.limit)) };
  } finally {
    await handle.close();
  }
}

function checkAccess(file: LinkFile, path: string, stats: Stats): void {
  const { owner, env, kind } = file;
  const { mode, uid } = stats;
  if (!stats.isFile()) throw unusable(file, path, 'is not a regular file', 'name a file');
  if (kind.closedTo === undefined) return;
  if (uid !== owner && uid !== 0) {
    const cure = `make it belong to the user that reads it: chown ${owner} ${path}`;
    throw unusable(file, path, `belongs to another user (UID ${uid})`, cure);
  }
  // systemd lets a unit's user read a credential through an access list, which shows as the right of a group
  // (systemd.exec(5), Credentials); the directory around it is closed to everybody else.
  const isCredential = dirname(path) === env['CREDENTIALS_DIRECTORY'] && uid === 0;
  const { ofRoot, ofOthers } = kind.closedTo;
  const forbidden = isCredential ? OTHERS : uid === 0 ? ofRoot : ofOthers;
  if ((mode & forbidden) === 0) return;
  const text = (mode & 0o777).toString(8).padStart(4, '0');
  const cure = `${kind.cureOfOpen ?? 'keep it closed'}: chmod 0600 ${path}`;
  throw unusable(file, path, `may be used by group or others (mode ${text})`, cure);
}

/** One byte more than may be there shows that there is too much. */
async function readText(handle: FileHandle, limit: number): Promise<string> {
  const buffer = Buffer.alloc(limit + 1);
  let length = 0;
  for (;;) {
    const { bytesRead } = await handle.read(buffer, length, buffer.length - length);
    length += bytesRead;
    if (bytesRead === 0 || length === buffer.length) return buffer.toString('latin1', 0, length);
  }
}
