/** Bundles a program of the tests the way the real ones are bundled, so that it can run as a process of its own. */
import assert from 'node:assert/strict';
import { symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { type BuildOptions, build } from 'esbuild';
import { inTree, temporaryDirectory } from './tree.js';

/** koffi's native part, which must lie beside a bundle. */
export function koffiBinary(): string {
  const { arch } = process;
  return inTree(`node_modules/@koromix/koffi-linux-${arch}/linux_${arch}/koffi.node`);
}

/** Bundles one file of the tree, or a text, into a fresh directory without koffi.node; yields the bundle's path. */
export async function bundleWithoutNative(
  entry: Pick<BuildOptions, 'entryPoints' | 'stdin'>,
): Promise<string> {
  const outfile = join(temporaryDirectory(), 'program.cjs');
  const { warnings } = await build({
    ...entry,
    bundle: true,
    platform: 'node',
    format: 'cjs',
    target: 'node18',
    define: { CONMGR_BUNDLED: 'true', 'import.meta.url': 'bundleUrl' },
    banner: { js: "const bundleUrl = require('node:url').pathToFileURL(__filename).href;" },
    outfile,
    logLevel: 'silent',
  });
  assert.deepEqual(warnings, []);
  return outfile;
}

/** Bundles one file of the tree with koffi.node beside it; yields the bundle's path. */
export async function bundleProgram(path: string): Promise<string> {
  const bundle = await bundleWithoutNative({ entryPoints: [inTree(path)] });
  symlinkSync(koffiBinary(), join(bundle, '..', 'koffi.node'));
  return bundle;
}
