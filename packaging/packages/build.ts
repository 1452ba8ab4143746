/**
 * `make deb`, `make rpm`: packages in dist/packages, made of what `make install DESTDIR=` puts into a temporary
 * directory. Nothing depends on who builds, where and when (docs/decisions/0022-packages.md).
 *
 *     node packaging/run-ts.mjs packaging/packages/build.ts deb|rpm
 *
 * Environment: REVISION (of the package, default 1), PACKAGES (where they go, default dist/packages, which then has no
 * others of the kind), SOURCE_DATE_EPOCH.
 */
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join, relative, resolve } from 'node:path';
import { root } from '../bundles.mjs';
import { deb } from './deb.js';
import type { Format, Trees } from './format.js';
import { missingTool, run } from './programs.js';
import { releaseOf } from './release.js';
import { rpm } from './rpm.js';
import { splitTree } from './split-tree.js';

const FORMATS: Readonly<Record<string, Format>> = { deb, rpm };
const OUTPUT = join(root, 'dist/packages');
const LIST = 'packaging/packages/conmgr-watchdog.files';

/** A package runs on the Node.js it depends on, whatever stands before it in somebody's PATH. */
function useNodeOfDistribution(folder: string): void {
  for (const name of readdirSync(folder).filter((entry) => entry.endsWith('.js'))) {
    const path = join(folder, name);
    writeFileSync(path, readFileSync(path, 'utf8').replace(/^#!.*/, '#!/usr/bin/node'));
  }
}

/** Installs into a directory and cuts it in two. */
function installedTrees(format: Format, work: string): Trees {
  const tree = join(work, 'installed');
  const variables = {
    DESTDIR: tree,
    PREFIX: '/usr',
    LIBDIR: format.libraryDirectory,
    PG_SHAREDIRS: format.shareDirectories.join(' '),
  };
  const words = Object.entries(variables).map(([name, value]) => `${name}=${value}`);
  run('make', ['--no-print-directory', '-C', root, 'install', ...words], {});
  const trees = { conmgr: join(work, 'tree/conmgr'), watchdog: join(work, 'tree/conmgr-watchdog') };
  useNodeOfDistribution(join(tree, 'usr/share/conmgr'));
  splitTree(tree, readFileSync(join(root, LIST), 'utf8'), trees.conmgr, trees.watchdog);
  return trees;
}

/** What an earlier build has left there, of another version or revision. */
function removeOthers(kind: string, made: readonly string[]): void {
  for (const name of readdirSync(OUTPUT)) {
    if (name.endsWith(`.${kind}`) && !made.includes(name)) rmSync(join(OUTPUT, name));
  }
}

function build(name: string): void {
  const format = FORMATS[name];
  if (format === undefined) throw new Error(`no packages of the kind "${name}"`);
  const missing = missingTool(format.tools);
  if (missing !== undefined) {
    throw new Error(`there is no ${missing} (Debian: apt-get install ${format.debianPackages.join(' ')})`);
  }
  process.umask(0o022);
  const release = releaseOf(root, process.env);
  // Blanks in the names of its directories are too much for rpmbuild.
  const work = mkdtempSync(join(/\s/.test(tmpdir()) ? '/tmp' : tmpdir(), 'conmgr-packages-'));
  try {
    const made = format.build({ root, work, release, trees: installedTrees(format, work) });
    const goal = resolve(process.env['PACKAGES'] || OUTPUT);
    mkdirSync(goal, { recursive: true });
    for (const path of made) {
      const place = join(goal, basename(path));
      // Moved into place, so that who reads meanwhile sees whole packages only.
      copyFileSync(path, `${place}.${process.pid}`);
      renameSync(`${place}.${process.pid}`, place);
      console.log(relative(root, place).startsWith('..') ? place : relative(root, place));
    }
    if (goal === OUTPUT)
      removeOthers(
        name,
        made.map((path) => basename(path)),
      );
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

const kind = process.argv[2] ?? '';
try {
  build(kind);
} catch (error) {
  console.error(`make ${kind}: ${error instanceof Error ? error.message : error}`);
  process.exitCode = 1;
}
