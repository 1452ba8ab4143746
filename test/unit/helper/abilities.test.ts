import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Log, MessageParams, MessageSpec } from '../../../src/core/messages/message.js';
import { fill } from '../../../src/core/messages/message.js';
import { testAbilities } from '../../../src/helper/abilities.js';
import { BpfError } from '../../../src/io/bpf.js';
import { SockDiagError } from '../../../src/io/sock-diag.js';
import { FakeClock } from '../../support/fake-clock.js';
import { FakeKernel } from './fake-kernel.js';

/** What is told about a kernel, with the hint. */
async function toldAbout(kernel: FakeKernel): Promise<{ guard: string; redirect: string; lines: string[] }> {
  const lines: string[] = [];
  const log: Log = {
    write: (spec: MessageSpec, params: MessageParams = {}) => {
      lines.push(`${spec.level} ${fill(spec.text, params)} | ${fill(spec.hint ?? '', params)}`);
    },
  };
  const { guardProblem, redirectProblem } = await testAbilities(kernel, new FakeClock(), log);
  return { guard: guardProblem, redirect: redirectProblem, lines };
}

/** The real connection of the self-test is not in the list of the fake, so its end is simulated. */
class KernelWithOwnConnection extends FakeKernel {
  override list(...[family, states, target]: Parameters<FakeKernel['list']>) {
    if (target !== undefined && family === 2) {
      this.sockets.length = 0;
      this.connect({ to: '127.0.0.1', port: target.port });
    }
    return super.list(family, states, target);
  }
}

describe('the self-test of the helper', () => {
  for (const [name, errno, cure] of [
    ['the capability', 1, /WARNING sockets cannot be ended: .*not permitted \| .*CAP_NET_ADMIN/],
    ['the kernel option', 95, /\| .*CONFIG_INET_DIAG_DESTROY/],
    ['the module', 2, /\| .*modprobe tcp_diag/],
  ] as const) {
    it(`tells the cure when ${name} is missing`, async () => {
      const kernel = new KernelWithOwnConnection();
      kernel.endErrno = errno;
      const { guard, redirect, lines } = await toldAbout(kernel);
      assert.match(guard, /could not end a socket/);
      assert.equal(redirect, '');
      assert.equal(lines.length, 1);
      assert.match(lines.join(), cure);
    });
  }

  it('tells that there is no netlink socket to be had', async () => {
    const kernel = new FakeKernel();
    kernel.openError = new SockDiagError('could not open a netlink socket', 93);
    const { guard, lines } = await toldAbout(kernel);
    assert.match(guard, /could not open a netlink socket/);
    assert.match(lines.join('\n'), /CONFIG_INET_DIAG/);
  });

  it('does not believe a kernel that says it ended a connection which lives on, or does not list it', async () => {
    const { guard } = await toldAbout(new FakeKernel());
    assert.equal(guard, 'a connection of the helper itself was found 0 times');
    const liar = await toldAbout(new KernelWithOwnConnection());
    assert.equal(liar.guard, 'a connection that was ended reported nothing');
  });

  for (const [name, error, cure] of [
    ['no program is loaded', new BpfError('could not open "x"', 2), /LOG .*systemctl start conmgr-redirect/],
    ['the kernel wants another right', new BpfError('could not open "x"', 1), /lacks CAP_BPF.*--cap-add BPF/],
    ['the pins are not the own ones', new BpfError('could not open "x"', 13), /restart conmgr-redirect/],
  ] as const) {
    it(`tells the cure when ${name}`, async () => {
      const kernel = new FakeKernel();
      kernel.routeError = error;
      const { redirect, lines } = await toldAbout(kernel);
      assert.match(redirect, /could not open "x"/);
      assert.match(lines.join('\n'), cure);
    });
  }

  it('has no redirect on a kernel that does not number network namespaces', async () => {
    const kernel = new FakeKernel();
    kernel.cookie = undefined;
    assert.match((await toldAbout(kernel)).redirect, /does not number network namespaces/);
  });
});
