/**
 * `make check-packages`: builds the packages twice, in different places, as different users (where root runs this), under
 * different masks and locales, once with and once without the history of the tree, and compares them byte by byte.
 * lintian and rpmlint must have nothing to say, either. Prints what is wrong; no output: all is well.
 *
 * Environment: PACKAGES (directory with packages of this tree, which take the place of the first build).
 */
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { root } from '../bundles.mjs';
import { treeFiles } from '../sources.mjs';
import { missingTool } from './programs.js';
import { releaseOf } from './release.js';

const TOOLS = ['dh', 'dpkg-buildpackage', 'rpmbuild', 'lintian', 'rpmlint'] as const;
const DEBIAN_PACKAGES = 'debhelper dpkg-dev rpm lintian rpmlint';
const LINTIAN = ['--allow-root', '--pedantic', '--display-info', '--fail-on', 'error,warning,info,pedantic'];

/** An account that has no part in anything; it needs no name. */
const STRANGER = 65_534;

/** Makes a copy of the tree as an archive has it, with what is installed to build it. */
function copyTree(goal: string): void {
  for (const path of treeFiles()) {
    mkdirSync(dirname(join(goal, path)), { recursive: true });
    cpSync(join(root, path), join(goal, path), { preserveTimestamps: true });
  }
  // cp is many times faster than cpSync here.
  expectSuccess('cp', ['-a', join(root, 'node_modules'), goal], root);
}

/** Runs a program with its output kept; the output where it fails, else an empty text. */
function complaints(program: string, args: readonly string[], cwd: string, options: object = {}): string {
  const { status, error, stdout, stderr } = spawnSync(program, args, { cwd, encoding: 'utf8', ...options });
  if (error !== undefined) throw error;
  return status === 0 ? '' : `${program} ended with status ${status}:\n${stdout}${stderr}`;
}

function expectSuccess(program: string, args: readonly string[], cwd: string, options: object = {}): void {
  const problem = complaints(program, args, cwd, options);
  if (problem !== '') throw new Error(problem.trimEnd());
}

/** `make deb rpm` in a copy of the tree; the directory of the packages. */
function made(tree: string, mask: string, environment: NodeJS.ProcessEnv, account: object = {}): string {
  const temporary = mkdtempSync(join(tmpdir(), 'conmgr-check-'));
  chmodSync(temporary, 0o1777);
  try {
    return madeWith(temporary, tree, mask, environment, account);
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
}

function madeWith(
  temporary: string,
  tree: string,
  mask: string,
  environment: NodeJS.ProcessEnv,
  account: object,
): string {
  const { PATH, HOME } = process.env;
  const env = { PATH, HOME, TMPDIR: temporary, ...environment };
  expectSuccess('sh', ['-c', `umask ${mask}; exec make deb rpm`], tree, { env, ...account });
  const left = readdirSync(temporary);
  if (left.length > 0) throw new Error(`a build leaves ${left.join(', ')} in TMPDIR`);
  return join(tree, 'dist/packages');
}

/** The copy with the history: built by the caller. */
function builtHere(work: string): string {
  const tree = join(work, 'here');
  copyTree(tree);
  if (existsSync(join(root, '.git'))) cpSync(join(root, '.git'), join(tree, '.git'), { recursive: true });
  return made(tree, '022', { LANG: 'C.UTF-8', TZ: 'UTC' });
}

/** The copy without: built by a stranger. */
function builtElsewhere(work: string): string {
  const tree = join(work, 'some where/else');
  copyTree(tree);
  const environment = {
    SOURCE_DATE_EPOCH: String(releaseOf(root, process.env).epoch),
    HOME: '/nonexistent',
    LANG: 'tr_TR.UTF-8',
    TZ: 'Pacific/Kiritimati',
  };
  if (process.getuid?.() !== 0) return made(tree, '077', environment);
  expectSuccess('chown', ['-R', `${STRANGER}:${STRANGER}`, tree], work);
  chownSync(dirname(tree), STRANGER, STRANGER);
  return made(tree, '077', environment, { uid: STRANGER, gid: STRANGER });
}

/** rpmlint has no status for warnings. */
function rpmComplaints(packages: readonly string[], folder: string): string {
  const filters = join(root, 'packaging/rpm/rpmlint.toml');
  const { error, stdout, stderr } = spawnSync('rpmlint', ['-c', filters, ...packages], {
    cwd: folder,
    encoding: 'utf8',
  });
  if (error !== undefined) throw error;
  return / 0 errors, 0 warnings,/.test(stdout) ? '' : `rpmlint:\n${stdout}${stderr}`;
}

/** What distinguishes two directories of packages, and what the linters say of the first. */
function problems(here: string, elsewhere: string): string[] {
  const names = readdirSync(here).sort();
  const others = readdirSync(elsewhere).sort();
  if (names.join() !== others.join()) return [`two builds make ${names.join(' ')} and ${others.join(' ')}`];
  const different = names.filter(
    (name) => !readFileSync(join(here, name)).equals(readFileSync(join(elsewhere, name))),
  );
  const of = (kind: string): string[] => names.filter((name) => name.endsWith(kind));
  return [
    ...different.map((name) => `two builds of ${name} differ`),
    complaints('lintian', [...LINTIAN, ...of('.deb')], here),
    rpmComplaints(of('.rpm'), here),
  ].filter((problem) => problem !== '');
}

function check(): string[] {
  const missing = missingTool(TOOLS);
  if (missing !== undefined) return [`there is no ${missing} (Debian: apt-get install ${DEBIAN_PACKAGES})`];
  const given = process.env['PACKAGES'];
  const work = mkdtempSync(join(tmpdir(), 'conmgr-check-'));
  chmodSync(work, 0o755);
  try {
    return problems(given ? resolve(given) : builtHere(work), builtElsewhere(work));
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

try {
  const found = check();
  for (const problem of found) console.log(problem.trimEnd());
  process.exitCode = found.length === 0 ? 0 : 1;
} catch (error) {
  console.log(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
