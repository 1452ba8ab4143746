import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { readUnitState, type UnitState } from '../../../src/core/ctl/unit-state.js';
import { CTL_MESSAGES } from '../../../src/core/messages/ctl.js';
import { MessageError } from '../../../src/core/messages/message-error.js';
import type { ManagerQuestion, UnitHandle } from '../../../src/ctl/manager.js';
import { statusOf } from '../../support/status-report.js';
import { ctl, FakeConmgr, FakeManager, freshDirectory, STARTED } from './fake-world.js';

const UNIT = 'conmgr@app1.service';
const children: ChildProcess[] = [];
after(() => {
  for (const child of children) child.kill('SIGKILL');
});

/** A unit in a given state that keeps what it was told. */
class FakeUnit implements UnitHandle {
  readonly name = UNIT;
  readonly told: string[] = [];
  properties: Record<string, string> = { ActiveState: 'inactive', SubState: 'dead' };
  onRestart: UnitHandle['restart'] = async () => STARTED;

  async state(): Promise<UnitState> {
    return readUnitState(this.properties);
  }
  async orderStop(): Promise<void> {
    this.told.push('stop');
  }
  async reload(): Promise<void> {
    this.told.push('reload');
  }
  async restart(was: number | undefined) {
    this.told.push(`restart ${was}`);
    return this.onRestart(was);
  }
  async orderRestart(): Promise<void> {
    this.told.push('order restart');
  }
}

class FakeSystemd extends FakeManager {
  override readonly kind = 'system';
  readonly unit = new FakeUnit();
}

const CONFIG = 'backend_host0 = db1\n';
const FAILED = {
  ActiveState: 'failed',
  SubState: 'failed',
  Result: 'exit-code',
  ExecMainCode: '1',
  ExecMainStatus: '78',
  StatusText: 'no',
};
const FAILED_LINE = `unit ${UNIT}: failed, exit status 78: no`;

/** A directory with a conmgr that answers in the name of this process. */
async function serving(pid: number): Promise<{ directory: string; conmgr: FakeConmgr }> {
  const directory = freshDirectory();
  writeFileSync(join(directory, 'conmgr.conf'), CONFIG);
  const conmgr = await FakeConmgr.serve(directory, () => ({ ok: true, status: statusOf({ pid }) }));
  return { directory, conmgr };
}

describe('cm_ctl restart of a unit', () => {
  it('is one job, with the words of any restart', async () => {
    const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' });
    children.push(child);
    const { directory, conmgr } = await serving(child.pid ?? 0);
    const manager = new FakeSystemd();
    manager.unit.onRestart = async (was) => {
      await conmgr.close();
      const exit = once(child, 'exit');
      child.kill('SIGKILL');
      await exit;
      await FakeConmgr.serve(directory, () => ({ ok: true, status: statusOf() }));
      return { ...STARTED, isOurs: (pid) => pid !== was };
    };
    const result = await ctl(['restart', '-D', directory], { manager });
    assert.deepEqual(result, {
      status: 0,
      stdout:
        'waiting for conmgr to shut down... done\nconmgr stopped\nwaiting for conmgr to start... done\nconmgr started\n',
      stderr: '',
    });
    assert.deepEqual(manager.unit.told, [`restart ${child.pid}`]);
    assert.deepEqual({ started: manager.started, stopped: manager.stopped }, { started: [], stopped: [] });
  });

  it('is only ordered with -W', async () => {
    const { directory } = await serving(process.pid);
    const manager = new FakeSystemd();
    const { status, stdout } = await ctl(['restart', '-W', '-D', directory], { manager });
    assert.deepEqual({ status, stdout }, { status: 0, stdout: 'conmgr restarting\n' });
    assert.deepEqual(manager.unit.told, ['order restart']);
  });

  it('that the manager refuses is told once, and nothing was stopped', async () => {
    const { directory } = await serving(process.pid);
    const manager = new FakeSystemd();
    const problem = new MessageError(CTL_MESSAGES.unitDenied, { verb: 'restart', unit: UNIT });
    const ended = Promise.resolve({ status: null, complaints: [], problem });
    manager.unit.onRestart = async () => ({ ...STARTED, ended });
    const { status, stdout, stderr } = await ctl(['restart', '-D', directory], { manager });
    assert.equal(status, 1);
    assert.equal(stdout, 'waiting for conmgr to shut down... failed\n');
    assert.match(stderr, /^cm_ctl: permission denied to restart unit "conmgr@app1.service"\nHINT: .*\n$/);
  });

  it('with -m is a stop of that kind and a start', async () => {
    const { directory } = await serving(2 ** 22 + 1);
    const manager = new FakeSystemd();
    await ctl(['restart', '-m', 'smart', '-W', '-t', '1', '-D', directory], { manager });
    assert.deepEqual(
      manager.stopped.map(({ mode }) => mode),
      ['smart'],
    );
    assert.deepEqual({ told: manager.unit.told, starts: manager.started.length }, { told: [], starts: 1 });
  });

  it('is possible for root, whose own processes conmgr does not run as', async () => {
    const { directory } = await serving(process.pid);
    const manager = new FakeSystemd();
    assert.equal((await ctl(['restart', '-W', '-D', directory], { manager, uid: 0 })).status, 0);
  });

  it('takes no log file', async () => {
    const { directory } = await serving(process.pid);
    const manager = new FakeSystemd();
    const { status, stderr } = await ctl(['restart', '-l', '/f', '-D', directory], { manager });
    assert.equal(status, 2);
    assert.match(stderr, /^cm_ctl: option -l cannot be used with unit "conmgr@app1.service"\n/);
    assert.deepEqual(manager.unit.told, []);
  });
});

describe('cm_ctl start of a unit', () => {
  it('says that systemd goes on trying when it does', async () => {
    const manager = new FakeSystemd();
    const ended = Promise.resolve({ status: 1, complaints: ['FATAL:  no'], retried: true });
    manager.onStart = async () => ({ log: 'with "journalctl -u conmgr@app1"', ended });
    const { status, stderr } = await ctl(['start', '-D', freshDirectory()], { manager });
    assert.equal(status, 1);
    assert.equal(
      stderr,
      `FATAL:  no
cm_ctl: could not start conmgr; systemd goes on trying
HINT:  Examine the log output with "journalctl -u conmgr@app1". "cm_ctl stop" ends the attempts.
`,
    );
  });

  it('is content with READY when it is not to wait for links', async () => {
    const manager = new FakeSystemd();
    manager.onStart = async () => ({ ready: Promise.resolve() });
    const { status, stdout } = await ctl(['start', '-W', '-D', freshDirectory()], { manager });
    assert.deepEqual({ status, stdout }, { status: 0, stdout: 'conmgr starting\n' });
  });

  it('asks for the manager that is wanted, with all that the choice depends on', async () => {
    const directory = freshDirectory();
    const asked: ManagerQuestion[] = [];
    const words = ['start', '-W', '--manager', 'user', '-l', '/f', '-D', directory];
    const manager = new FakeManager();
    manager.onStart = async () => ({ ready: Promise.resolve() });
    await ctl(words, { manager, onChoose: (question) => asked.push(question) });
    assert.deepEqual(asked, [{ directory, pid: undefined, wanted: 'user', logFile: '/f', toStart: true }]);
  });
});

describe('cm_ctl stop of a unit', () => {
  it('ends the attempts of one that has no process at the moment', async () => {
    const manager = new FakeSystemd();
    manager.unit.properties = { ActiveState: 'activating', SubState: 'auto-restart', MainPID: '0' };
    const { status, stdout } = await ctl(['stop', '-D', freshDirectory()], { manager });
    assert.deepEqual({ status, stdout }, { status: 0, stdout: 'conmgr stopped\n' });
    assert.deepEqual(manager.unit.told, ['stop']);
  });

  it('fails when neither a process nor a unit runs', async () => {
    const manager = new FakeSystemd();
    const { status, stderr } = await ctl(['stop', '-D', freshDirectory()], { manager });
    assert.equal(status, 1);
    assert.match(stderr, /^cm_ctl: conmgr is not running in directory/);
    assert.deepEqual(manager.unit.told, []);
  });
});

describe('cm_ctl status of a unit', () => {
  it('names it in the head of the view and in JSON', async () => {
    const { directory } = await serving(process.pid);
    const manager = new FakeSystemd();
    assert.match(
      (await ctl(['status', '-D', directory], { manager })).stdout,
      /^Unit: {9}conmgr@app1\.service$/m,
    );
    const { stdout } = await ctl(['status', '--json', '-D', directory], { manager });
    const { unit, manager: kind } = JSON.parse(stdout) as Record<string, unknown>;
    assert.deepEqual({ unit, kind }, { unit: UNIT, kind: 'system' });
  });

  it('tells in one line why it does not run', async () => {
    const directory = freshDirectory();
    const manager = new FakeSystemd();
    manager.unit.properties = FAILED;
    const { status, stdout } = await ctl(['status', '-D', directory], { manager });
    assert.deepEqual(
      { status, stdout },
      { status: 3, stdout: `conmgr is not running in directory "${directory}"\n${FAILED_LINE}\n` },
    );
  });

  it('tells nothing of one that is just stopped', async () => {
    const directory = freshDirectory();
    const { stdout } = await ctl(['status', '-D', directory], { manager: new FakeSystemd() });
    assert.equal(stdout, `conmgr is not running in directory "${directory}"\n`);
  });
});

describe('cm_ctl list', () => {
  const listed = (name: string, directory: string, properties: Record<string, string>) => ({
    kind: 'system' as const,
    name,
    active: properties['ActiveState'] ?? '',
    directory,
    state: readUnitState(properties),
  });

  it('shows the units that do not run, and why', async () => {
    const units = [
      listed(UNIT, '/nonexistent/app1', { ...FAILED, User: 'app' }),
      listed('conmgr@b.service', '/nonexistent/b', {
        ActiveState: 'inactive',
        UnitFileState: 'enabled',
        User: 'b',
      }),
      listed('conmgr@c.service', '/nonexistent/c', { ActiveState: 'activating', SubState: 'auto-restart' }),
      listed('conmgr@d.service', '/nonexistent/d', { ActiveState: 'inactive' }),
    ];
    const { stdout } = await ctl(['list', '--json'], { units });
    // Others may run on this host.
    const shown = (JSON.parse(stdout) as { directory: string | null }[]).filter(({ directory }) =>
      directory?.startsWith('/nonexistent/'),
    );
    const row = (unit: string, user: string, state: string) => ({
      directory: `/nonexistent/${unit === UNIT ? 'app1' : unit.slice(7, 8)}`,
      unit,
      manager: 'system',
      pid: null,
      user,
      state,
    });
    assert.deepEqual(shown, [
      row(UNIT, 'app', 'failed'),
      row('conmgr@b.service', 'b', 'stopped'),
      row('conmgr@c.service', 'root', 'starting'),
    ]);
  });
});
