// @ts-check
/**
 * `make check`: every static check, side by side. Each has one contract: exit status 0, or an explanation on its
 * output. Prints nothing if all is well.
 */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { buildClient, root } from './bundles.mjs';

const TSC = 'node_modules/typescript/bin/tsc';

/** @type {readonly (readonly [name: string, ...args: string[]])[]} */
const CHECKS = [
  ['types', TSC, '-p', '.'],
  ['lint and format', 'node_modules/@biomejs/biome/bin/biome', 'check', '--error-on-warnings'],
  ['arrows', 'packaging/check-arrows.mjs'],
  ['house rules', 'packaging/check-house-rules.mjs'],
  ['manifest', 'packaging/check-manifest.mjs'],
  ['tables in documents', 'packaging/run-ts.mjs', 'packaging/render-protocol.ts', '--check'],
  ['table of faults', 'packaging/run-ts.mjs', 'packaging/render-faults.ts', '--check'],
  ['tables of drivers', 'packaging/run-ts.mjs', 'packaging/render-drivers.ts', '--check'],
  ['tables of performance', 'packaging/run-ts.mjs', 'packaging/render-performance.ts', '--check'],
];

/** How applications see the client library: compiled as they are, an ES module and a CommonJS one. */
const CONSUMERS = 'test/client-types/tsconfig.json';

/**
 * @param {readonly [name: string, ...args: string[]]} check arguments for Node.js
 * @returns {Promise<boolean>} whether all is well
 */
function passes([name, ...args]) {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (text) => (output += text));
    child.once('error', reject);
    child.once('close', (code) => {
      if (code !== 0) console.log(`${name}:\n${output.trimEnd()}\n`);
      resolve(code === 0);
    });
  });
}

async function consumersCompile() {
  try {
    await buildClient();
  } catch (error) {
    console.log(`client library:\n${error instanceof Error ? error.message : error}\n`);
    return false;
  }
  return passes(['consumers of the client library', TSC, '-p', CONSUMERS]);
}

const results = await Promise.all([
  ...CHECKS.map(passes),
  ...(existsSync(join(root, CONSUMERS)) ? [consumersCompile()] : []),
]);
process.exitCode = results.every(Boolean) ? 0 : 1;
