/** What `make install` places, for tests. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { installTree } from '../../packaging/install-tree.js';
import { inTree } from './tree.js';

/** Installs the programs of the run under a prefix; once, however many tests of a file ask for it. */
export function installForTest(prefix: string): void {
  if (existsSync(join(prefix, 'bin'))) return;
  installTree({ from: inTree('.'), destination: '', prefix, shareDirectories: [] });
}
