/** Packages for Debian and what is made of it, by debhelper. */
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Build, type Format, POSTGRESQL_MAJORS } from './format.js';
import { run } from './programs.js';
import { debianChangelog, MAINTAINER } from './release.js';
import { withTraces } from './traces.js';

/** Those that run at removal, where the traces of instances go. */
const REMOVERS = ['conmgr.postrm', 'conmgr-watchdog.postrm'] as const;

function build({ root, work, release, trees }: Build): string[] {
  const source = join(work, `conmgr-${release.version}`);
  const debian = join(source, 'debian');
  mkdirSync(source);
  cpSync(join(root, 'packaging/debian'), debian, { recursive: true });
  writeFileSync(join(debian, 'changelog'), debianChangelog(release));
  fill(join(debian, 'control'), (text) => text.replace('@MAINTAINER@', MAINTAINER));
  const traces = readFileSync(join(root, 'packaging/packages/traces.sh'), 'utf8');
  for (const name of REMOVERS) fill(join(debian, name), (text) => withTraces(text, traces));
  for (const [name, tree] of Object.entries({ conmgr: trees.conmgr, 'conmgr-watchdog': trees.watchdog })) {
    if (!existsSync(tree)) throw new Error(`nothing is installed for ${name}`);
    renameSync(tree, join(source, name));
  }
  // Nothing is compiled, so the compilers that every build of Debian asks for may be missing.
  const args = ['--build=binary', '--no-sign', '--no-check-builddeps'];
  run('dpkg-buildpackage', args, { SOURCE_DATE_EPOCH: String(release.epoch) }, source);
  return readdirSync(work)
    .filter((name) => name.endsWith('.deb'))
    .sort()
    .map((name) => join(work, name));
}

function fill(path: string, change: (text: string) => string): void {
  writeFileSync(path, change(readFileSync(path, 'utf8')));
}

/** Debian's packages of PostgreSQL and those of apt.postgresql.org have the same places. */
export const deb: Format = {
  tools: ['dpkg-buildpackage', 'dh'],
  debianPackages: ['debhelper', 'dpkg-dev'],
  libraryDirectory: '',
  shareDirectories: POSTGRESQL_MAJORS.map((major) => `/usr/share/postgresql/${major}`),
  build,
};
