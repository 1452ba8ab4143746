// @ts-check
/**
 * Every bundle that is made of this tree: the programs (`dist/bin`), the client library (`dist/client`), and
 * what runs in the tree itself.
 *
 * The programs are self-contained CommonJS files for Node.js 18 and later, not minified, so that a stack trace in
 * a bug report can be read; the one thing that cannot live in a bundle, koffi's native part, lies beside them.
 * Everything is built in a directory of its own and moved into place file by file, so two builds at a time, or a
 * program that starts meanwhile, see whole files only.
 */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, copyFile, mkdir, readdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { build } from 'esbuild';

const run = promisify(execFile);

/** The root of the repository, also when this file is itself part of a bundle below `build`. */
export const root = nearestManifest(dirname(fileURLToPath(import.meta.url)));

/**
 * @param {string} folder
 * @returns {string}
 */
function nearestManifest(folder) {
  return existsSync(join(folder, 'package.json')) ? folder : nearestManifest(dirname(folder));
}

const target = 'node18';

/** Entry point of each program; the file name under dist/bin is the program's name and `.js`. */
const programs = {
  conmgr: 'services/conmgr.ts',
  'conmgr-watchdog': 'services/watchdog.ts',
  cm_ctl: 'services/cm_ctl.ts',
  'conmgr-helper': 'services/conmgr-helper.ts',
};

/** The version every bundle carries, from package.json. */
async function version() {
  return JSON.parse(await readFile(join(root, 'package.json'), 'utf8')).version;
}

/**
 * What the sources may ask about the way they run: `CONMGR_BUNDLED` (koffi.node lies beside the file) and
 * `CONMGR_VERSION`.
 * @param {boolean} bundled
 */
async function defines(bundled) {
  return { CONMGR_BUNDLED: String(bundled), CONMGR_VERSION: JSON.stringify(await version()) };
}

/**
 * @param {string} outDir where the programs go
 */
export async function buildPrograms(outDir = join(root, 'dist/bin')) {
  await staged(outDir, async (stage) => {
    const { metafile } = await build({
      absWorkingDir: root,
      entryPoints: Object.entries(programs).map(([out, entry]) => ({ out, in: entry })),
      outdir: stage,
      bundle: true,
      platform: 'node',
      format: 'cjs',
      target,
      // pg asks for these two only when they are configured or the host is a Cloudflare worker.
      external: ['koffi', './koffi.node', 'pg-native', 'pg-cloudflare'],
      define: { ...(await defines(true)), 'import.meta.url': 'bundleUrl' },
      banner: {
        js: "#!/usr/bin/env node\nconst bundleUrl = require('node:url').pathToFileURL(__filename).href;",
      },
      metafile: true,
      logLevel: 'warning',
    });
    for (const name of Object.keys(programs)) {
      await chmod(join(stage, `${name}.js`), 0o755);
      await symlink(`${name}.js`, join(stage, name));
    }
    await writeFile(join(stage, 'package.json'), '{ "type": "commonjs" }\n');
    await writeFile(
      join(stage, 'LICENSES.txt'),
      await licences(Object.keys(metafile.inputs), ['node_modules/koffi']),
    );
    await copyFile(koffiNative(), join(stage, 'koffi.node'));
    await chmod(join(stage, 'koffi.node'), 0o755);
  });
}

/** koffi's prebuilt native part for this architecture and glibc. */
function koffiNative() {
  const platform = `linux-${process.arch}`;
  return join(root, 'node_modules/@koromix', `koffi-${platform}`, platform.replace('-', '_'), 'koffi.node');
}

/**
 * The licence texts of the packages that ended up in the bundles: theirs ask to be kept with every copy.
 * @param {string[]} inputs paths relative to the root
 * @param {string[]} beside folders of packages that lie beside the bundles
 */
async function licences(inputs, beside = []) {
  const packages = new Set([
    ...inputs.flatMap((input) => /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(input)?.[1] ?? []),
    ...beside,
  ]);
  const texts = [];
  for (const folder of [...packages].sort()) {
    const { name, version, license } = JSON.parse(await readFile(join(root, folder, 'package.json'), 'utf8'));
    const file = (await readdir(join(root, folder))).find((entry) => /^licen[cs]e/i.test(entry));
    const text = file === undefined ? '' : await readFile(join(root, folder, file), 'utf8');
    texts.push(`${name} ${version} (${license})\n\n${text.trim()}\n`.trim());
  }
  return `${texts.join('\n\n----\n\n')}\n`;
}

/**
 * The client library for both module systems. The code stands once, in the CommonJS file; the ESM file hands out the
 * same classes, so that `instanceof` holds in an application that loads the library both ways.
 * @param {string} outDir where the library goes
 */
export async function buildClient(outDir = join(root, 'dist/client')) {
  const tsc = join(root, 'node_modules/typescript/bin/tsc');
  await staged(outDir, async (stage) => {
    const bundled = build({
      absWorkingDir: root,
      entryPoints: { index: 'src/client/index.ts' },
      outdir: stage,
      outExtension: { '.js': '.cjs' },
      bundle: true,
      platform: 'node',
      format: 'cjs',
      target,
      external: ['pg', 'postgres'],
      define: await defines(true),
      metafile: true,
      logLevel: 'warning',
    });
    const typed = run(process.execPath, [
      tsc,
      '-p',
      join(root, 'packaging/tsconfig.client.json'),
      '--outDir',
      join(stage, 'types'),
    ]).catch((error) => {
      throw new Error(`the client library's types do not compile:\n${error.stdout || error.message}`);
    });
    const [{ metafile }] = await Promise.all([bundled, typed]);
    await writeFile(join(stage, 'LICENSES.txt'), await licences(Object.keys(metafile.inputs)));
    const types = "export * from './types/client/index.js';\n";
    await writeFile(join(stage, 'index.mjs'), "export * from './index.cjs';\n");
    await writeFile(join(stage, 'index.d.mts'), types);
    await writeFile(join(stage, 'index.d.cts'), types);
    // The declarations describe the CommonJS file, whichever way it is imported.
    await writeFile(join(stage, 'types/package.json'), '{ "type": "commonjs" }\n');
  });
}

/**
 * Bundles TypeScript files that run in the tree and not for users (tests, demo, benchmarks): ES modules with shared
 * pieces, source maps, packages left to node_modules. One call for all files takes a fraction of a second.
 * @param {string[]} entries paths relative to the root
 * @param {string} outDir each file's path under it is its path under the root, with the extension .mjs
 * @param {string[]} inject modules to run before each entry
 * @returns {Promise<import('esbuild').Metafile>}
 */
export async function bundleForTree(entries, outDir, inject = []) {
  const { metafile } = await build({
    absWorkingDir: root,
    entryPoints: entries,
    outbase: root,
    outdir: outDir,
    outExtension: { '.js': '.mjs' },
    chunkNames: 'shared/[name]-[hash]',
    bundle: true,
    splitting: true,
    platform: 'node',
    format: 'esm',
    packages: 'external',
    sourcemap: true,
    target,
    define: await defines(false),
    inject,
    metafile: true,
    logLevel: 'warning',
  });
  return metafile;
}

/**
 * Calls `fill` with an empty directory beside `outDir`, then moves what it holds into `outDir`.
 * @param {string} outDir
 * @param {(stage: string) => Promise<void>} fill
 */
async function staged(outDir, fill) {
  const stage = `${outDir}.${process.pid}`;
  await rm(stage, { recursive: true, force: true });
  await mkdir(stage, { recursive: true });
  try {
    await fill(stage);
    await moveInto(stage, outDir);
  } finally {
    await rm(stage, { recursive: true, force: true });
  }
}

/**
 * @param {string} from
 * @param {string} to
 */
async function moveInto(from, to) {
  await mkdir(to, { recursive: true });
  const entries = await readdir(from, { withFileTypes: true });
  for (const entry of entries) {
    const source = join(from, entry.name);
    const goal = join(to, entry.name);
    if (entry.isDirectory()) await moveInto(source, goal);
    else await rename(source, goal);
  }
  // What an earlier build left and this one no longer has.
  const kept = new Set(entries.map((entry) => entry.name));
  for (const name of await readdir(to)) {
    if (!kept.has(name)) await rm(join(to, name), { recursive: true, force: true });
  }
}
