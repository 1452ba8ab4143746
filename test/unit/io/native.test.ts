import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { copyFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { before, describe, it } from 'node:test';
import { build } from 'esbuild';
import { temporaryDirectory } from '../../support/tree.js';

const scratch = temporaryDirectory();

const PROGRAM = `
  import { loadNative, nativeProblem } from './src/io/native.js';
  const before = process.report.getReport().sharedObjects.some((file) => file.includes('koffi'));
  const start = performance.now();
  const native = loadNative();
  const loadMs = performance.now() - start;
  console.log(JSON.stringify({ before, loadMs, there: native?.func('int getpid()')() === process.pid, problem: nativeProblem() }));
`;

interface Outcome {
  before: boolean;
  loadMs: number;
  there: boolean;
  problem: string | undefined;
}

const run = (...args: string[]): Outcome =>
  JSON.parse(execFileSync(process.execPath, args, { encoding: 'utf8' }));

describe('native calls in a bundle', () => {
  const bundle = join(scratch, 'program.cjs');

  before(async () => {
    const { warnings } = await build({
      stdin: { contents: PROGRAM, resolveDir: process.cwd() },
      bundle: true,
      platform: 'node',
      target: 'node18',
      format: 'cjs',
      define: { CONMGR_BUNDLED: 'true', 'import.meta.url': 'bundleUrl' },
      banner: { js: "const bundleUrl = require('node:url').pathToFileURL(__filename).href;" },
      outfile: bundle,
      logLevel: 'silent',
    });
    assert.deepEqual(warnings, []);
  });

  it('come from koffi.node beside the bundle, and nothing is loaded before the first use', () => {
    const koffi = dirname(createRequire(join(process.cwd(), 'package.json')).resolve('koffi'));
    const binary = join(koffi, `../@koromix/koffi-linux-${process.arch}/linux_${process.arch}/koffi.node`);
    copyFileSync(binary, join(scratch, 'koffi.node'));
    const { before: loadedBefore, there, problem, loadMs } = run(bundle);
    assert.deepEqual([loadedBefore, there, problem], [false, true, undefined]);
    assert.ok(loadMs < 100, `${loadMs} ms to load`);
  });

  it('are absent with a reason in one line when koffi.node cannot be loaded', () => {
    const refuse = join(scratch, 'refuse.cjs');
    writeFileSync(
      refuse,
      `process.dlopen = () => { throw new Error('wrong ELF class\\nRequire stack: x'); };`,
    );
    const { there, problem } = run('--require', refuse, bundle);
    assert.deepEqual([there, problem], [false, 'wrong ELF class']);
  });
});
