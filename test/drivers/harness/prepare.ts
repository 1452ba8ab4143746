/** What the runner does before the first test with real drivers: packages, and programs that are compiled. */
import { execFile } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { installPackages, missingPackages } from '../../runner/debian-packages.js';
import { Refusal } from '../../runner/refusal.js';
import { DRIVERS } from './drivers.js';

const run = promisify(execFile);

/** What the network of the tests needs. */
const TOOLS = ['iproute2', 'nftables', 'util-linux'];

/** Installs the packages of Debian that are missing. */
export function requirePackages(): void {
  const missing = missingPackages([...TOOLS, ...DRIVERS.flatMap(({ packages }) => packages)]);
  try {
    installPackages(missing);
  } catch {
    throw new Refusal(`the drivers are those of Debian, and ${missing.join(' ')} could not be installed`);
  }
}

/**
 * Compiles the programs of the drivers, each beside its source in a copy of the tree.
 * @param tree the copy
 * @param goCache a directory that lasts
 */
export async function buildDriverPrograms(tree: string, goCache: string): Promise<void> {
  const out = join(tree, 'build/drivers');
  mkdirSync(out, { recursive: true });
  const env = { ...process.env, OUT: out, GOCACHE: goCache };
  const builds = DRIVERS.map(async ({ name, build }) => {
    if (build === undefined) return;
    try {
      await run('sh', ['-euc', build.join('\n')], { cwd: join(tree, 'test/drivers/programs'), env });
    } catch (error) {
      const { stderr, message } = error as Error & { stderr?: string };
      throw new Refusal(`the program for ${name} cannot be built:\n${stderr ?? message}`);
    }
  });
  // All of them, even when one fails: none may still write when the run's directory is removed.
  for (const one of await Promise.allSettled(builds)) if (one.status === 'rejected') throw one.reason;
}
