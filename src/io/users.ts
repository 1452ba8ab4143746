/** Names of the users of this host. */
import { readFile } from 'node:fs/promises';

const PASSWD = '/etc/passwd';

/** Users by number, as far as passwd(5) has them; those of a directory service are not there. Never rejects. */
export async function userNames(passwd: string = PASSWD): Promise<ReadonlyMap<number, string>> {
  const users = new Map<number, string>();
  try {
    for (const line of (await readFile(passwd, 'utf8')).split('\n')) {
      const [name = '', , uid = ''] = line.split(':');
      if (/^[0-9]+$/.test(uid) && !users.has(Number(uid))) users.set(Number(uid), name);
    }
  } catch {
    // Then numbers are shown.
  }
  return users;
}
