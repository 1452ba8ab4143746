/**
 * Names of systemd units and what they stand for (systemd.unit(5), "String Escaping for Inclusion in Unit Names";
 * systemd-escape(1)). The units of conmgr are templates, so an instance name says which directory is meant.
 */
import { Buffer } from 'node:buffer';

/** Taken over as they are; everything else becomes `\xHH`, and a slash `-`. */
const PLAIN = /[A-Za-z0-9:_.]/;
const ESCAPED = /^(?:\\x[0-9A-Fa-f]{2}|[^\\])*$/s;
const DECODER = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** A string as part of a unit name: `my-app` is `my\x2dapp`. */
export function escapeUnitName(text: string): string {
  let escaped = '';
  for (const [at, octet] of Buffer.from(text, 'utf8').entries()) {
    const character = String.fromCharCode(octet);
    if (character === '/') escaped += '-';
    else if (PLAIN.test(character) && !(character === '.' && at === 0)) escaped += character;
    else escaped += `\\x${octet.toString(16).padStart(2, '0')}`;
  }
  return escaped;
}

/** The string behind a part of a unit name; undefined when it is none, or not text (UTF-8 without NUL). */
export function unescapeUnitName(escaped: string): string | undefined {
  if (!ESCAPED.test(escaped)) return undefined;
  const octets = Buffer.concat(
    [...escaped.matchAll(/\\x(..)|([^\\]+)/gs)].map(({ 1: octet, 2: plain = '' }) =>
      octet === undefined
        ? Buffer.from(plain.replaceAll('-', '/'), 'utf8')
        : Buffer.from([Number.parseInt(octet, 16)]),
    ),
  );
  if (octets.includes(0)) return undefined;
  try {
    return DECODER.decode(octets);
  } catch {
    return undefined;
  }
}

/** An absolute path without `.`, `..` and symbolic links as an instance name, as `systemd-escape --path` does it. */
export function escapeUnitPath(path: string): string {
  const parts = path.split('/').filter((part) => part !== '');
  return parts.length === 0 ? '-' : escapeUnitName(parts.join('/'));
}

/** The path behind an instance name (`%f` in a unit); undefined when the name stands for none. */
export function unescapeUnitPath(escaped: string): string | undefined {
  if (escaped === '-') return '/';
  const path = unescapeUnitName(escaped);
  if (path === undefined) return undefined;
  const plain = path.split('/').every((part) => part !== '' && part !== '.' && part !== '..');
  return plain ? `/${path}` : undefined;
}

/** What the instance name of a unit means. */
export type UnitMeaning =
  /** A directory of this name in the place where the program keeps its own. */
  | { readonly kind: 'name'; readonly name: string }
  | { readonly kind: 'path'; readonly path: string }
  /** A cluster as Debian's tools name it (pg_lsclusters(1)). */
  | { readonly kind: 'cluster'; readonly version: string; readonly cluster: string };

/**
 * conmgr@NAME: without a slash a name (`app1`, `my\x2dapp`), otherwise a path (`srv-app`). So a directory directly
 * below the root cannot be named. Undefined when the name means nothing.
 */
export function conmgrUnit(escaped: string): UnitMeaning | undefined {
  const path = unescapeUnitPath(escaped);
  if (path === undefined) return undefined;
  return path.lastIndexOf('/') === 0 && path !== '/'
    ? { kind: 'name', name: path.slice(1) }
    : { kind: 'path', path };
}

/** `15-main`, as PostgreSQL's own unit on Debian, postgresql@15-main, has it. */
const CLUSTER = /^\/(\d+(?:\.\d+)?)\/([^/]+)$/;

/** conmgr-watchdog@NAME: a cluster of Debian (`15-main`), otherwise a path (`var-lib-pgsql-16-data`). */
export function watchdogUnit(escaped: string): UnitMeaning | undefined {
  const path = unescapeUnitPath(escaped);
  if (path === undefined) return undefined;
  const { 1: version, 2: cluster } = CLUSTER.exec(path) ?? [];
  return version === undefined || cluster === undefined
    ? { kind: 'path', path }
    : { kind: 'cluster', version, cluster };
}

/** Directories that a service does not see as others do: it has its own (systemd.exec(5), PrivateTmp=). */
export function isPrivateToServices(path: string): boolean {
  return /^\/(?:var\/)?tmp(?:\/|$)/.test(path);
}

/** Longest name of a unit (systemd.unit(5)). */
const UNIT_NAME_LIMIT = 255;

/** Where conmgr directories with a name of their own lie, and what stands there. */
export interface NamedPlace {
  /** `/var/lib/conmgr`, or `~/.local/state/conmgr` of a user. */
  readonly place: string;
  /** Names of the links in it that lead to the directory. */
  readonly links: readonly string[];
}

/**
 * The units of conmgr that stand for a directory, the preferred one first: of its own name, of the names that are
 * linked to it, of its path. Empty for one that no unit can serve: one below /tmp, which a service does not see; one
 * directly below the root; one whose name is too long. `directory`: absolute, without symbolic links.
 */
export function conmgrUnitsOf(directory: string, { place, links }: NamedPlace): readonly string[] {
  if (isPrivateToServices(directory)) return [];
  const own = directory.startsWith(`${place}/`) ? directory.slice(place.length + 1) : '';
  const names = own === '' || own.includes('/') ? links : [own, ...links];
  const instances = names.map(escapeUnitName);
  if (directory.lastIndexOf('/') > 0) instances.push(escapeUnitPath(directory));
  return instances
    .map((instance) => `conmgr@${instance}.service`)
    .filter((unit) => unit.length <= UNIT_NAME_LIMIT);
}
