/**
 * Root file systems of the releases of Debian, made once and kept in a cache: CONMGR_TEST_CACHE, default
 * /var/cache/conmgr-test. They hold what Debian has; nothing of conmgr.
 */
import { execFile, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Refusal } from '../../runner/refusal.js';
import type { SuiteName } from './images.js';

/** The major version of PostgreSQL of each release. */
export const POSTGRES: Readonly<Record<SuiteName, number>> = { bookworm: 15, trixie: 17 };

const PACKAGES = [
  ...['systemd', 'systemd-sysv', 'dbus', 'dbus-user-session', 'libpam-systemd', 'polkitd', 'rsyslog'],
  ...['nodejs', 'postgresql', 'iproute2', 'procps', 'rpm', 'bash-completion'],
];

/** Run by mmdebstrap in the finished tree: an identity of its own for every boot, and no cluster that starts unasked. */
const HOOKS = [
  'rm -f "$1/etc/hostname" "$1/etc/machine-id"; touch "$1/etc/machine-id"',
  'sed -i s/^auto/manual/ "$1"/etc/postgresql/*/main/start.conf',
];

const ARGUMENTS = [
  ...['--quiet', '--variant=minbase', `--include=${PACKAGES.join(',')}`],
  ...HOOKS.map((hook) => `--customize-hook=${hook}`),
];

/**
 * Under the lock of the release: takes away what an interrupted run left, and roots of other recipes unless they are
 * so young that another clone may use them; makes the tree beside its place and moves it there as a whole.
 */
const MAKE = `
cache=$1 suite=$2 goal=$3 mirror=$4; shift 4
[ ! -d "$cache/$goal" ] || exit 0
rm -rf --one-file-system "$cache/.$suite-"*
find "$cache" -maxdepth 1 -name "$suite-*" -mtime +0 -exec rm -rf --one-file-system {} +
mmdebstrap "$@" "$suite" "$cache/.$goal" "$mirror" && mv "$cache/.$goal" "$cache/$goal"
`;

/** Makes the root of a release unless it is there, and returns its path. */
export async function rootOf(suite: SuiteName): Promise<string> {
  const cache = process.env['CONMGR_TEST_CACHE'] || '/var/cache/conmgr-test';
  const recipe = JSON.stringify([process.arch, ARGUMENTS, MAKE]);
  const goal = `${suite}-${createHash('sha256').update(recipe).digest('hex').slice(0, 12)}`;
  if (existsSync(join(cache, goal))) return join(cache, goal);
  requireKeys(suite);
  mkdirSync(cache, { recursive: true });
  console.log(`making the root file system of ${suite} in ${cache}; this takes a minute, once`);
  const script = ['/bin/sh', '-c', MAKE, 'make', cache, suite, goal, await mirror(), ...ARGUMENTS];
  await finished('flock', [join(cache, `.lock-${suite}`), ...script], `the root of ${suite}`);
  return join(cache, goal);
}

/** The archive that apt takes Debian from. What an archive is, apt knows only after it has looked. */
async function mirror(): Promise<string> {
  const known = await knownMirror();
  if (known !== undefined) return known;
  await finished('apt-get', ['update'], 'the list of packages');
  const found = await knownMirror();
  if (found !== undefined) return found;
  throw new Refusal('apt knows no archive of Debian to make the roots from; see sources.list(5)');
}

async function knownMirror(): Promise<string | undefined> {
  const format = ['indextargets', '--format', '$(REPO_URI) $(ORIGIN) $(RELEASE)', 'Created-By: Packages'];
  const { stdout } = await promisify(execFile)('apt-get', format);
  return stdout
    .split('\n')
    .map((line) => line.split(' '))
    .find(
      ([, origin, release]) => origin === 'Debian' && !/security|updates|backports/.test(release ?? ''),
    )?.[0];
}

/** A release is signed with keys that an older Debian knows only after an update of the keyring. */
function requireKeys(suite: SuiteName): void {
  const path = `/usr/share/keyrings/debian-archive-${suite}-stable.gpg`;
  if (!existsSync(path)) {
    throw new Refusal(`the keys of ${suite} are not there (${path}): apt-get install debian-archive-keyring`);
  }
}

/** Runs a command; what it prints is shown if it fails. */
export function finished(program: string, args: readonly string[], what: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], cwd: '/' });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += chunk));
    child.once('error', reject);
    child.once('close', (code) => {
      if (code === 0) resolve();
      else reject(new Refusal(`${what} was not made (status ${code}):\n${output.trimEnd()}`));
    });
  });
}
