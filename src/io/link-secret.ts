/** How the links of a conmgr are protected, from its configuration and the file that it names. */
import { stat } from 'node:fs/promises';
import type { ConmgrConfig } from '../core/config/types.js';
import { type LinkSecurity, UNPROTECTED } from './link-security.js';
import { readSecretFile } from './secret-file.js';

export const SECRET_NAME = 'heartbeat_secret_file';

/** Rejects with SecretFileError. The secret is for the owner of the directory, whoever asks. */
export async function readLinkSecurity(
  { heartbeatSecretFile: path }: Pick<ConmgrConfig, 'heartbeatSecretFile'>,
  directory: string,
  env: Readonly<Record<string, string | undefined>> = process.env,
): Promise<LinkSecurity> {
  if (path === undefined) return UNPROTECTED;
  const { uid: owner } = await stat(directory);
  return { kind: 'secret', secrets: await readSecretFile({ path, base: directory, owner, env }) };
}
