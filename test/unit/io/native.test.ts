import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { copyFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, it } from 'node:test';
import { bundleWithoutNative, koffiBinary } from '../../support/bundled-program.js';
import { temporaryDirectory } from '../../support/tree.js';

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
  let bundle: string;

  before(async () => {
    bundle = await bundleWithoutNative({ stdin: { contents: PROGRAM, resolveDir: process.cwd() } });
  });

  it('come from koffi.node beside the bundle, and nothing is loaded before the first use', () => {
    copyFileSync(koffiBinary(), join(bundle, '..', 'koffi.node'));
    const { before: loadedBefore, there, problem, loadMs } = run(bundle);
    assert.deepEqual([loadedBefore, there, problem], [false, true, undefined]);
    assert.ok(loadMs < 100, `${loadMs} ms to load`);
  });

  it('are absent with a reason in one line when koffi.node cannot be loaded', () => {
    const refuse = join(temporaryDirectory(), 'refuse.cjs');
    writeFileSync(
      refuse,
      `process.dlopen = () => { throw new Error('wrong ELF class\\nRequire stack: x'); };`,
    );
    const { there, problem } = run('--require', refuse, bundle);
    assert.deepEqual([there, problem], [false, 'wrong ELF class']);
  });
});
