/** Who runs PostgreSQL in tests that root runs: PostgreSQL itself refuses to. */
import { chownSync } from 'node:fs';

/** The account `nobody`, which every Debian and Fedora has under this number. */
export const SERVER_ACCOUNT = { uid: 65534, gid: 65534 } as const;

const isRoot = process.getuid?.() === 0;

/** A command that runs another one as the account of the servers; empty for an account that may run it itself. */
export function asServer(): readonly string[] {
  const { uid, gid } = SERVER_ACCOUNT;
  return isRoot ? ['setpriv', `--reuid=${uid}`, `--regid=${gid}`, '--clear-groups', '--'] : [];
}

/** Makes a directory that of the servers. */
export function giveToServers(directory: string): void {
  if (isRoot) chownSync(directory, SERVER_ACCOUNT.uid, SERVER_ACCOUNT.gid);
}
