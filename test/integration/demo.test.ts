import assert from 'node:assert/strict';
import { existsSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Figures } from '../../demo/figures.js';
import { shortcomings } from '../../demo/summary.js';
import { openRun } from '../runner/supervise.js';
import { sweepWhenClosed } from '../runner/sweep.js';
import { allProcesses, isRunning, processesIn, readIfAny } from '../support/processes.js';
import { type Running, startCommand } from '../support/running.js';
import { inTree } from '../support/tree.js';

const program = fileURLToPath(import.meta.url);

/** This file is also every program of the tests below, told apart by the first argument. */
const roles: Readonly<Record<string, (...args: string[]) => Promise<unknown> | unknown>> = {
  /** `make demo`, less the bundling: the demo in a run of its own. */
  supervisor: async () => {
    const run = openRun(undefined, [program, 'sweeper']);
    console.log(`directories ${run.directory} ${run.scratch}`);
    for (const name of ['dist', 'build', 'node_modules'])
      symlinkSync(inTree(name), join(run.directory, name));
    const env = { ...process.env, TMPDIR: run.scratch, HOME: run.scratch };
    const status = await run.execute(process.execPath, [program, 'demo'], env);
    await run.close();
    process.exit(status);
  },
  sweeper: (id = '', ...directories) => sweepWhenClosed(id, directories),
  demo: () => import('../../demo/main.js'),
};

const role = roles[process.argv[2] ?? ''];
if (role !== undefined) await role(...process.argv.slice(3));
else {
  describe('make demo', { concurrency: true }, tests);
  describe('the verdict of the demo', verdictTests);
}

interface Demo {
  readonly running: Running;
  readonly directories: readonly string[];
}

/** Runs the demo beside `test`, and never longer. */
async function withDemo(env: NodeJS.ProcessEnv, test: (demo: Demo) => Promise<void>): Promise<void> {
  const running = startCommand(process.execPath, [program, 'supervisor'], {
    cwd: inTree('.'),
    env: { KEEP: '', ...env },
  });
  try {
    const [, directories = ''] = await running.waitForLine(/^directories (.*)/);
    await test({ running, directories: directories.split(' ') });
  } finally {
    running.kill('SIGKILL');
    await running.done;
  }
}

/** The processes of a demo: they work in its directories, or were given them as TMPDIR. */
function processesOf({ directories }: Demo): number[] {
  const scratch = directories[1]!;
  const told = allProcesses().filter((pid) =>
    readIfAny(`/proc/${pid}/environ`).split('\0').includes(`TMPDIR=${scratch}`),
  );
  return [...new Set([...told, ...directories.flatMap(processesIn)])].filter(isRunning);
}

function assertNothingLeft(demo: Demo): void {
  assert.deepEqual(processesOf(demo), []);
  assert.deepEqual(demo.directories.filter(existsSync), []);
}

/** Lines for a log: nothing that only a terminal understands, and none too wide for one. */
function assertPlain(output: string): void {
  const lines = output.split('\n').filter((line) => !line.startsWith('directories '));
  assert.ok(lines.length > 15, output);
  assert.deepEqual(
    lines.filter((line) => line.length > 80 || /[\u001b\r]/.test(line)),
    [],
  );
}

/** The two figures of a line of the summary, one for each scene. */
function figures(output: string, label: string): string[][] {
  const lines = output.slice(output.indexOf('Summary')).split('\n');
  return lines
    .filter((line) => line.trimStart().startsWith(label))
    .map((line) => line.trim().slice(label.length).trim().split(/ {2,}/));
}

/** `2.04 s` and `40 ms` in milliseconds. */
function milliseconds(figure: string | undefined): number {
  const [, number, unit] = /^([\d.]+) (ms|s)$/.exec(figure ?? '') ?? assert.fail(`no time: ${figure}`);
  return Number(number) * (unit === 's' ? 1000 : 1);
}

function tests(): void {
  it('ends by itself in under 60 s, loses no row, and leaves nothing', () =>
    withDemo({}, async (demo) => {
      const began = performance.now();
      const { code, stdout, stderr } = await demo.running.done;
      const took = performance.now() - began;
      assert.equal(code, 0, stdout + stderr);
      assert.ok(took < 60_000, `it took ${took} ms`);
      assertNothingLeft(demo);
      assertPlain(stdout);

      assert.deepEqual(figures(stdout, 'rows lost'), [
        ['0', '0'],
        ['0', '0'],
      ]);
      for (const [conmgr, hostList] of figures(stdout, 'rows acknowledged')) {
        assert.ok(Number(conmgr) >= 60 && Number(hostList) >= 60, stdout);
      }
      const [silent, crash] = figures(stdout, 'loss told after');
      // heartbeat_timeout of 3 s after the last packet, which is at most heartbeat_interval before the fault; and 1 s.
      const silentMs = milliseconds(silent?.[0]);
      assert.ok(silentMs > 1500 && silentMs < 4000, `told after ${silentMs} ms`);
      assert.match(silent?.[1] ?? '', /^> 12\.\d+ s \*$/);
      assert.ok(milliseconds(crash?.[0]) < 1000, crash?.[0]);
      for (const [conmgr] of figures(stdout, 'first write after')) {
        assert.ok(milliseconds(conmgr) < 6000, conmgr);
      }
      assert.match(stdout, /cm_ctl +status: db1 primary; db2 standby\n/);
      assert.match(stdout, /cm_ctl +status: db1 lost: .*; db2 primary\n/);
      assert.match(stdout, /cm_ctl +status: db1 standby; db2 primary\n/);
      assert.match(stdout, /cm_ctl +status: db1 primary; db2 down: /);
    }));

  it('on Ctrl-C leaves nothing, not even what is frozen', () =>
    withDemo({}, async (demo) => {
      await demo.running.waitForLine(/SIGSTOP to all \d+ processes of db1/, { timeoutMs: 50_000 });
      assert.ok(processesOf(demo).length > 15);
      demo.running.kill('SIGINT');
      assert.equal((await demo.running.exit).code, 130);
      assertNothingLeft(demo);
    }));

  it('with KEEP=1 stays up, and what it prints to try is true', () =>
    withDemo({ KEEP: '1' }, async (demo) => {
      const { running } = demo;
      await running.waitForLine(/^It stays up until Ctrl-C/, { timeoutMs: 60_000 });
      await running.waitForLine(/^ +kill -KILL \d+/);
      const [, directory] = await running.waitForLine(/^ +export CMDATA=(\S+)/);
      const [, control, target] = await running.waitForLine(/^ +(\S+cm_ctl) resolve (\S+)/);
      const env = { CMDATA: directory };
      const said = await startCommand(control!, ['resolve', target!], { cwd: inTree('.'), env }).done;
      assert.equal(said.code, 0, said.stderr);
      const [, port] = await running.waitForLine(/db1 127\.0\.0\.1:(\d+), primary/);
      assert.match(said.stdout, new RegExp(`host=127.0.0.1 .*port=${port}`));
      running.kill('SIGINT');
      assert.equal((await running.exit).code, 130);
      assertNothingLeft(demo);
    }));
}

function verdictTests(): void {
  const good: Figures = {
    toldMs: 3000,
    offeredMs: 3100,
    firstWriteMs: 3110,
    longestGapMs: 3150,
    acknowledged: 100,
    lost: 0,
    unknown: 1,
    arrived: 0,
  };
  const verdict = (conmgr: Partial<Figures>, hostList: Partial<Figures> = {}, reads = 1) =>
    shortcomings([
      {
        title: 'scene',
        span: { from: 0, fault: 1, to: 2 },
        promotedMs: 1,
        patienceMs: undefined,
        conmgr: { ...good, ...conmgr },
        hostList: { ...good, ...hostList },
        reader: { reads, failures: 0, longestGapMs: 1, servers: [] },
      },
    ]);

  it('finds nothing wrong when everything happened', () => {
    assert.deepEqual(verdict({}), []);
  });

  it('names every row that was lost and everything that did not happen', () => {
    assert.deepEqual(verdict({ lost: 2 }), ['scene: 2 acknowledged rows of "with conmgr" are lost']);
    assert.deepEqual(verdict({}, { lost: 1 }), ['scene: 1 acknowledged rows of "host list" are lost']);
    assert.deepEqual(verdict({ toldMs: undefined, firstWriteMs: undefined }, {}, 0), [
      'scene: the application with conmgr was not told of the loss',
      'scene: the application with conmgr did not write again',
      'scene: the reader read nothing',
    ]);
  });
}
