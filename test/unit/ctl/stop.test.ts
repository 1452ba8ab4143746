import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { applicationStatus, statusOf } from '../../support/status-report.js';
import { ctl, FakeConmgr, FakeManager, freshDirectory } from './fake-world.js';

const children: ChildProcess[] = [];
after(() => {
  for (const child of children) child.kill('SIGKILL');
});

/** A process to be stopped, which is no child that anybody waits for when it is gone. */
function victim(): ChildProcess & { readonly pid: number } {
  const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' });
  children.push(child);
  return child as ChildProcess & { readonly pid: number };
}

/** A directory in which the process seems to be a conmgr. */
async function directoryOf(pid: number, sessions = 0): Promise<string> {
  const directory = freshDirectory();
  const applications = Array.from({ length: sessions }, (_, id) => applicationStatus({ id }));
  await FakeConmgr.serve(directory, () => ({ ok: true, status: statusOf({ pid, applications }) }));
  return directory;
}

describe('cm_ctl stop', () => {
  it('returns when the process is gone', async () => {
    const child = victim();
    const manager = new FakeManager();
    manager.onStop = async (pid) => void process.kill(pid, 'SIGKILL');
    const directory = await directoryOf(child.pid);
    const exit = once(child, 'exit');
    const result = await ctl(['stop', '-D', directory], { manager });
    assert.deepEqual(result, {
      status: 0,
      stdout: 'waiting for conmgr to shut down... done\nconmgr stopped\n',
      stderr: '',
    });
    await exit;
    assert.deepEqual(manager.stopped, [{ directory, pid: child.pid, mode: 'fast' }]);
  });

  for (const mode of ['smart', 'fast', 'immediate'] as const) {
    it(`hands on mode ${mode}`, async () => {
      const manager = new FakeManager();
      const directory = await directoryOf(1234);
      const { status, stdout } = await ctl(['stop', '-D', directory, '-m', mode, '-W'], { manager });
      assert.deepEqual({ status, stdout }, { status: 0, stdout: 'conmgr shutting down\n' });
      assert.equal(manager.stopped[0]?.mode, mode);
    });
  }

  it('gives up after -t with exit status 1', async () => {
    const directory = await directoryOf(victim().pid);
    const { status, stdout, stderr } = await ctl(['stop', '-D', directory, '-t', '1']);
    assert.equal(status, 1);
    assert.match(stdout, /^waiting for conmgr to shut down\.{3,5} failed\n$/);
    assert.equal(stderr, 'cm_ctl: conmgr does not shut down\n');
  });

  it('leaves conmgr to its shutdown when it is interrupted', async () => {
    const directory = await directoryOf(victim().pid);
    const { status, stderr } = await ctl(['stop', '-D', directory, '-t', '0'], {
      interrupted: AbortSignal.timeout(20),
    });
    assert.deepEqual(
      { status, stderr },
      { status: 1, stderr: 'cm_ctl: interrupted; conmgr goes on shutting down\n' },
    );
  });

  it('tells how many sessions a smart stop waits for, and what would end them', async () => {
    const directory = await directoryOf(victim().pid, 3);
    const { status, stderr } = await ctl(['stop', '-D', directory, '-t', '1', '-m', 'smart']);
    assert.equal(status, 1);
    assert.match(stderr, /waits for applications to detach \(3 left\)\nHINT: {2}The "-m fast" option/);
  });

  it('fails when none runs', async () => {
    const directory = freshDirectory();
    const { status, stderr } = await ctl(['stop', '-D', directory]);
    assert.equal(status, 1);
    assert.match(stderr, /^cm_ctl: conmgr is not running in directory "/);
  });

  it('fails when there is no directory', async () => {
    assert.equal((await ctl(['stop', '-D', '/nonexistent/d'])).status, 1);
  });
});

describe('cm_ctl restart', () => {
  const CONFIG = 'backend_host0 = db1\n';

  it('has the next process take over from the one that runs', async () => {
    const child = victim();
    const directory = freshDirectory();
    writeFileSync(join(directory, 'conmgr.conf'), CONFIG);
    const old = await FakeConmgr.serve(directory, () => ({ ok: true, status: statusOf({ pid: child.pid }) }));
    const manager = new FakeManager();
    manager.onStart = async (request) => {
      await old.close();
      child.kill('SIGKILL');
      await FakeConmgr.serve(request.directory, () => ({ ok: true, status: statusOf() }));
      return {};
    };
    const { status, stdout } = await ctl(['restart', '-D', directory], { manager });
    assert.equal(status, 0);
    assert.deepEqual(manager.stopped, []);
    assert.deepEqual(
      manager.started.map(({ takesOver }) => takesOver),
      [true],
    );
    assert.equal(
      stdout,
      'waiting for conmgr to shut down... done\nconmgr stopped\nwaiting for conmgr to start... done\nconmgr started\n',
    );
  });

  it('says that the old process goes on when the next one ends before it has taken over', async () => {
    const child = victim();
    const directory = await directoryOf(child.pid);
    writeFileSync(join(directory, 'conmgr.conf'), CONFIG);
    const manager = new FakeManager();
    const end = { status: 1, complaints: ['FATAL:  no way'] };
    manager.onStart = async () => ({ ended: Promise.resolve(end) });
    const { status, stdout, stderr } = await ctl(['restart', '-D', directory], { manager });
    assert.equal(status, 1);
    assert.equal(stdout, 'waiting for conmgr to shut down... failed\n');
    assert.match(
      stderr,
      new RegExp(
        `^FATAL: {2}no way\ncm_ctl: could not restart conmgr: process ${child.pid} goes on as before\n`,
      ),
    );
  });

  it('with -m ends sessions as a stop does, then starts', async () => {
    const child = victim();
    const directory = freshDirectory();
    writeFileSync(join(directory, 'conmgr.conf'), CONFIG);
    const old = await FakeConmgr.serve(directory, () => ({ ok: true, status: statusOf({ pid: child.pid }) }));
    const manager = new FakeManager();
    manager.onStop = async (pid) => {
      await old.close();
      process.kill(pid, 'SIGKILL');
    };
    manager.onStart = async (request) => {
      await FakeConmgr.serve(request.directory, () => ({ ok: true, status: statusOf() }));
      return {};
    };
    const { status } = await ctl(['restart', '-m', 'fast', '-D', directory], { manager });
    assert.equal(status, 0);
    assert.equal(manager.stopped[0]?.mode, 'fast');
    assert.equal(manager.started[0]?.takesOver, undefined);
  });

  it('starts one that is not running, with a note', async () => {
    const directory = freshDirectory();
    writeFileSync(join(directory, 'conmgr.conf'), CONFIG);
    const manager = new FakeManager();
    manager.onStart = async (request) => {
      await FakeConmgr.serve(request.directory, () => ({ ok: true, status: statusOf() }));
      return {};
    };
    const { status, stderr } = await ctl(['restart', '-D', directory], { manager });
    assert.equal(status, 0);
    assert.match(
      stderr,
      /^cm_ctl: notice: conmgr is not running in directory ".*"\nHINT: {2}Starting it anyway\.\n$/,
    );
  });

  it('does not stop what could not be started again', async () => {
    const directory = await directoryOf(1234);
    writeFileSync(join(directory, 'conmgr.conf'), 'nonsense = 1\nport = 0\n');
    const manager = new FakeManager();
    const { status, stderr } = await ctl(['restart', '-D', directory], { manager });
    assert.equal(status, 78);
    assert.match(stderr, /conmgr.conf:1: [\s\S]*conmgr.conf:2: /);
    assert.deepEqual({ stopped: manager.stopped, started: manager.started }, { stopped: [], started: [] });
  });

  it('is refused to root before anything is stopped', async () => {
    const manager = new FakeManager();
    const { status, stderr } = await ctl(['restart', '-D', await directoryOf(1234)], { manager, uid: 0 });
    assert.equal(status, 1);
    assert.match(stderr, /^cm_ctl: cannot be run as root\n/);
    assert.equal(manager.stopped.length, 0);
  });
});
