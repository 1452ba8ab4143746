/**
 * Where everything goes that is installed, below `destination` + `prefix`. Packages are made of the same tree.
 *
 * bin/ links to the programs in share/conmgr/, because a bundle is text and the same on every architecture; the one
 * binary lies in lib/TRIPLET/conmgr/, where the programs look for it from their own place.
 */
import {
  chmodSync,
  copyFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import { MODES } from '../src/ctl/modes.js';
import { renderCatalog } from './render-catalog.js';
import { renderCompletion } from './render-completion.js';
import { renderUnit } from './render-unit.mjs';

const PROGRAMS = ['conmgr', 'conmgr-watchdog', 'cm_ctl', 'conmgr-helper'] as const;
const TEMPLATES = ['conmgr@.service', 'conmgr-watchdog@.service'] as const;
/** Services of the host itself, which a user's manager has no right to. */
const SERVICES = ['conmgr-helper.service', 'conmgr-redirect.service'] as const;
const DOCUMENTS = ['README.md', 'CHANGELOG.md', 'LICENSE'] as const;

/** Directory names of Debian's multiarch; other distributions have one directory for the architecture of the host. */
const TRIPLETS: Readonly<Record<string, string>> = { x64: 'x86_64-linux-gnu', arm64: 'aarch64-linux-gnu' };

/** One installation. */
export interface Installation {
  /** Root of the repository, with dist/bin, dist/client and, where they were made, dist/man and dist/bpf. */
  readonly from: string;
  /** DESTDIR: what stands for the root of the file system; '' for the root itself. */
  readonly destination: string;
  /** PREFIX: `/usr`, `/usr/local`. */
  readonly prefix: string;
  /** LIBDIR: directory of the host's architecture below the prefix; Debian's name of it unless given. */
  readonly libraryDirectory?: string | undefined;
  /** PG_SHAREDIRS: what `pg_config --sharedir` prints, of each PostgreSQL that gets the SQL extension. */
  readonly shareDirectories: readonly string[];
}

/** Puts everything in place; what an earlier version left in the directories of its own is removed. */
export function installTree(installation: Installation): void {
  const { from, destination, prefix, shareDirectories, libraryDirectory } = installation;
  const at = (path: string): string => join(destination, prefix, path);
  const source = (path: string): string => join(from, path);

  const share = at('share/conmgr');
  clear(share);
  for (const name of PROGRAMS) {
    copy(source(`dist/bin/${name}.js`), join(share, `${name}.js`), 0o755);
    link(join(share, `${name}.js`), at(`bin/${name}`));
  }
  for (const name of ['package.json', 'LICENSES.txt']) copy(source(`dist/bin/${name}`), join(share, name));
  const library = at(join(libraryDirectory ?? `lib/${TRIPLETS[process.arch] ?? ''}`, 'conmgr'));
  clear(library);
  copy(source('dist/bin/koffi.node'), join(library, 'koffi.node'));
  const programs = source('dist/bpf/redirect.bpf.o');
  if (existsSync(programs)) copy(programs, join(library, 'redirect.bpf.o'));

  copyTree(source('extension'), join(share, 'extension'));
  for (const directory of shareDirectories) {
    copyTree(source('extension'), join(destination, directory, 'extension'));
  }

  for (const name of TEMPLATES) {
    const text = readFileSync(source(`units/${name}`), 'utf8');
    for (const manager of ['system', 'user'] as const) {
      write(at(`lib/systemd/${manager}/${name}`), renderUnit(text, { prefix, manager }));
    }
  }
  for (const name of SERVICES) {
    const text = readFileSync(source(`units/${name}`), 'utf8');
    write(at(`lib/systemd/system/${name}`), renderUnit(text, { prefix, manager: 'system' }));
  }
  copy(source('units/conmgr.target'), at('lib/systemd/system/conmgr.target'));
  copy(source('units/90-conmgr.preset'), at('lib/systemd/system-preset/90-conmgr.preset'));
  copy(source('units/conmgr.sysusers'), at('lib/sysusers.d/conmgr.conf'));
  copy(source('units/conmgr.tmpfiles'), at('lib/tmpfiles.d/conmgr.conf'));
  copy(source('units/60-conmgr.rules'), at('share/polkit-1/rules.d/60-conmgr.rules'));
  write(at('lib/systemd/catalog/conmgr.catalog'), renderCatalog());
  write(at('share/bash-completion/completions/cm_ctl'), renderCompletion(MODES));

  installClient(source, at('share/nodejs/conmgr'));

  const documents = at('share/doc/conmgr');
  clear(documents);
  for (const name of DOCUMENTS) copy(source(name), join(documents, name));
  copyTree(source('docs'), join(documents, 'docs'));
  if (existsSync(source('dist/man'))) installManual(source('dist/man'), at('share/man'));
}

/** The client library, with a manifest that names what is there and nothing else. */
function installClient(source: (path: string) => string, folder: string): void {
  clear(folder);
  copyTree(source('dist/client'), join(folder, 'dist/client'));
  const manifest = JSON.parse(readFileSync(source('package.json'), 'utf8')) as Record<string, unknown>;
  const kept = [
    'name',
    'version',
    'description',
    'license',
    'type',
    'engines',
    'exports',
    'peerDependencies',
  ];
  const entries = [...kept, 'peerDependenciesMeta'].map((key) => [key, manifest[key]]);
  write(join(folder, 'package.json'), `${JSON.stringify(Object.fromEntries(entries), null, 2)}\n`);
}

/** `conmgr.8` goes into man8. */
function installManual(pages: string, folder: string): void {
  for (const page of readdirSync(pages)) {
    const section = /\.(\d)$/.exec(page)?.[1];
    if (section !== undefined) copy(join(pages, page), join(folder, `man${section}`, page));
  }
}

function copyTree(from: string, to: string): void {
  for (const entry of readdirSync(from, { withFileTypes: true })) {
    if (entry.isDirectory()) copyTree(join(from, entry.name), join(to, entry.name));
    else copy(join(from, entry.name), join(to, entry.name));
  }
}

function copy(from: string, to: string, mode = 0o644): void {
  open(dirname(to));
  // Not written over: a program that runs keeps what it has loaded.
  rmSync(to, { force: true });
  copyFileSync(from, to);
  chmodSync(to, mode);
}

function write(to: string, text: string): void {
  open(dirname(to));
  rmSync(to, { force: true });
  writeFileSync(to, text);
  chmodSync(to, 0o644);
}

/** A relative link, so that the tree can be moved. */
function link(to: string, from: string): void {
  open(dirname(from));
  if (lstatSync(from, { throwIfNoEntry: false }) !== undefined) rmSync(from);
  symlinkSync(join(relative(dirname(from), dirname(to)), basename(to)), from);
}

/** Makes a directory that everybody may read, whatever the umask; those that are there stay as they are. */
function open(folder: string): void {
  if (existsSync(folder)) return;
  open(dirname(folder));
  mkdirSync(folder);
  chmodSync(folder, 0o755);
}

function clear(folder: string): void {
  rmSync(folder, { recursive: true, force: true });
}
