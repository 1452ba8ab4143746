/** The peers of the benchmarks with hosts, as Debian has them. */
import { execFileSync, spawnSync } from 'node:child_process';

const PACKAGES = [
  'iproute2',
  'nftables',
  'haproxy',
  'pgpool2',
  'python3-psycopg2',
  'libpostgresql-jdbc-java',
  'default-jdk-headless',
];

/** Installs those that are missing. Where that cannot be done the benchmarks name what they leave out. */
export function installPeers(): void {
  const isMissing = (name: string): boolean =>
    !/^Status: \S+ ok installed$/m.test(
      spawnSync('dpkg-query', ['--status', name], { encoding: 'utf8' }).stdout ?? '',
    );
  const missing = PACKAGES.filter(isMissing);
  if (missing.length === 0) return;
  console.log(`installing ${missing.join(' ')}`);
  const options = {
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    stdio: ['ignore', 'ignore', 'inherit'],
  } as const;
  try {
    execFileSync('apt-get', ['update'], { ...options, stdio: [...options.stdio] });
    execFileSync('apt-get', ['install', '--yes', '--no-install-recommends', ...missing], {
      ...options,
      stdio: [...options.stdio],
    });
  } catch {
    console.log(`${missing.join(', ')} could not be installed`);
  }
}
