/** Data directories for test servers: initdb runs once per major version and run, every server starts from a copy. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { asServer, giveToServers } from './postgres-account.js';
import { postgresBinaries } from './postgres-binaries.js';
import { temporaryDirectory } from './tree.js';

const run = promisify(execFile);

/**
 * Copies a fresh data directory to `dataDir`. All copies of a run are the same cluster (one system identifier), so any
 * of them can become a standby of any other without a base backup: it streams all that happened since initdb.
 */
export async function copyTemplate(major: number, dataDir: string): Promise<void> {
  await run('cp', ['-a', '--reflink=auto', await template(major), dataDir]);
}

async function template(major: number): Promise<string> {
  // In the TMPDIR of the run, hence shared by its test files and gone with it.
  if (process.env['CONMGR_TEST_RUN'] === undefined)
    throw new Error('servers are started only below `make test`');
  const path = join(tmpdir(), `postgres-${major}`);
  if (existsSync(path)) return path;
  const stage = temporaryDirectory('initdb-');
  giveToServers(stage);
  await makeCluster(major, join(stage, 'data'));
  // Another test file may have been faster; then this copy would be another cluster and is thrown away.
  await rename(join(stage, 'data'), path).catch((error: unknown) => {
    if (!existsSync(path)) throw error;
  });
  await rm(stage, { recursive: true, force: true });
  return path;
}

/** Runs initdb: the result is a cluster that has no relation to any other. The directory above must be the servers'. */
export async function makeCluster(major: number, dataDir: string): Promise<void> {
  const { bin } = await postgresBinaries(major);
  const fast = ['--no-sync', '--no-locale', '--encoding=UTF8', '--auth=trust', '--username=postgres'];
  const [program, ...args] = [...asServer(), join(bin, 'initdb'), ...fast, '-D', dataDir];
  await run(program!, args, { env: { ...process.env, LC_ALL: 'C' } });
}
