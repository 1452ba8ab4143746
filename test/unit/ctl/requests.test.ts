import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { ControlAnswer } from '../../../src/core/control/protocol.js';
import { instanceStatus, statusOf } from '../../support/status-report.js';
import { ctl, FakeConmgr, freshDirectory, type SentRequest } from './fake-world.js';

async function conmgr(answer: ControlAnswer | ((request: SentRequest) => ControlAnswer)) {
  const directory = freshDirectory();
  const fake = await FakeConmgr.serve(directory, typeof answer === 'function' ? answer : () => answer);
  return { directory, fake };
}

const REFUSAL: ControlAnswer = {
  ok: false,
  error: {
    code: '57P03',
    message: 'conmgr: no instance is available',
    detail: 'One.\nTwo.',
    hint: 'Try again.',
  },
};

describe('cm_ctl reload', () => {
  const reload = (report: Partial<Extract<ControlAnswer, { reload: unknown }>['reload']>): ControlAnswer => ({
    ok: true,
    reload: { changed: [], needsRestart: [], problems: [], ...report },
  });

  it('tells what changed and what needs a restart', async () => {
    const { directory, fake } = await conmgr(
      reload({ changed: ['max_connections', 'instance 2 added'], needsRestart: ['port'] }),
    );
    assert.deepEqual(await ctl(['reload', '-D', directory]), {
      status: 0,
      stdout: 'conmgr reloaded\nchanged: max_connections, instance 2 added\nneeds a restart: port\n',
      stderr: '',
    });
    assert.deepEqual(fake.requests, [{ command: 'reload', forgetCluster: false }]);
  });

  it('says that nothing changed', async () => {
    const { directory } = await conmgr(reload({}));
    assert.equal((await ctl(['reload', '-D', directory])).stdout, 'conmgr reloaded\nchanged: nothing\n');
  });

  it('asks to forget the cluster', async () => {
    const { directory, fake } = await conmgr(reload({}));
    await ctl(['reload', '-D', directory, '--forget-cluster']);
    assert.equal(fake.requests[0]?.['forgetCluster'], true);
  });

  it('prints all problems and ends with 78', async () => {
    const { directory } = await conmgr(
      reload({ problems: ['conmgr.conf:1: wrong', 'conmgr.conf:9: worse'] }),
    );
    const { status, stderr } = await ctl(['reload', '-D', directory]);
    assert.equal(status, 78);
    assert.equal(
      stderr,
      'cm_ctl: conmgr.conf was not loaded, the running configuration stays\nDETAIL:  conmgr.conf:1: wrong\n\tconmgr.conf:9: worse\n',
    );
  });

  it('fails when conmgr does not run', async () => {
    const { status, stderr } = await ctl(['reload', '-D', freshDirectory()]);
    assert.equal(status, 1);
    assert.match(stderr, /is not running/);
  });
});

describe('cm_ctl resolve', () => {
  const candidates = [
    { instance: 1, host: 'db2', hostaddr: '192.0.2.2', port: 5432 },
    { instance: 0, host: "o'db", hostaddr: '', port: 5433 },
  ];

  it('prints the first candidate as words of a connection string', async () => {
    const { directory, fake } = await conmgr({ ok: true, candidates });
    const { status, stdout } = await ctl(['resolve', 'Standby', '-D', directory]);
    assert.deepEqual({ status, stdout }, { status: 0, stdout: 'host=db2 hostaddr=192.0.2.2 port=5432\n' });
    assert.deepEqual(fake.requests, [{ command: 'resolve', target: 'standby' }]);
  });

  it('prints all candidates with --all, quoted as libpq reads them', async () => {
    const { directory } = await conmgr({ ok: true, candidates });
    const { stdout } = await ctl(['resolve', 'any', '--all', '-D', directory]);
    assert.equal(stdout, "host=db2 hostaddr=192.0.2.2 port=5432\nhost='o\\'db' port=5433\n");
  });

  it('prints JSON', async () => {
    const { directory } = await conmgr({ ok: true, candidates });
    assert.deepEqual(
      JSON.parse((await ctl(['resolve', 'any', '--json', '-D', directory])).stdout),
      candidates[0],
    );
    const all = await ctl(['resolve', 'any', '--json', '--all', '-D', directory]);
    assert.deepEqual(JSON.parse(all.stdout), candidates);
  });

  it('fails with what an application would be told when nothing fits', async () => {
    const { directory } = await conmgr(REFUSAL);
    assert.deepEqual(await ctl(['resolve', 'primary', '-D', directory]), {
      status: 1,
      stdout: '',
      stderr: 'cm_ctl: no instance is available\nDETAIL:  One.\n\tTwo.\nHINT:  Try again.\n',
    });
  });

  it('takes a wrong target for wrong usage and asks nobody', async () => {
    const { status, stderr } = await ctl(['resolve', 'leader', '-D', '/nonexistent/d']);
    assert.equal(status, 2);
    assert.match(stderr, /^cm_ctl: invalid target_session_attrs: "leader"\nHINT: {2}Known values are any, /);
  });
});

describe('cm_ctl resolve-conflict', () => {
  const withConflicts = (...numbers: number[]) =>
    conmgr(({ command }) =>
      command === 'status'
        ? {
            ok: true,
            status: statusOf({
              instances: [0, 1, 2].map((number) =>
                instanceStatus({ number, conflict: numbers.includes(number) }),
              ),
            }),
          }
        : { ok: true, accepted: 'resolveConflict' },
    );

  it('takes the one instance that is in conflict', async () => {
    const { directory, fake } = await withConflicts(2);
    assert.equal((await ctl(['resolve-conflict', '-D', directory])).status, 0);
    assert.deepEqual(fake.requests.at(-1), { command: 'resolveConflict', instance: 2 });
  });

  it('takes the number it is given', async () => {
    const { directory, fake } = await withConflicts(1, 2);
    assert.equal((await ctl(['resolve-conflict', '1', '-D', directory])).status, 0);
    assert.deepEqual(fake.requests, [{ command: 'resolveConflict', instance: 1 }]);
  });

  it('does not choose among several', async () => {
    const { directory, fake } = await withConflicts(1, 2);
    const { status, stderr } = await ctl(['resolve-conflict', '-D', directory]);
    assert.equal(status, 1);
    assert.match(stderr, /more than one instance is in conflict: 1, 2\n/);
    assert.equal(fake.requests.length, 1);
  });

  it('fails when there is none', async () => {
    const { directory } = await withConflicts();
    assert.equal((await ctl(['resolve-conflict', '-D', directory])).status, 1);
  });

  it('takes a word that is no number for wrong usage', async () => {
    assert.equal((await ctl(['resolve-conflict', 'db1', '-D', '/nonexistent/d'])).status, 2);
  });
});

describe('cm_ctl init', () => {
  it('makes the directory for its owner only, with a commented conmgr.conf', async () => {
    const directory = join(freshDirectory(), 'a/b');
    const { status } = await ctl(['init', '-D', directory]);
    assert.equal(status, 0);
    assert.equal(statSync(directory).mode & 0o777, 0o700);
    const text = readFileSync(join(directory, 'conmgr.conf'), 'utf8');
    assert.match(text, /^#backend_host0 = /m);
    assert.equal(text.split('\n').filter((line) => line !== '' && !line.startsWith('#')).length, 0);
  });

  it('takes an empty directory and closes it to others', async () => {
    const directory = freshDirectory();
    mkdirSync(join(directory, 'd'), { mode: 0o755 });
    assert.equal((await ctl(['init', '-D', join(directory, 'd')])).status, 0);
    assert.equal(statSync(join(directory, 'd')).mode & 0o777, 0o700);
  });

  it('refuses a directory that is not empty and leaves it as it is', async () => {
    const directory = freshDirectory();
    writeFileSync(join(directory, 'conmgr.conf'), 'mine');
    const { status, stderr } = await ctl(['init', '-D', directory]);
    assert.equal(status, 1);
    assert.match(stderr, /exists but is not empty/);
    assert.equal(readFileSync(join(directory, 'conmgr.conf'), 'utf8'), 'mine');
  });

  it('refuses a file of that name', async () => {
    const file = join(freshDirectory(), 'file');
    writeFileSync(file, '');
    const { status, stderr } = await ctl(['init', '-D', file]);
    assert.equal(status, 1);
    assert.match(stderr, /^cm_ctl: could not create "/);
  });

  it('is refused to root', async () => {
    const { status, stderr } = await ctl(['init', '-D', join(freshDirectory(), 'd')], { uid: 0 });
    assert.equal(status, 1);
    assert.match(stderr, /^cm_ctl: cannot be run as root\n/);
  });
});
