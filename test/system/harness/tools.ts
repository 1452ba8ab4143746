/** The programs that the system tests and the building of packages need. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { finished } from './roots.js';

/** Programs and the packages of Debian that bring them. */
const TOOLS: Readonly<Record<string, string>> = {
  'systemd-nspawn': 'systemd-container',
  mmdebstrap: 'mmdebstrap',
  ip: 'iproute2',
  nft: 'nftables',
  dh: 'debhelper',
  lintian: 'lintian',
  rpmbuild: 'rpm',
  rpmlint: 'rpmlint',
  fakeroot: 'fakeroot',
  'dpkg-buildpackage': 'dpkg-dev',
};

/** Installs what is missing. */
export async function requireTools(): Promise<void> {
  const path = (process.env['PATH'] ?? '').split(':').concat('/usr/sbin', '/sbin');
  const missing = Object.entries(TOOLS)
    .filter(([program]) => !path.some((folder) => existsSync(join(folder, program))))
    .map(([, name]) => name);
  if (missing.length === 0) return;
  console.log(`installing ${missing.join(' ')}`);
  await finished('apt-get', ['update'], 'the list of packages');
  const install = ['install', '--yes', '--no-install-recommends', ...missing];
  await finished('env', ['DEBIAN_FRONTEND=noninteractive', 'apt-get', ...install], missing.join(' '));
}
