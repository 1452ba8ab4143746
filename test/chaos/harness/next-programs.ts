/** The programs of a next version, for upgrades of one end of a link while the other one stays. */
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeNextTree } from '../../system/harness/next-version.js';

/** Names the directory of them; set by the runner where a row wants them. */
export const NEXT_PROGRAMS_VARIABLE = 'CHAOS_NEXT_PROGRAMS';

/** Builds them from `root` in a new directory, which is the caller's to remove. Throws when that fails. */
export function buildNextPrograms(root: string): string {
  const tree = mkdtempSync(join(tmpdir(), 'conmgr-next-'));
  makeNextTree(root, tree);
  execFileSync(process.execPath, ['packaging/bundle.mjs', 'programs'], { cwd: tree });
  // Servers and conmgr are of another account.
  chmodSync(tree, 0o755);
  return tree;
}

/** Their paths, for a row that the table says to want them. */
export function nextPrograms(): { readonly conmgr: string; readonly watchdog: string } {
  const tree = process.env[NEXT_PROGRAMS_VARIABLE];
  if (tree === undefined) throw new Error('the programs of a next version have not been built');
  return { conmgr: join(tree, 'dist/bin/conmgr.js'), watchdog: join(tree, 'dist/bin/conmgr-watchdog.js') };
}
