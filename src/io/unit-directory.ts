/** The directory that the instance name of a systemd unit stands for. */
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { homedir, userInfo } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { promisify } from 'node:util';
import { parseConfig } from '../core/config/parse.js';
import { MessageError } from '../core/messages/message-error.js';
import { PROCESS_MESSAGES } from '../core/messages/process.js';
import { WATCHDOG_MESSAGES } from '../core/messages/watchdog.js';
import { conmgrUnit, isPrivateToServices, type UnitMeaning, watchdogUnit } from '../core/unit-name.js';
import { errorText } from './native.js';

const run = promisify(execFile);

/** Asking takes 5 ms. */
const CALL_TIMEOUT_MS = 10_000;

/** How a program was told its directory: by path, or by the instance name (`%i`) of its unit. */
export type GivenDirectory =
  | { readonly by: 'path'; readonly path: string }
  /** `user`: the unit belongs to a user's own service manager. */
  | { readonly by: 'unit'; readonly unit: string; readonly user: boolean };

/** Where Debian keeps clusters (postgresql-common: pg_createcluster(1)); tests have their own. */
export interface ClusterPlaces {
  /** Holds VERSION/CLUSTER/postgresql.conf. */
  readonly configuration: string;
  /** Holds VERSION/bin/postgres. */
  readonly programs: string;
}

export const DEBIAN_CLUSTERS: ClusterPlaces = {
  configuration: '/etc/postgresql',
  programs: '/usr/lib/postgresql',
};

/** Directories of conmgr that are known by a name alone (`systemctl start conmgr@app1`). */
export function namedDirectories(user: boolean, home = homedir()): string {
  return user ? join(home, '.local/state/conmgr') : '/var/lib/conmgr';
}

/** Home of this user as his service manager has it. HOME may be that of another user after su(1) or sudo(8). */
export function homeOfUser(): string {
  try {
    return userInfo().homedir;
  } catch {
    // A user without a line in passwd(5).
    return homedir();
  }
}

/** The directory of a conmgr; `home` of the user whose unit it is. Throws MessageError for a unit that stands for none. */
export function conmgrDirectory(given: GivenDirectory, home?: string): string {
  if (given.by === 'path') return given.path;
  const meaning = meant(given.unit, conmgrUnit);
  return meaning.kind === 'name' ? join(namedDirectories(given.user, home), meaning.name) : visible(meaning);
}

/** The data directory of a watchdog. Rejects with MessageError. */
export async function watchdogDirectory(given: GivenDirectory, places = DEBIAN_CLUSTERS): Promise<string> {
  if (given.by === 'path') return given.path;
  const meaning = meant(given.unit, watchdogUnit);
  return meaning.kind === 'cluster' ? clusterDirectory(meaning, places) : visible(meaning);
}

function meant(unit: string, meaningOf: (unit: string) => UnitMeaning | undefined): UnitMeaning {
  const meaning = meaningOf(unit);
  if (meaning === undefined) throw new MessageError(PROCESS_MESSAGES.unitMeaningless, { unit });
  return meaning;
}

function visible(meaning: UnitMeaning): string {
  const directory = meaning.kind === 'path' ? meaning.path : '';
  if (isPrivateToServices(directory)) throw new MessageError(PROCESS_MESSAGES.directoryHidden, { directory });
  return directory;
}

/**
 * Asks the server program, which knows every include and quoting rule and where the default is. Where it refuses the
 * file, whose mistake may have nothing to do with the directory, the line in the file has to do: an instance that was
 * started before the mistake was made is to keep its watchdog.
 */
async function clusterDirectory(
  { version, cluster }: Extract<UnitMeaning, { kind: 'cluster' }>,
  places: ClusterPlaces,
): Promise<string> {
  const configuration = join(places.configuration, version, cluster);
  const program = join(places.programs, version, 'bin/postgres');
  try {
    // With -C in front root may ask, too.
    const { stdout } = await run(program, ['-C', 'data_directory', '-D', configuration], {
      timeout: CALL_TIMEOUT_MS,
      env: { ...process.env, LC_ALL: 'C' },
    });
    return stdout.replace(/\n$/, '');
  } catch (error) {
    const { stderr = '', code } = error as Error & { stderr?: string; code?: unknown };
    const written = typeof code === 'number' ? await writtenDirectory(configuration) : undefined;
    if (written !== undefined) return written;
    const said = stderr.trim().split('\n')[0] ?? '';
    const reason =
      said === ''
        ? `${program}: ${errorText(error)}`
        : said.replace(/^\S+: /, '').replace(/^.*?\b(?:LOG|FATAL):\s*/, '');
    throw new MessageError(
      WATCHDOG_MESSAGES.clusterUnknown,
      { version, cluster, reason, configuration },
      { cause: error },
    );
  }
}

/** What the last line about it in the cluster's own file says, if that is a full path. */
async function writtenDirectory(configuration: string): Promise<string | undefined> {
  const text = await readFile(join(configuration, 'postgresql.conf'), 'utf8').catch(() => '');
  const { value } = parseConfig(text)
    .entries.filter(({ name }) => name === 'data_directory')
    .at(-1) ?? { value: '' };
  return isAbsolute(value) ? value : undefined;
}
