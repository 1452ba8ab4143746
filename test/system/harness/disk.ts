/** What lies on the disk of a host, to find what something leaves there. */
import type { Host } from './host.js';

/** Path to kind, mode, owner and, of files in /etc, a sum of the contents. */
export type Disk = ReadonlyMap<string, string>;

/** Of the kernel, of processes that run, and what the tests put there. */
const PRUNED = ['/proc', '/sys', '/dev', '/run', '/tmp', '/var/tmp', '/srv'];

const LIST = `
find / -xdev \\( ${PRUNED.map((path) => `-path ${path}`).join(' -o ')} \\) -prune -o -printf '%p\\t%y %m %u:%g %l\\n'
find /etc -type f -exec sha256sum {} + | sed -E 's/^([0-9a-f]+)  (.*)/\\2\\t\\1/'
find /run -path /run/user -prune -o -name '*conmgr*' -printf '%p\\t%y\\n'
`;

/** What the purge of a .deb may leave or change, although nobody's data are in it. */
export const AFTER_PURGE: readonly RegExp[] = [
  // The account stays: its number must not be given to somebody else.
  /^\/etc\/(passwd|group|shadow|gshadow)-?$/,
  // What package managers know of packages, and keep of their files.
  /^\/var\/lib\/(dpkg|apt)\//,
  /^\/var\/cache\/(apt|debconf|ldconfig|man)(\/|$)/,
  /^\/var\/log\//,
  // Made anew of what lies in /usr/lib/systemd/catalog, whenever a package is installed or removed there.
  /^\/var\/lib\/systemd\/catalog\/database$/,
  // postgresql-common does this when anything comes or goes below /usr/share/postgresql.
  /^\/var\/cache\/postgresql\/dicts(\/|$)/,
  // What a cluster that runs does to its files, and systemd to its own.
  /^\/var\/lib\/postgresql\/\d+\/main\/(?!.*watchdog)/,
  /^\/var\/lib\/systemd\/(timers|linger|random-seed|timesync)/,
];

/** Everything there is. */
export async function diskOf(host: Host): Promise<Disk> {
  const disk = new Map<string, string>();
  for (const line of (await host.output(LIST)).split('\n')) {
    const [path = '', facts = ''] = line.split('\t');
    disk.set(path, `${disk.get(path) ?? ''} ${facts}`.trim());
  }
  return disk;
}

/** The paths that came, went or changed, sorted: `+ /new`, `- /gone`, `~ /changed`. */
export function difference(before: Disk, after: Disk, exceptions: readonly RegExp[]): string[] {
  const signOf = (path: string): string => {
    if (!before.has(path)) return '+';
    return after.has(path) ? '~' : '-';
  };
  return [...new Set([...before.keys(), ...after.keys()])]
    .filter((path) => before.get(path) !== after.get(path))
    .filter((path) => !exceptions.some((exception) => exception.test(path)))
    .sort()
    .map((path) => `${signOf(path)} ${path}`);
}
