/** Packages of Debian that tests and benchmarks need beside conmgr's own. */
import { execFileSync, spawnSync } from 'node:child_process';

/** Those that are not installed. */
export function missingPackages(names: readonly string[]): string[] {
  return [...new Set(names)].filter((name) => {
    const { stdout } = spawnSync('dpkg-query', ['--status', name], { encoding: 'utf8' });
    return !/^Status: \S+ ok installed$/m.test(stdout ?? '');
  });
}

/** Says what it installs, and installs it; nothing for none. Throws when it cannot be done: no root, no network. */
export function installPackages(names: readonly string[]): void {
  if (names.length === 0) return;
  console.log(`installing ${names.join(' ')}`);
  const apt = (...args: string[]): void => {
    execFileSync('apt-get', args, {
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
      stdio: ['ignore', 'ignore', 'inherit'],
    });
  };
  apt('update');
  apt('install', '--yes', '--no-install-recommends', ...names);
}
