/** The files that say what the privileged helper may do for whom; only what root alone can write counts. */
import { constants } from 'node:fs';
import { open, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { MOST_LIST_BYTES, parseTargetList, type TargetList } from '../core/guard/target-list.js';
import { errorText } from './native.js';

/** Where `cm_ctl register` writes them. */
export const TARGET_LISTS = '/etc/conmgr/targets.d';
const ENDING = '.conf';
/** Files that are read at most; an instance has one. */
const MOST_LISTS = 256;
const GROUP_OR_OTHERS_WRITE = 0o022;

/** A file, or the whole directory, that allows nothing. */
export interface RefusedList {
  readonly file: string;
  readonly reason: string;
}

export interface TargetLists {
  readonly lists: readonly TargetList[];
  readonly refused: readonly RefusedList[];
}

/**
 * Reads all `*.conf` of a directory. No directory means that nothing is allowed and is no error. Never rejects.
 * @param owner whom directory and files must belong to; root, but for tests
 */
export async function readTargetLists(directory: string = TARGET_LISTS, owner = 0): Promise<TargetLists> {
  const lists: TargetList[] = [];
  const refused: RefusedList[] = [];
  let names: string[] = [];
  try {
    assertTrusted(await stat(directory), owner);
    names = (await readdir(directory)).filter((name) => name.endsWith(ENDING)).sort();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') {
      refused.push({ file: directory, reason: errorText(error) });
    }
  }
  for (const name of names.slice(0, MOST_LISTS)) {
    const file = join(directory, name);
    try {
      lists.push(await readOne(file, owner));
    } catch (error) {
      refused.push({ file, reason: errorText(error) });
    }
  }
  if (names.length > MOST_LISTS) refused.push({ file: directory, reason: `more than ${MOST_LISTS} files` });
  return { lists, refused };
}

/** What is looked at and what is read are the same file: everything goes through one descriptor. */
async function readOne(file: string, owner: number): Promise<TargetList> {
  const handle = await open(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    const status = await handle.stat();
    if (!status.isFile()) throw new Error('not a regular file');
    assertTrusted(status, owner);
    if (status.size > MOST_LIST_BYTES) throw new Error(`longer than ${MOST_LIST_BYTES} bytes`);
    const list = parseTargetList(await handle.readFile('utf8'));
    if ('problem' in list) throw new Error(`line ${list.line}: ${list.problem}`);
    return list;
  } finally {
    await handle.close();
  }
}

function assertTrusted({ uid, mode }: { uid: number; mode: number }, owner: number): void {
  if (uid !== owner) throw new Error(`belongs to user ID ${uid}, not to ${owner === 0 ? 'root' : owner}`);
  if ((mode & GROUP_OR_OTHERS_WRITE) !== 0) throw new Error('can be written by others than its owner');
}
