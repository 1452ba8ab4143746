/** Which PostgreSQL servers the tests may start. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { inTree } from './tree.js';

const run = promisify(execFile);

/** The servers of one major version. */
export interface PostgresBinaries {
  /** Directory with initdb and postgres. */
  readonly bin: string;
  /** As the server tells it, "17.10". */
  readonly version: string;
}

/**
 * Finds the server of a major version: the one in PG_BIN if that variable is set, otherwise the pinned one that the
 * test runner installed. Throws with the reason if there is none; see `whyNotRun` for tests of several versions.
 */
export async function postgresBinaries(major: number): Promise<PostgresBinaries> {
  const given = process.env['PG_BIN'];
  const bin = given ?? inTree(`build/postgres/${major}/bin`);
  if (!existsSync(join(bin, 'postgres')))
    throw new Error(`there is no PostgreSQL ${major} for ${process.arch}: ${bin}`);
  const { stdout } = await run(join(bin, 'postgres'), ['--version']);
  const version = /(\d+)(?:\.\d+|devel|beta\d+|rc\d+)/.exec(stdout);
  if (version === null) throw new Error(`${bin}/postgres calls itself ${JSON.stringify(stdout)}`);
  if (given !== undefined && Number(version[1]) !== major) {
    throw new Error(`PG_BIN is PostgreSQL ${version[0]}, so tests on ${major} are not run`);
  }
  return { bin, version: version[0] };
}

/**
 * For the `skip` option of tests that go through several major versions: false if there is a server of this one,
 * otherwise the reason, which the report shows.
 */
export async function whyNotRun(major: number): Promise<string | false> {
  return postgresBinaries(major).then(
    () => false as const,
    (error: Error) => error.message,
  );
}

/** The major version that tests use which are not about versions: PG_BIN's, or 17. */
export async function usualMajor(): Promise<number> {
  const given = process.env['PG_BIN'];
  if (given === undefined) return 17;
  const { stdout } = await run(join(given, 'postgres'), ['--version']);
  return Number(/\d+/.exec(stdout)?.[0]);
}
