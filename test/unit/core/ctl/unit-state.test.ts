import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  describeUnit,
  isBusy,
  isKnown,
  isUnusable,
  listedState,
  readUnitState,
} from '../../../../src/core/ctl/unit-state.js';

const STOPPED = {
  LoadState: 'loaded',
  ActiveState: 'inactive',
  SubState: 'dead',
  UnitFileState: 'disabled',
  DropInPaths: '',
  MainPID: '0',
  Result: 'success',
  ExecMainCode: '0',
  ExecMainStatus: '0',
  StatusText: '',
  InvocationID: '',
  User: 'conmgr',
};
const RUNNING = {
  ...STOPPED,
  ActiveState: 'active',
  SubState: 'running',
  MainPID: '12',
  StatusText: 'primary instance 0',
};
const FAILED = {
  ...STOPPED,
  ActiveState: 'failed',
  SubState: 'failed',
  Result: 'exit-code',
  ExecMainCode: '1',
  ExecMainStatus: '78',
  StatusText: 'conmgr.conf is wrong',
};

describe('the state of a unit', () => {
  it('has a process id and an exit status only where there is one', () => {
    const { pid, exitStatus } = readUnitState(RUNNING);
    assert.deepEqual({ pid, exitStatus }, { pid: 12, exitStatus: undefined });
    assert.deepEqual(readUnitState(FAILED).exitStatus, 78);
    assert.equal(readUnitState(FAILED).pid, undefined);
    assert.equal(readUnitState({ ...FAILED, ExecMainCode: '2', ExecMainStatus: '9' }).exitStatus, undefined);
  });

  it('is registered when it is enabled or cm_ctl has written a drop-in', () => {
    assert.equal(readUnitState(STOPPED).registered, false);
    assert.equal(readUnitState({ ...STOPPED, UnitFileState: 'enabled-runtime' }).registered, true);
    const paths = '/etc/systemd/system/conmgr@a.service.d/50-cm_ctl.conf /etc/x.d/override.conf';
    assert.equal(readUnitState({ ...STOPPED, DropInPaths: paths }).registered, true);
    assert.equal(readUnitState({ ...STOPPED, DropInPaths: '/etc/x.d/override.conf' }).registered, false);
  });

  it('is known when the manager has to do with it, not merely because it could', () => {
    const waiting = { ...STOPPED, ActiveState: 'activating', SubState: 'auto-restart' };
    assert.deepEqual(
      [STOPPED, RUNNING, FAILED, waiting, {}].map((properties) => isKnown(readUnitState(properties))),
      [false, true, true, true, false],
    );
    assert.deepEqual(
      [STOPPED, RUNNING, FAILED, waiting, {}].map((properties) => isBusy(readUnitState(properties))),
      [false, true, false, true, false],
    );
  });

  it('is listed in the words of cm_ctl', () => {
    const states = ['active', 'reloading', 'activating', 'deactivating', 'failed', 'inactive', 'whatever'];
    assert.deepEqual(states.map(listedState), [
      'running',
      'running',
      'starting',
      'stopping',
      'failed',
      'stopped',
      'stopped',
    ]);
  });
});

describe('a unit in one line', () => {
  const line = (properties: Record<string, string>): string =>
    describeUnit('conmgr@a.service', readUnitState(properties));

  it('tells the process that runs and what it said last', () => {
    assert.equal(line(RUNNING), 'unit conmgr@a.service: active (running), PID 12: primary instance 0');
  });

  it('tells why it failed', () => {
    assert.equal(line(FAILED), 'unit conmgr@a.service: failed, exit status 78: conmgr.conf is wrong');
    const killed = { ...FAILED, Result: 'signal', ExecMainCode: '2', ExecMainStatus: '9', StatusText: '' };
    assert.equal(line(killed), 'unit conmgr@a.service: failed, signal');
    const nobody = { ...FAILED, ExecMainStatus: '217', StatusText: '' };
    assert.equal(
      line(nobody),
      'unit conmgr@a.service: failed, exit status 217/USER, set up by systemd failed',
    );
  });

  it('knows that a condition kept it from running, and that its files have changed', () => {
    const { skipped, stale } = readUnitState({ ...STOPPED, ConditionResult: 'no', NeedDaemonReload: 'yes' });
    assert.deepEqual({ skipped, stale }, { skipped: true, stale: true });
    const running = readUnitState({ ...RUNNING, ConditionResult: 'yes', NeedDaemonReload: 'no' });
    assert.deepEqual([running.skipped, running.stale], [false, false]);
  });

  it('tells what keeps it from being started', () => {
    const stopped = { ...STOPPED, StatusText: '', Result: 'success' };
    for (const [LoadState, said] of [
      ['masked', 'masked'],
      ['bad-setting', 'bad unit file setting'],
      ['error', 'unit file cannot be read'],
    ] as const) {
      assert.equal(line({ ...stopped, LoadState }), `unit conmgr@a.service: inactive (dead), ${said}`);
      assert.ok(isUnusable(readUnitState({ ...stopped, LoadState })));
    }
    assert.ok(!isUnusable(readUnitState(stopped)));
  });

  it('tells no more than the state of one that is stopped', () => {
    assert.equal(line(STOPPED), 'unit conmgr@a.service: inactive (dead)');
  });
});
