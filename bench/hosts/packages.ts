/** The peers of the benchmarks with hosts, as Debian has them. */
import { installPackages, missingPackages } from '../../test/runner/debian-packages.js';

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
  const missing = missingPackages(PACKAGES);
  try {
    installPackages(missing);
  } catch {
    console.log(`${missing.join(', ')} could not be installed`);
  }
}
