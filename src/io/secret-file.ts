/** Reads files with the secret of the heartbeat links. */
import { LONGEST_SECRET_FILE, parseSecrets } from '../core/config/secret.js';
import { type LinkFile, type LinkFileKind, readLinkFile, unusable } from './link-file.js';

const GROUP_OR_OTHERS = 0o077;

const SECRET: LinkFileKind = {
  what: 'secret file',
  limit: LONGEST_SECRET_FILE,
  cure: '"cm_ctl secret FILE" makes one',
  // Stricter than PostgreSQL with a key: two hosts have it, and no group is known to need it.
  closedTo: { ofRoot: GROUP_OR_OTHERS, ofOthers: GROUP_OR_OTHERS },
  cureOfOpen: 'make a new secret, as others may know this one, and keep it closed',
};

/**
 * Reads the secrets, the one to connect with first. Rejects with LinkFileError when the file cannot be read, is
 * readable by group or others, belongs to somebody else, or holds no good secret.
 */
export async function readSecretFile(place: Omit<LinkFile, 'kind'>): Promise<readonly [string, ...string[]]> {
  const file = { ...place, kind: SECRET };
  const { path, text } = await readLinkFile(file);
  const parsed = parseSecrets(text);
  if (parsed.ok) return parsed.secrets;
  throw unusable(file, path, parsed.problem, '"cm_ctl secret FILE" makes a good one');
}
