/** Packages for Fedora, RHEL, SLES and their like, by rpmbuild. It works on Debian too, where rpm lacks most macros. */
import { chmodSync, cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Build, type Format, POSTGRESQL_MAJORS } from './format.js';
import { run } from './programs.js';
import { MAINTAINER, rpmChangelog } from './release.js';
import { filesBelow } from './split-tree.js';
import { withTraces } from './traces.js';

/** Directories that every host has, or that the package manager of the host makes for the packages that use them. */
const SHARED = new Set([
  ...['/usr', '/usr/bin', '/usr/lib', '/usr/lib64', '/usr/share', '/usr/share/doc', '/usr/share/man'],
  ...['/usr/share/man/man1', '/usr/share/man/man5', '/usr/share/man/man7', '/usr/share/man/man8'],
  ...[
    '/usr/lib/systemd',
    '/usr/lib/systemd/system',
    '/usr/lib/systemd/user',
    '/usr/lib/systemd/system-preset',
  ],
  ...['/usr/lib/systemd/catalog', '/usr/lib/sysusers.d', '/usr/lib/tmpfiles.d'],
  // Those of polkit, which has given them to a user of its own in many releases.
  ...['/usr/share/polkit-1', '/usr/share/polkit-1/rules.d'],
]);

/** Reads and writes of everything for everybody but programs, as they are installed. */
const PROGRAM = /^\/usr\/share\/conmgr\/[^/]+\.js$|\/koffi\.node$/;

/** The lines of %files: everything of a tree, with the directories that go when the package goes. */
function fileList(tree: string): string {
  const files = filesBelow(tree, '');
  const folders = new Set<string>();
  for (const file of files) {
    for (let end = file.lastIndexOf('/'); end > 0; end = file.lastIndexOf('/', end - 1)) {
      folders.add(file.slice(0, end));
    }
  }
  const owned = [...folders].filter((folder) => !SHARED.has(folder)).sort();
  return [...owned.map((folder) => `%dir "${folder}"`), ...files.map(fileLine), ''].join('\n');
}

function fileLine(path: string): string {
  if (path.startsWith('/usr/share/doc/') || path.startsWith('/usr/share/man/')) return `%doc "${path}"`;
  return PROGRAM.test(path) ? `%attr(0755,root,root) "${path}"` : `"${path}"`;
}

function build({ root, work, release, trees }: Build): string[] {
  const spec = join(work, 'conmgr.spec');
  const traces = readFileSync(join(root, 'packaging/packages/traces.sh'), 'utf8');
  const text = withTraces(readFileSync(join(root, 'packaging/rpm/conmgr.spec'), 'utf8'), traces);
  writeFileSync(spec, `${text}\n%changelog\n${rpmChangelog(release)}\n`);
  const installed = join(work, 'both');
  for (const [name, tree] of Object.entries({ conmgr: trees.conmgr, 'conmgr-watchdog': trees.watchdog })) {
    for (const page of filesBelow(tree, '').filter((path) => path.startsWith('/usr/share/man/'))) {
      run('gzip', ['-9', '-n', join(tree, page)], {});
    }
    chmodPrograms(tree);
    writeFileSync(join(work, `${name}.list`), fileList(tree));
    cpSync(tree, installed, { recursive: true, verbatimSymlinks: true });
  }
  const architecture = { x64: 'x86_64', arm64: 'aarch64' }[process.arch as string] ?? process.arch;
  const macros = {
    _topdir: join(work, 'rpmbuild'),
    _tmppath: work,
    _rpmdir: work,
    _rpmfilename: '%%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm',
    conmgr_version: release.version,
    conmgr_maintainer: MAINTAINER,
    conmgr_revision: release.revision,
    conmgr_installed: installed,
    conmgr_lists: work,
  };
  const defines = Object.entries(macros).flatMap(([name, value]) => ['--define', `${name} ${value}`]);
  mkdirSync(macros._topdir);
  const args = ['-bb', '--quiet', '--nodeps', '--target', `${architecture}-linux`, ...defines, spec];
  run('rpmbuild', args, { SOURCE_DATE_EPOCH: String(release.epoch), HOME: work }, work);
  const full = `${release.version}-${release.revision}`;
  return [`conmgr-${full}.${architecture}.rpm`, `conmgr-watchdog-${full}.noarch.rpm`].map((name) =>
    join(work, name),
  );
}

function chmodPrograms(tree: string): void {
  for (const path of filesBelow(tree, '').filter((file) => PROGRAM.test(file))) {
    chmodSync(join(tree, path), 0o755);
  }
}

/** The servers of the distributions have one place, those of yum.postgresql.org one for each major release. */
export const rpm: Format = {
  tools: ['rpmbuild'],
  debianPackages: ['rpm'],
  libraryDirectory: 'lib64',
  shareDirectories: ['/usr/share/pgsql', ...POSTGRESQL_MAJORS.map((major) => `/usr/pgsql-${major}/share`)],
  build,
};
