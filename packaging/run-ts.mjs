// @ts-check
/**
 * Runs a TypeScript file of this tree as a script: `node packaging/run-ts.mjs FILE.ts [ARGUMENT...]`.
 * The script sees itself as `process.argv[1]` and its arguments after it, as if Node.js had run it.
 */
import { rmSync } from 'node:fs';
import { mkdir, mkdtemp } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { bundleForTree, root } from './bundles.mjs';

const [file, ...args] = process.argv.slice(2);
if (file === undefined) {
  console.error('usage: node packaging/run-ts.mjs FILE.ts [ARGUMENT...]');
  process.exit(2);
}
await mkdir(join(root, 'build'), { recursive: true });
// Below the root, so that the packages the script imports are found.
const outDir = await mkdtemp(join(root, 'build', 'script-'));
process.on('exit', () => rmSync(outDir, { recursive: true, force: true }));
process.setSourceMapsEnabled(true);
await bundleForTree([file], outDir);
process.argv = [process.argv[0] ?? process.execPath, resolve(root, file), ...args];
await import(pathToFileURL(join(outDir, file.replace(/\.ts$/, '.mjs'))).href);
