import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import {
  conmgrOf,
  identifyProcess,
  isInContainer,
  listConmgrs,
  lookAtConmgr,
  untilGone,
} from '../../../src/io/conmgr-process.js';

const root = realpathSync(mkdtempSync(join(tmpdir(), 'seen-')));
const children: ChildProcess[] = [];
after(() => {
  for (const child of children) child.kill('SIGKILL');
  rmSync(root, { recursive: true });
});

writeFileSync(join(root, 'conmgr.js'), 'process.stdout.write("."); setInterval(() => {}, 1000);\n');
mkdirSync(join(root, 'dir with blank'));
symlinkSync(join(root, 'dir with blank'), join(root, 'link'));

/** A process that looks like a conmgr. */
async function lookalike(
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
  script = 'conmgr.js',
): Promise<number> {
  const child = spawn(process.execPath, [join(root, script), ...args], {
    cwd: root,
    env: { ...process.env, CMDATA: undefined, NODE_TEST_CONTEXT: undefined, ...env },
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  children.push(child);
  await once(child.stdout, 'data');
  return child.pid ?? 0;
}

describe('lookAtConmgr', () => {
  const DIRECTORY = join(root, 'dir with blank');
  const WAYS: readonly (readonly [string, string[], NodeJS.ProcessEnv])[] = [
    ['-D with a path', ['-D', DIRECTORY], {}],
    ['-D with a link', [`-D${join(root, 'link')}`], {}],
    ['-D relative to its working directory', ['-D', 'dir with blank'], {}],
    ['CMDATA', [], { CMDATA: DIRECTORY }],
  ];
  for (const [way, args, env] of WAYS) {
    it(`finds the directory given by ${way}`, async () => {
      const pid = await lookalike(args, env);
      assert.deepEqual(await lookAtConmgr(pid), {
        pid,
        uid: process.geteuid?.(),
        directory: DIRECTORY,
        unit: undefined,
      });
    });
  }

  it('does not take other processes for one', async () => {
    assert.equal(await lookAtConmgr(process.pid), undefined);
    assert.equal(await lookAtConmgr(2 ** 22 + 1), undefined);
  });

  it('lists all of them', async () => {
    const pids = await Promise.all([lookalike(['-D', '/x']), lookalike(['-D', '/y'])]);
    const listed = new Map((await listConmgrs()).map(({ pid, directory }) => [pid, directory]));
    assert.deepEqual(
      pids.map((pid) => listed.get(pid)),
      ['/x', '/y'],
    );
  });
});

describe('isInContainer', () => {
  it('knows a process of a container by its second number', () => {
    const status = (numbers: string): string => `Name:\tnode\nNSpid:\t${numbers}\nNSpgid:\t${numbers}\n`;
    assert.equal(isInContainer(status('4711')), false);
    assert.equal(isInContainer(status('4711\t17')), true);
    assert.equal(isInContainer(status('4711\t300\t17')), true);
    assert.equal(isInContainer('Name:\tnode\n'), false);
  });
});

describe('conmgrOf', () => {
  it('takes the process that the lock file names only if it serves this directory', async () => {
    const mine = join(root, 'mine');
    mkdirSync(mine);
    assert.equal(await conmgrOf(mine), undefined);
    const other = await lookalike(['-D', '/elsewhere']);
    writeFileSync(join(mine, 'conmgr.pid'), `${other}\n`);
    assert.equal(await conmgrOf(mine), undefined);
    const own = await lookalike(['-D', mine]);
    writeFileSync(join(mine, 'conmgr.pid'), `${own}\n`);
    assert.equal((await conmgrOf(mine))?.pid, own);
  });
});

describe('untilGone', () => {
  it('resolves when the process has ended, although nobody has taken notice of it', async () => {
    // A shell that does not wait for its child keeps it as a zombie.
    const shell = spawn('sh', ['-c', 'sleep 1000 & echo $!; read line'], {
      stdio: ['pipe', 'pipe', 'ignore'],
    });
    children.push(shell);
    const [chunk] = (await once(shell.stdout, 'data')) as [Buffer];
    const pid = Number(chunk.toString());
    const process_ = identifyProcess(pid);
    assert.ok(process_);
    const gone = untilGone(process_);
    process.kill(pid, 'SIGKILL');
    assert.equal(await gone, true);
    shell.stdin.end();
  });

  it('stops waiting when told to', async () => {
    const self = identifyProcess(process.pid);
    assert.ok(self);
    assert.equal(await untilGone(self, AbortSignal.abort()), false);
    assert.equal(await untilGone(self, AbortSignal.timeout(30)), false);
  });

  it('takes another process with the same number for gone', async () => {
    assert.equal(await untilGone({ pid: process.pid, startTicks: '1' }), true);
  });
});
