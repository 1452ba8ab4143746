/** Who runs the tests: PostgreSQL refuses to run as root, and users run conmgr unprivileged too. */
import { execFileSync } from 'node:child_process';
import { statSync } from 'node:fs';
import { dirname } from 'node:path';

/** An account to switch to. */
export interface Account {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}

/**
 * The account that everything in a run belongs to; undefined: the caller's own. Root switches to `nobody`, or to
 * TEST_USER, which must stand in the user database because initdb looks it up.
 */
export function testAccount(env: NodeJS.ProcessEnv): Account | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const name = env['TEST_USER'] || 'nobody';
  const id = (flag: string): number => {
    try {
      return Number(
        execFileSync('id', [flag, name], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }),
      );
    } catch {
      throw new Error(`there is no user "${name}"; name an unprivileged one with TEST_USER`);
    }
  };
  const account = { name, uid: id('-u'), gid: id('-g') };
  if (account.uid === 0) throw new Error(`TEST_USER=${name} is root: name an unprivileged user`);
  return account;
}

/** Whether the account may read the file (and run it, if it is a program) or walk the directory at `path`. */
export function mayRead(account: Account | undefined, path: string): boolean {
  if (account === undefined) return true;
  const allows = (at: string, bits: number): boolean => {
    const { uid, gid, mode } = statSync(at);
    const shift = uid === account.uid ? 6 : gid === account.gid ? 3 : 0;
    return ((mode >> shift) & bits) === bits;
  };
  for (let at = dirname(path); ; at = dirname(at)) {
    if (!allows(at, 1)) return false;
    if (at === dirname(at)) break;
  }
  const stat = statSync(path);
  return allows(path, stat.isDirectory() || (stat.mode & 0o111) !== 0 ? 5 : 4);
}
