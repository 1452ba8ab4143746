/** Where things lie while tests run: `make test` starts every test file in a directory laid out like the repository. */
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** The path of a file of the repository, as it was when the run began; not for writing. */
export function inTree(path: string): string {
  return join(process.cwd(), path);
}

/**
 * A fresh directory for a test, removed with everything else at the end of the run. The name is short because paths
 * of Unix sockets may have 107 bytes.
 */
export function temporaryDirectory(prefix = 't-'): string {
  return mkdtempSync(join(tmpdir(), prefix));
}
