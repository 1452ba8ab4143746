import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, it } from 'node:test';
import { startCommand } from '../support/running.js';
import { PRIMARY } from '../support/scripted-watchdog.js';
import { inTree, temporaryDirectory } from '../support/tree.js';
import { callHelper } from './caller.js';
import {
  controlGroup,
  helperWords,
  NOBODY,
  OBJECT,
  pinFileSystem,
  setUpNetwork,
  socketPath,
  startHelper,
  targetLists,
} from './place.js';
import { KernelScene } from './scene.js';

describe('conmgr-helper on a kernel that lacks something', () => {
  let lack: string;

  before(() => {
    setUpNetwork();
    lack = join(temporaryDirectory(), 'lack');
    execFileSync('clang', ['-O1', '-o', lack, inTree('test/kernel/lack.c')]);
  });

  for (const [what, word, reason, cure] of [
    [
      'has no bpf(2)',
      'bpf',
      /function not implemented/,
      /HINT: {2}The kernel has no bpf\(2\).*CONFIG_BPF_SYSCALL/,
    ],
    [
      'keeps bpf(2) from containers',
      'bpf-right',
      /operation not permitted/,
      /HINT: {2}The helper lacks CAP_BPF.*--cap-add BPF/,
    ],
  ] as const) {
    it(`that ${what}: has the guard and no redirect, and says why and what cures it`, async () => {
      const socket = socketPath();
      const args = ['--socket', socket, '--targets', targetLists('user 0\n'), '--pins', '/nowhere'];
      const helper = startHelper(args, '+net_admin', [lack, word]);
      const caller = await callHelper(socket);
      const { guard, redirect } = await caller.ask({ do: 'probe' });
      assert.equal(guard, null);
      assert.match(String(redirect), reason);
      caller.close();
      helper.kill();
      const { stderr } = await helper.done;
      assert.match(stderr, /LOG: {2}connections cannot be redirected: /);
      assert.match(stderr, cure);
    });
  }

  it('that has no bpf(2): the programs are not loaded, with the cure, and nothing is left behind', async () => {
    const pins = join(pinFileSystem(), 'conmgr');
    const group = controlGroup('lacking');
    const where = ['--pins', pins, '--cgroup', group.path, '--user', String(NOBODY), '--object', OBJECT];
    const { code, stderr } = await startCommand(lack, ['bpf', ...helperWords('load', ...where)]).done;
    assert.equal(code, 78);
    assert.match(stderr, /FATAL: {2}could not load the redirect programs: .*function not implemented/);
    assert.match(stderr, /HINT: {2}The kernel has no bpf\(2\)/);
    assert.equal(existsSync(pins), false);
  });

  it('that has no sock_diag: ends with 78, since neither is possible', async () => {
    const { code, stderr } = await startHelper(
      ['--socket', socketPath(), '--pins', '/nowhere'],
      '+net_admin',
      [lack, 'sock_diag'],
    ).done;
    assert.equal(code, 78);
    assert.match(stderr, /sockets cannot be ended: .*protocol not supported/);
    assert.match(stderr, /HINT: {2}The kernel lacks sock_diag/);
  });

  it('that has no bpf(2): conmgr forwards its listeners, says so, and guards all the same', async () => {
    const scene = await KernelScene.start({
      attributes: [PRIMARY],
      listeners: ['primary'],
      settings: { guard: 'on' },
      programs: false,
      helperWithin: [lack, 'bpf'],
    });
    try {
      const [primary = 0] = scene.listeners;
      await scene.conmgr.logged(/forwards bytes \(gateway\): .*function not implemented/);
      assert.equal((await scene.application(primary)).at, '127.0.0.1');
      const direct = await scene.application(scene.port, '127.0.0.2');
      scene.watchdogs[0]!.tell({ state: 'down', text: 'postmaster is gone' });
      await direct.program.waitForLine(/^ended ECONNABORTED$/);
    } finally {
      await scene.end();
    }
  });
});
