/**
 * Reads settings of an instance with the server program itself (`postgres -C NAME`), which knows every include,
 * override and quoting rule, works while the instance is down, and is not misled by ALTER ROLE or ALTER DATABASE.
 */
import { execFile } from 'node:child_process';
import { access, constants, readdir, readFile, readlink, realpath } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { settingArguments } from '../core/instance/postmaster-files.js';
import { includesIn, watchdogNamesIn } from '../core/instance/setting-names.js';
import { type DataDirectory, readPostmaster, readPostmasterOptions } from './data-directory.js';

const execute = promisify(execFile);

/** A call takes 5 ms; a hung disk must not keep the watchdog from falling back on what it remembers. */
const CALL_TIMEOUT_MS = 10_000;
/** Calls at a time. */
const CALLS_AT_A_TIME = 4;
/** Included files that are looked into at most. */
const MOST_FILES = 200;

/** Runs a program; yields its standard output. */
type Run = (program: string, args: readonly string[]) => Promise<string>;

/**
 * Runs programs as the owner of the data directory, also for root: which program that is stands in a file of the owner,
 * and the configuration is read with the rights that the server has. The caller's directory may be closed to the owner.
 */
function runAsOwner({ uid, gid }: DataDirectory): Run {
  const owner = process.getuid?.() === 0 ? { uid, gid, cwd: '/' } : {};
  const env = { ...process.env, LC_ALL: 'C' };
  return async (program, args) =>
    (await execute(program, args, { timeout: CALL_TIMEOUT_MS, env, ...owner })).stdout;
}

/** The settings could not be read; the message says why. */
export class SettingsUnreadable extends Error {
  /** What a person may type to see it again. */
  readonly command: string;

  constructor(message: string, command: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'SettingsUnreadable';
    this.command = command;
  }
}

/** Where Debian keeps the configuration of clusters, VERSION/CLUSTER (postgresql-common: pg_createcluster(1)). */
const DEBIAN_CONFIGURATIONS = '/etc/postgresql';

/**
 * Values of `names`; what is not set and has no value is absent. Names of watchdog.* that the configuration files
 * set but `names` does not contain are added. The first of `names` must be one that every PostgreSQL knows: it tells
 * an unknown name from a configuration that cannot be read. Rejects with SettingsUnreadable.
 */
export async function readSettings(
  directory: DataDirectory,
  names: readonly [string, ...string[]],
  configurations = DEBIAN_CONFIGURATIONS,
): Promise<ReadonlyMap<string, string>> {
  const call = await settingsCall(directory, configurations);
  const [known, ...others] = names;
  const values = new Map<string, string>();
  const control = await call(known);
  if (control === undefined) {
    const command = `postgres -D ${directory.path} -C ${known}`;
    throw new SettingsUnreadable(`"${known}" is not known to this PostgreSQL`, command);
  }
  values.set(known, control);
  const configFile = (await call('config_file')) ?? join(directory.path, 'postgresql.conf');
  const written = await writtenNames([configFile, join(directory.path, 'postgresql.auto.conf')]);
  const waiting = [...new Set([...others, ...written])];
  const work = async (): Promise<void> => {
    for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
      const value = await call(name);
      if (value !== undefined) values.set(name, value);
    }
  };
  await Promise.all(Array.from({ length: CALLS_AT_A_TIME }, work));
  return values;
}

/** Asks for one setting; undefined for a name that is not known. */
type SettingsCall = (name: string) => Promise<string | undefined>;

async function settingsCall(directory: DataDirectory, configurations: string): Promise<SettingsCall> {
  const run = runAsOwner(directory);
  const options = await readPostmasterOptions(directory.path);
  const program = await findProgram(directory, options?.program);
  if (program === undefined) {
    throw new SettingsUnreadable(
      `no program "postgres" of version ${directory.major} was found`,
      `ls /usr/lib/postgresql/${directory.major}/bin/postgres`,
    );
  }
  const last = settingArguments(options?.args ?? []);
  const elsewhere = last.some((arg) => /config_file\s*=/.test(arg))
    ? undefined
    : await configurationElsewhere(directory, configurations, (place) =>
        run(program, ['-C', 'data_directory', '-D', place]),
      );
  const args = [
    ...['-D', directory.path],
    ...(elsewhere === undefined ? [] : ['-c', `config_file=${elsewhere}`]),
    ...last,
  ];
  let first = true;
  return async (name) => {
    const control = first;
    first = false;
    try {
      return (await run(program, ['-C', name, ...args])).replace(/\n$/, '');
    } catch (error) {
      const { code, stderr, message } = error as Error & { code?: number | string; stderr?: string };
      // Exit status 1 is how an unknown name ends, once a known one was answered.
      if (!control && code === 1) return undefined;
      const reason = (stderr ?? '')
        .trim()
        .split('\n')[0]
        ?.replace(/^.*?(?:LOG|ERROR|FATAL):\s+/, '');
      throw new SettingsUnreadable(
        reason === undefined || reason === '' ? message : reason,
        [program, '-C', name, ...args].join(' '),
        { cause: error },
      );
    }
  };
}

/**
 * The configuration file of a cluster of Debian that was never started: the data directory has none, and the last
 * start, which would name it, has not been. It is the one that names this data directory.
 */
async function configurationElsewhere(
  { path, major }: DataDirectory,
  configurations: string,
  dataDirectoryOf: (place: string) => Promise<string>,
): Promise<string | undefined> {
  const own = await access(join(path, 'postgresql.conf')).then(
    () => true,
    () => false,
  );
  if (own) return undefined;
  const folder = join(configurations, String(major));
  for (const cluster of await readdir(folder).catch(() => [])) {
    const place = join(folder, cluster);
    const named = await dataDirectoryOf(place)
      .then((printed) => realpath(printed.replace(/\n$/, '')))
      .catch(() => undefined);
    if (named === path) return join(place, 'postgresql.conf');
  }
  return undefined;
}

/** The server program: of the last start, of the running postmaster, or where packages put it. */
async function findProgram(
  { path, major }: DataDirectory,
  last: string | undefined,
): Promise<string | undefined> {
  const pid = (await readPostmaster(path).catch(() => undefined))?.file?.pid;
  const running = pid === undefined ? undefined : await readlink(`/proc/${pid}/exe`).catch(() => undefined);
  const packaged = [`/usr/lib/postgresql/${major}/bin/postgres`, `/usr/pgsql-${major}/bin/postgres`];
  const searched = (process.env['PATH'] ?? '').split(':').map((folder) => join(folder, 'postgres'));
  for (const candidate of [last, running, ...packaged, ...searched]) {
    if (candidate === undefined || !candidate.startsWith('/')) continue;
    const usable = await access(candidate, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (usable) return candidate;
  }
  return undefined;
}

/** Names of watchdog.* set in files and in what they include. What cannot be read has none. */
async function writtenNames(files: readonly string[]): Promise<ReadonlySet<string>> {
  const names = new Set<string>();
  const seen = new Set<string>();
  const waiting = [...files];
  for (let file = waiting.shift(); file !== undefined && seen.size < MOST_FILES; file = waiting.shift()) {
    if (seen.has(file)) continue;
    seen.add(file);
    const text = await readFile(file, 'utf8').catch(() => '');
    for (const name of watchdogNamesIn(text)) names.add(name);
    for (const { path, directory } of includesIn(text)) {
      const target = resolve(dirname(file), path);
      if (!directory) waiting.push(target);
      else waiting.push(...(await configurationFiles(target)));
    }
  }
  return names;
}

/** What include_dir takes: names that end in .conf and do not begin with a dot. */
async function configurationFiles(folder: string): Promise<string[]> {
  const entries = await readdir(folder).catch(() => []);
  return entries
    .filter((name) => name.endsWith('.conf') && !name.startsWith('.'))
    .map((name) => join(folder, name));
}
