import assert from 'node:assert/strict';
import { mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { CTL_MESSAGES } from '../../../src/core/messages/ctl.js';
import { HostManagers, type HostManagersOptions } from '../../../src/ctl/choose-manager.js';
import type { ManagerQuestion } from '../../../src/ctl/manager.js';
import { FakeManager, freshDirectory } from './fake-world.js';
import { type ScriptedAnswer, ScriptedSystemctl } from './scripted-systemctl.js';

const ABSENT: ScriptedAnswer = { when: 'show', stdout: 'LoadState=not-found\nActiveState=inactive\n' };
const enabled = (unit: string): ScriptedAnswer => ({
  when: `show ${unit}`,
  stdout: 'LoadState=loaded\nActiveState=inactive\nUnitFileState=enabled\n',
});
const TEMPLATE: ScriptedAnswer = { when: 'show conmgr@x.service', stdout: 'LoadState=loaded\n' };

const QUESTION: ManagerQuestion = {
  directory: '/srv/app',
  pid: undefined,
  wanted: undefined,
  logFile: undefined,
  toStart: true,
};

function host(answers: readonly ScriptedAnswer[], options: Partial<HostManagersOptions> = {}) {
  const script = new ScriptedSystemctl([...answers, ABSENT]);
  const managers = new HostManagers({
    uid: 1000,
    environment: process.env,
    direct: new FakeManager(),
    booted: () => true,
    systemctl: script.program,
    home: '/srv/homes/nobody',
    ...options,
  });
  const choose = async (question: Partial<ManagerQuestion> = {}): Promise<string> => {
    const { kind, unit } = await managers.choose({ ...QUESTION, ...question });
    return unit === undefined ? kind : `${kind} ${unit.name}`;
  };
  return { managers, choose, script };
}

describe('the manager of a conmgr on this host', () => {
  it('is cm_ctl itself where systemd does not run, and systemctl is not even tried', async () => {
    const { choose, script } = host([], { booted: () => false });
    assert.equal(await choose(), 'none');
    assert.equal(await choose({ pid: process.pid }), 'none');
    await assert.rejects(choose({ wanted: 'system' }), { code: CTL_MESSAGES.managerMissing.code });
    assert.equal(await choose({ wanted: 'none' }), 'none');
    assert.deepEqual(script.calls, []);
  });

  it('is the one that knows its unit', async () => {
    assert.equal(await host([enabled('conmgr@srv-app.service')]).choose(), 'system conmgr@srv-app.service');
  });

  it("is the user's own for a unit registered there, although root has tried the system's", async () => {
    const script = (scope: string, stdout: string): ScriptedAnswer => ({
      when: 'show conmgr@srv-app.service',
      scope,
      stdout,
    });
    const failed = script('--system', 'LoadState=loaded\nActiveState=failed\nUnitFileState=disabled\n');
    const own = script('--user', 'LoadState=loaded\nActiveState=inactive\nUnitFileState=enabled\n');
    assert.equal(await host([failed, own]).choose(), 'user conmgr@srv-app.service');
    assert.equal(await host([failed, TEMPLATE]).choose(), 'system conmgr@srv-app.service');
  });

  it("is the system's for root and below its place, registered or not", async () => {
    assert.equal(await host([], { uid: 0 }).choose(), 'system conmgr@srv-app.service');
    const directory = '/var/lib/conmgr/app1';
    assert.equal(await host([]).choose({ directory }), 'system conmgr@app1.service');
  });

  it('is that of the other name when that is the one that is registered', async () => {
    const directory = '/var/lib/conmgr/app1';
    const other = 'conmgr@var-lib-conmgr-app1.service';
    assert.equal(await host([enabled(other)]).choose({ directory }), `system ${other}`);
  });

  it("is the user's when it has the template", async () => {
    assert.equal(await host([TEMPLATE]).choose(), 'user conmgr@srv-app.service');
    assert.equal(await host([TEMPLATE]).choose({ directory: '/tmp/app' }), 'none');
    assert.equal(await host([]).choose(), 'none');
    const directory = '/srv/homes/nobody/.local/state/conmgr/app';
    assert.equal(await host([TEMPLATE]).choose({ directory }), 'user conmgr@app.service');
  });

  it("is the user's own for a unit that he has enabled, which only runs with his manager", async () => {
    const home = freshDirectory();
    const wants = join(home, '.config/systemd/user/default.target.wants');
    mkdirSync(wants, { recursive: true });
    symlinkSync('/usr/lib/systemd/user/conmgr@.service', join(wants, 'conmgr@srv-app.service'));
    const silent: ScriptedAnswer = {
      when: 'show',
      scope: '--user',
      status: 1,
      stderr: 'Failed to connect to bus',
    };
    const { choose } = host([silent], { home });
    await assert.rejects(choose(), { code: CTL_MESSAGES.ownManagerSilent.code });
    assert.equal(await choose({ wanted: 'none' }), 'none');
    assert.equal(await choose({ toStart: false }), 'none');
    assert.equal(await choose({ directory: '/srv/other' }), 'none');
    const reached = host([enabled('conmgr@srv-app.service')], { home });
    assert.equal(await reached.choose({ toStart: false }), 'system conmgr@srv-app.service');
  });

  it('cannot be systemd where no unit can serve, which only a start has to know', async () => {
    const wanted = { directory: '/app', wanted: 'system' } as const;
    await assert.rejects(host([]).choose(wanted), { code: CTL_MESSAGES.unitImpossible.code });
    assert.equal(await host([]).choose({ ...wanted, toStart: false }), 'none');
  });

  it('is none for a running process that belongs to no service of conmgr, whatever was wanted', async () => {
    assert.equal(await host([]).choose({ pid: process.pid, wanted: 'system' }), 'none');
  });
});

describe('the units of this host', () => {
  it('are those of both managers, with their directories', async () => {
    const { managers } = host([
      { when: 'list-units', stdout: 'conmgr@app1.service loaded active running x\n' },
      { when: 'list-unit-files' },
      { when: 'show', stdout: 'ActiveState=active\nMainPID=12\n' },
    ]);
    const units = (await managers.list()).map(({ kind, name, directory, state }) => [
      kind,
      name,
      directory,
      state.pid,
    ]);
    assert.deepEqual(units, [
      ['system', 'conmgr@app1.service', '/var/lib/conmgr/app1', 12],
      ['user', 'conmgr@app1.service', '/srv/homes/nobody/.local/state/conmgr/app1', 12],
    ]);
  });

  it('are none where no manager can be reached', async () => {
    const { managers } = host([
      { when: 'list', status: 1, stderr: 'Failed to connect to bus: No medium found' },
    ]);
    assert.deepEqual(await managers.list(), []);
  });
});
