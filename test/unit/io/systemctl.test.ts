import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { Systemctl, SystemctlError, systemdRuns } from '../../../src/io/systemctl.js';
import { freshDirectory } from '../ctl/fake-world.js';
import { type ScriptedAnswer, ScriptedSystemctl } from '../ctl/scripted-systemctl.js';

function scripted(...answers: ScriptedAnswer[]): { script: ScriptedSystemctl; systemctl: Systemctl } {
  const script = new ScriptedSystemctl(answers);
  const { program } = script;
  return { script, systemctl: new Systemctl({ scope: 'system', program, mayAsk: false }) };
}

describe('systemctl', () => {
  it('shows the properties that were asked for', async () => {
    const { script, systemctl } = scripted({ when: 'show conmgr@a.service', stdout: 'MainPID=3\nResult=\n' });
    const properties = await systemctl.show('conmgr@a.service', ['MainPID', 'Result']);
    assert.deepEqual(properties, { MainPID: '3', Result: '' });
    assert.deepEqual(script.calls, [
      '--system --no-pager --no-ask-password show --property=MainPID,Result -- conmgr@a.service',
    ]);
  });

  it('is told whose manager is meant', async () => {
    const script = new ScriptedSystemctl([{ when: 'stop' }]);
    const { program } = script;
    await new Systemctl({ scope: 'user', program }).act('stop', ['u'], { args: ['--no-block'] });
    await new Systemctl({ scope: 'user', owner: 'alice', program }).act('stop', ['u']);
    assert.deepEqual(script.calls, [
      '--user --no-pager --no-ask-password stop --no-block -- u',
      '--user --machine=alice@.host --no-pager --no-ask-password stop -- u',
    ]);
  });

  it('speaks English, whatever the language of the user', async () => {
    const program = join(freshDirectory(), 'systemctl');
    writeFileSync(program, '#!/bin/sh\necho "Id=$LC_ALL"\n', { mode: 0o755 });
    const environment = { ...process.env, LC_ALL: 'de_DE.UTF-8' };
    const systemctl = new Systemctl({ scope: 'system', program, environment });
    assert.deepEqual(await systemctl.show('u', ['Id']), { Id: 'C' });
  });

  it('passes on what it said and its status', async () => {
    const { systemctl } = scripted({ when: 'start', status: 4, stderr: 'Access denied\n' });
    await assert.rejects(systemctl.act('start', ['u']), (error) => {
      assert.ok(error instanceof SystemctlError);
      assert.deepEqual({ status: error.status, text: error.text }, { status: 4, text: 'Access denied' });
      return true;
    });
  });

  it('keeps no more than a page of what it said', async () => {
    const { systemctl } = scripted({ when: 'start', status: 1, stderr: 'x'.repeat(50_000) });
    await assert.rejects(systemctl.act('start', ['u']), ({ text }: SystemctlError) => text.length === 4000);
  });

  it('is missing with the status that a shell gives', async () => {
    const systemctl = new Systemctl({ scope: 'system', program: '/nonexistent/systemctl' });
    await assert.rejects(systemctl.act('start', ['u']), { status: 127 });
    assert.equal(await systemctl.isReachable(), false);
    assert.equal(await systemctl.hasTemplate('conmgr@.service'), false);
  });

  it('is waited for no longer than the caller wants', async () => {
    const { systemctl } = scripted({ when: 'start', hangs: true });
    const impatient = systemctl.act('start', ['u'], { signal: AbortSignal.timeout(50) });
    await assert.rejects(impatient, { status: null });
  });

  it('lists what is loaded and what is only enabled, without the template', async () => {
    const { systemctl } = scripted(
      { when: 'list-units', stdout: 'conmgr@b.service loaded active running B\n' },
      {
        when: 'list-unit-files',
        stdout: 'conmgr@.service disabled\nconmgr@b.service enabled\nconmgr@a.service enabled\n',
      },
    );
    assert.deepEqual(await systemctl.list('conmgr@*.service'), [
      { unit: 'conmgr@a.service', load: 'stub', active: 'inactive', sub: 'dead' },
      { unit: 'conmgr@b.service', load: 'loaded', active: 'active', sub: 'running' },
    ]);
  });

  it('lists nothing where there is nothing', async () => {
    const { systemctl } = scripted({ when: 'list-units' }, { when: 'list-unit-files', status: 1 });
    assert.deepEqual(await systemctl.list('conmgr@*.service'), []);
  });

  it('has a template when an instance of it can be loaded', async () => {
    const { systemctl } = scripted(
      { when: 'show conmgr@x.service', stdout: 'LoadState=loaded\n' },
      { when: 'show', stdout: 'LoadState=not-found\n' },
    );
    assert.equal(await systemctl.hasTemplate('conmgr@.service'), true);
    assert.equal(await systemctl.hasTemplate('other@.service'), false);
  });
});

describe('whether systemd runs', () => {
  it('is told by a directory that is there', () => {
    const place = join(freshDirectory(), 'system');
    assert.equal(systemdRuns(place), false);
    mkdirSync(place);
    assert.equal(systemdRuns(place), true);
  });
});
