import assert from 'node:assert/strict';
import { existsSync, readFileSync, watch, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { describe, it } from 'node:test';
import { readUnitState } from '../../../src/core/ctl/unit-state.js';
import { runLogs } from '../../../src/ctl/logs.js';
import type { Manager, UnitHandle } from '../../../src/ctl/manager.js';
import { FakeManager } from './fake-world.js';
import { Host } from './registry-scene.js';

/** Notes its words, which are shown where cm_ctl was to write otherwise. */
const notes = (end: string): string => `#!/bin/sh\nprintf '%s\\n' "$0 $*" > "$STATE/said"\n${end}\n`;

function managerOf(properties: Readonly<Record<string, string>>): Manager {
  const refuse = async (): Promise<never> => assert.fail('only asked');
  const unit: UnitHandle = {
    name: 'conmgr@app1.service',
    state: async () => readUnitState(properties),
    orderStop: refuse,
    reload: refuse,
    restart: refuse,
    orderRestart: refuse,
  };
  return Object.assign(new FakeManager(), { kind: 'system' as const, unit });
}

function scene() {
  const host = new Host();
  const directory = host.directory('app1');
  const said = join(host.home, 'state/said');
  host.program('journalctl', notes('exit 0'));
  host.program('tail', notes('exit 0'));
  const logs = async (manager: Manager, words: readonly string[] = [], interrupted?: AbortSignal) => {
    const managers = { choose: async () => manager, list: async () => [] };
    const world = interrupted === undefined ? { managers } : { managers, interrupted };
    const { status, stderr } = await host.run(['logs', '-D', directory, ...words], runLogs, world);
    const spoken = existsSync(said) ? readFileSync(said, 'utf8').trimEnd() : '';
    return { status, stderr, said: spoken.replace(`${host.home}/bin/`, '') };
  };
  return { host, directory, said, logs };
}

describe('cm_ctl logs', () => {
  it('shows the journal of the unit, and passes on whether that went well', async () => {
    const { host, logs } = scene();
    const manager = managerOf({ UnitFileState: 'enabled' });
    assert.deepEqual(await logs(manager, ['-n', '5']), {
      status: 0,
      stderr: '',
      said: 'journalctl --unit=conmgr@app1.service --lines=5 --no-pager',
    });
    host.program('journalctl', notes('exit 3'));
    assert.equal((await logs(manager)).status, 1);
  });

  it('shows the file where cm_ctl itself runs conmgr', async () => {
    const { directory, logs } = scene();
    writeFileSync(join(directory, 'conmgr.log'), 'one\n');
    assert.equal((await logs(new FakeManager())).said, `tail -n +1 -- ${directory}/conmgr.log`);
  });

  it('shows the file of a conmgr whose unit has never run', async () => {
    const { directory, logs } = scene();
    const unit = managerOf({ UnitFileState: 'disabled', InvocationID: '' });
    assert.match((await logs(unit)).said, /^journalctl /);
    writeFileSync(join(directory, 'conmgr.log'), 'one\n');
    assert.match((await logs(unit)).said, /^tail /);
    assert.match((await logs(unit, ['--manager', 'system'])).said, /^journalctl /);
    assert.match((await logs(managerOf({ InvocationID: 'a'.repeat(32) }))).said, /^journalctl /);
  });

  it('says that there is neither', async () => {
    const { directory, logs } = scene();
    const { status, stderr, said } = await logs(new FakeManager());
    assert.deepEqual({ status, said }, { status: 1, said: '' });
    assert.match(stderr, new RegExp(`conmgr has left no log in directory "${directory}"`));
  });

  it('ends with an interruption, as well as what it started', async () => {
    const { host, directory, said, logs } = scene();
    writeFileSync(join(directory, 'conmgr.log'), 'one\n');
    // It is ready when it has set its trap, and says so by a second name for what it said, which is there as a whole.
    const ready = `${basename(said)}.ready`;
    host.program(
      'tail',
      notes(
        `trap 'echo ended > "$STATE/said"; exit 1' TERM; ln "$STATE/said" "$STATE/${ready}"; while :; do sleep 0.05; done`,
      ),
    );
    const interruption = new AbortController();
    const watcher = watch(dirname(said), (_event, name) => {
      if (name === ready) interruption.abort();
    });
    const result = await logs(new FakeManager(), ['-f'], interruption.signal);
    watcher.close();
    assert.deepEqual(result, { status: 0, stderr: '', said: 'ended' });
  });

  it('takes a whole number of lines', async () => {
    await assert.rejects(scene().logs(new FakeManager(), ['-n', '-1']), /not a command line/);
  });
});
