/**
 * The settings of the watchdog, and those of the instance it needs: read with the server program, remembered for the
 * time when that does not work.
 */
import { join } from 'node:path';
import type { ConfigProblem } from '../core/config/problem.js';
import { resolveWatchdogConfig } from '../core/config/resolve-watchdog.js';
import type { WatchdogConfig } from '../core/config/types.js';
import { WATCHDOG_PARAMETERS } from '../core/config/watchdog-spec.js';
import { WATCHDOG_FILES } from '../core/control/watchdog.js';
import type { DataDirectory } from '../io/data-directory.js';
import { readSettings, SettingsUnreadable } from '../io/instance-settings.js';
import { readJsonFile, replaceFile } from '../io/json-file.js';
import { LinkFileError } from '../io/link-file.js';
import { readGateSecurity, SSL_SETTINGS, type SslSettings } from '../io/link-protection.js';
import { CLOSED, type GateSecurity } from '../io/link-security.js';

/** Settings of PostgreSQL itself, with the defaults of its documentation. */
const INSTANCE_SETTINGS = {
  max_connections: '100',
  listen_addresses: 'localhost',
  max_files_per_process: '1000',
  authentication_timeout: '60',
  ...SSL_SETTINGS,
} as const;

export interface Settings {
  readonly config: WatchdogConfig;
  /** What is wanted of those that connect; undefined: nothing. */
  readonly protection: GateSecurity | undefined;
  /** The files that PostgreSQL uses for TLS. */
  readonly ssl: SslSettings;
  /** listen_addresses of the instance. */
  readonly listenAddresses: readonly string[];
  readonly maxConnections: number;
  readonly maxFilesPerProcess: number;
  readonly authenticationTimeoutMs: number;
  /** What is wrong with the values, to be logged. */
  readonly problems: readonly ConfigProblem[];
  /** Why they could not be read and what holds instead; undefined when they were. */
  readonly unreadable:
    | { readonly reason: string; readonly consequence: string; readonly command: string }
    | undefined;
}

/** Reads everything. Never rejects for a configuration that cannot be read: then what is remembered holds. */
export async function loadSettings(directory: DataDirectory): Promise<Settings> {
  const file = join(directory.path, WATCHDOG_FILES.directory, WATCHDOG_FILES.settings);
  try {
    const raw = await readSettings(directory, [
      'max_connections',
      ...Object.keys(INSTANCE_SETTINGS),
      ...Object.keys(WATCHDOG_PARAMETERS),
    ]);
    // Its absence costs nothing but the memory, and an unwritable directory is reported with the lock.
    await replaceFile(file, `${JSON.stringify(Object.fromEntries(raw))}\n`).catch(() => {});
    return await withProtection(settingsFrom(raw, undefined), directory);
  } catch (error) {
    if (!(error instanceof SettingsUnreadable)) throw error;
    const remembered = rememberedMap(await readJsonFile(file));
    const { message: reason, command } = error;
    if (remembered !== undefined) {
      const consequence = 'The values of the last time are used';
      return await withProtection(settingsFrom(remembered, { reason, consequence, command }), directory);
    }
    const settings = settingsFrom(new Map(), {
      reason,
      command,
      consequence: 'Nothing is remembered either: the heartbeat port stays closed until they can be read',
    });
    // Whether anybody is to be kept out is not known, so everybody is.
    const closed = 'the settings could not be read';
    return { ...settings, config: { ...settings.config, closed, allowedClients: [], terminateOn: 'never' } };
  }
}

/** A file that cannot be used closes the port: nobody gets in without it, and nobody can prove anything. */
async function withProtection(settings: Settings, directory: DataDirectory): Promise<Settings> {
  try {
    return { ...settings, protection: await readGateSecurity(settings.config, settings.ssl, directory) };
  } catch (error) {
    if (!(error instanceof LinkFileError)) throw error;
    const closed = settings.config.closed ?? `${error.parameter}: ${error.message}`;
    return { ...settings, protection: CLOSED, config: { ...settings.config, closed, allowedClients: [] } };
  }
}

function settingsFrom(raw: ReadonlyMap<string, string>, unreadable: Settings['unreadable']): Settings {
  const names = Object.keys(INSTANCE_SETTINGS);
  const own = new Map([...raw].filter(([name]) => !names.includes(name)));
  const { config, problems, remarks } = resolveWatchdogConfig(own);
  const value = (name: keyof typeof INSTANCE_SETTINGS): string => raw.get(name) ?? INSTANCE_SETTINGS[name];
  return {
    config,
    protection: undefined,
    ssl: sslSettings(value),
    listenAddresses: addressList(value('listen_addresses')),
    maxConnections: Number(value('max_connections')),
    maxFilesPerProcess: Number(value('max_files_per_process')),
    authenticationTimeoutMs: Number(value('authentication_timeout')) * 1000,
    problems: [...problems, ...remarks],
    unreadable,
  };
}

function sslSettings(value: (name: keyof SslSettings) => string): SslSettings {
  const names = Object.keys(SSL_SETTINGS) as (keyof SslSettings)[];
  return Object.fromEntries(names.map((name) => [name, value(name)])) as SslSettings;
}

/** A list of names as PostgreSQL's SplitIdentifierString takes it: commas, blanks, and double quotes around a name. */
function addressList(text: string): readonly string[] {
  return text
    .split(',')
    .map((word) => word.trim().replace(/^"(.*)"$/, '$1'))
    .filter((word) => word !== '');
}

function rememberedMap(value: unknown): ReadonlyMap<string, string> | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const entries = Object.entries(value).filter(
    (entry): entry is [string, string] => typeof entry[1] === 'string',
  );
  return entries.length === 0 ? undefined : new Map(entries);
}
