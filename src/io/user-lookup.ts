/** One user of this host, also one of a directory service: getent(1) asks whatever nsswitch.conf(5) names. */
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';

export interface Account {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  /** Home directory; missing where it is not known. */
  readonly home?: string;
}

const PASSWD = '/etc/passwd';
/** A directory service may be slow, but not for ever. */
const LOOK_UP_LIMIT_MS = 10_000;

/** By name, or by number. Undefined when there is none. Never rejects. */
export async function lookUpUser(key: string | number): Promise<Account | undefined> {
  const line = await new Promise<string | undefined>((resolve) => {
    const limit = { timeout: LOOK_UP_LIMIT_MS };
    execFile('getent', ['passwd', '--', String(key)], limit, (error, stdout) => {
      if (error === null) resolve(stdout);
      // Status 2: it looked, and there is none. Otherwise there is no such program.
      else resolve(error.code === 2 ? '' : undefined);
    });
  });
  return line === undefined ? lookUpFile(String(key)) : accountOf(line);
}

async function lookUpFile(key: string): Promise<Account | undefined> {
  const lines = (await readFile(PASSWD, 'utf8').catch(() => '')).split('\n');
  const accounts = lines.flatMap((line) => accountOf(line) ?? []);
  return accounts.find(({ name }) => name === key) ?? accounts.find(({ uid }) => String(uid) === key);
}

/** A line of passwd(5). */
function accountOf(line: string): Account | undefined {
  const [name = '', , uid = '', gid = '', , home = ''] = line.split(':');
  if (name === '' || !/^[0-9]+$/.test(uid) || !/^[0-9]+$/.test(gid)) return undefined;
  return { name, uid: Number(uid), gid: Number(gid), ...(home !== '' && { home }) };
}

/** Whether there is such a group. Never rejects. */
export function groupExists(name: string): Promise<boolean> {
  return new Promise((resolve) => {
    execFile('getent', ['group', '--', name], { timeout: LOOK_UP_LIMIT_MS }, (error) =>
      resolve(error === null),
    );
  });
}
