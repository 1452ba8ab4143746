/**
 * pg_service.conf, read as libpq reads it (PostgreSQL documentation, 34.17 The Connection Service File).
 */
import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import ini from 'ini';
import { OptionProblem } from '../core/client/host-list.js';
import { CLIENT_MESSAGES } from '../core/messages/client.js';

type Environment = Readonly<Record<string, string | undefined>>;

/** Where Debian's and PGDG's packages keep the system-wide file. */
const SYSTEM_DIRECTORIES: readonly string[] = ['/etc/postgresql-common', '/etc/sysconfig/pgsql'];

/**
 * The parameters of one service by their libpq names. The user's file (PGSERVICEFILE or ~/.pg_service.conf) is
 * searched first, then pg_service.conf in PGSYSCONFDIR. Throws OptionProblem.
 */
export function readService(service: string, env: Environment): ReadonlyMap<string, string> {
  const named = env['PGSERVICEFILE'];
  const directories = env['PGSYSCONFDIR'] === undefined ? SYSTEM_DIRECTORIES : [env['PGSYSCONFDIR']];
  const files = [
    named ?? join(env['HOME'] ?? homedir(), '.pg_service.conf'),
    ...directories.map((directory) => join(directory, 'pg_service.conf')),
  ];
  for (const file of files) {
    const text = readIfThere(file, file === named);
    const found = text === undefined ? undefined : parseServices(text, file).get(service);
    if (found !== undefined) return found;
  }
  throw new OptionProblem(CLIENT_MESSAGES.serviceMissing, { service, files: files.join(', ') });
}

function readIfThere(file: string, mustExist: boolean): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (!mustExist) return undefined;
    throw new OptionProblem(CLIENT_MESSAGES.serviceFileMissing, {
      file,
      why: String((error as Error).message),
    });
  }
}

/**
 * All services of a file. libpq takes a value to the end of its line as it stands; INI readers cut it at # and ;
 * and give quotes, dots and brackets a meaning. So names and values are quoted before the reader sees them.
 */
export function parseServices(text: string, file: string): ReadonlyMap<string, ReadonlyMap<string, string>> {
  const quoted = text.split(/\r?\n/).map((line, index) => {
    const bare = line.trim();
    if (bare === '' || bare.startsWith('#')) return '';
    const section = /^\[(.*)\]$/.exec(bare);
    if (section !== null) return `[${sectionKey(section[1] ?? '')}]`;
    const setting = /^([^=]+)=(.*)$/.exec(bare);
    if (setting === null) throw new OptionProblem(CLIENT_MESSAGES.serviceSyntax, { file, line: index + 1 });
    return `${JSON.stringify((setting[1] ?? '').trim())}=${JSON.stringify(setting[2])}`;
  });
  const services = new Map<string, ReadonlyMap<string, string>>();
  for (const [key, values] of Object.entries(ini.parse(quoted.join('\n')))) {
    if (typeof values !== 'object' || values === null) continue;
    const entries = Object.entries(values).map(([name, value]) => [name, String(value)] as const);
    services.set(serviceName(key), new Map(entries));
  }
  return services;
}

/** A section name that no INI reader interprets. */
function sectionKey(service: string): string {
  return Buffer.from(service, 'utf8').toString('hex');
}

function serviceName(key: string): string {
  return Buffer.from(key, 'hex').toString('utf8');
}
