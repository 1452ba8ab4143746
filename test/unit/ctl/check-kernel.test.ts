import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import type { Log } from '../../../src/core/messages/message.js';
import { runCheck } from '../../../src/ctl/check.js';
import { Guard } from '../../../src/helper/guard.js';
import { RouteTable } from '../../../src/helper/route-table.js';
import { type Serving, serveRequests } from '../../../src/helper/serve.js';
import { systemClock } from '../../../src/io/clock.js';
import { loadNative } from '../../../src/io/native.js';
import { temporaryDirectory } from '../../support/tree.js';
import { FakeKernel } from '../helper/fake-kernel.js';
import { FakeManager } from './fake-world.js';
import { Host } from './registry-scene.js';

const self = process.getuid?.() ?? 0;
const SERVER = 'backend_hostaddr0 = 127.0.0.1\nbackend_port0 = 9\nwatchdog_port0 = 9\n';
const TEXT = `${SERVER}guard = on\nlistener_port0 = 27547\nlistener_port1 = 27548\nlistener_mode1 = redirect\n`;
const LIST = `user ${self}\ntarget 127.0.0.1 9\nlistener 27547\nlistener 27548\n`;

describe('cm_ctl check about the kernel', () => {
  const nothing: Log = { write: () => {} };
  let path: string;
  let serving: Serving | undefined;

  const serve = async (list = LIST, redirectProblem = ''): Promise<void> => {
    const native = loadNative();
    assert.ok(native);
    const targets = join(temporaryDirectory(), 'targets.d');
    mkdirSync(targets);
    chmodSync(targets, 0o755);
    writeFileSync(join(targets, 'a.conf'), list);
    chmodSync(join(targets, 'a.conf'), 0o644);
    const fake = new FakeKernel();
    const abilities = {
      guard: new Guard<object>(fake, systemClock, nothing),
      guardProblem: '',
      routes: redirectProblem === '' ? new RouteTable<object>(fake, systemClock, nothing) : undefined,
      redirectProblem,
    };
    const shared = { native, abilities, clock: systemClock, log: nothing };
    serving = await serveRequests({ socket: path, targets, listOwner: self, ...shared });
  };
  const check = (text = TEXT) => {
    const host = new Host();
    const managers = { choose: async () => new FakeManager(), list: async () => [] };
    const environment = { CONMGR_HELPER_SOCKET: path };
    const directory = host.directory('app1', text);
    return host.run(['check', '-D', directory], runCheck, { managers, environment, uid: self });
  };

  beforeEach(() => {
    path = join(temporaryDirectory(), 's');
  });

  afterEach(async () => {
    await serving?.close();
    serving = undefined;
  });

  it('says that all would work', async () => {
    await serve();
    const { status, stdout, stderr } = await check();
    assert.match(
      stdout,
      /\nKernel\nguard: possible\nlistener_port0 = 27547: redirect\nlistener_port1 = 27548: redirect\n/,
    );
    assert.doesNotMatch(stderr, /guard|redirect/);
    assert.equal(status, 1, 'the instance is not there');
  });

  it('says that there is no helper, with the command that switches it on, and that conmgr would not start', async () => {
    const { status, stdout, stderr } = await check();
    const reason = 'conmgr-helper cannot be reached: no such file or directory';
    assert.match(stdout, new RegExp(`guard: not possible\\nlistener_port0 = 27547: gateway: ${reason}\\n`));
    assert.match(
      stderr,
      new RegExp(
        `guard = on is not possible: ${reason}\\nHINT: +Switch it on: systemctl enable --now conmgr-helper`,
      ),
    );
    assert.match(stderr, /warning: port 27548 forwards bytes although listener_mode is redirect/);
    assert.equal(status, 78);
  });

  it('names what no list allows, and what the kernel lacks', async () => {
    await serve(`user ${self}\nlistener 27547\n`, 'the programs are not loaded');
    const { status, stdout, stderr } = await check();
    assert.match(
      stderr,
      /guard = on is not possible: no list of conmgr-helper allows 127\.0\.0\.1:9\nHINT: +As root, "cm_ctl register"/,
    );
    assert.match(stdout, /listener_port0 = 27547: gateway: the programs are not loaded\n/);
    assert.equal(status, 78);
  });

  it('says nothing where nothing is wanted of the kernel', async () => {
    assert.doesNotMatch((await check(SERVER)).stdout, /Kernel/);
  });

  it('is no reason to fail where a listener may be forwarded', async () => {
    const { status, stderr } = await check(`${SERVER}listener_port0 = 27547\n`);
    assert.equal(status, 1, 'the instance is not there');
    assert.doesNotMatch(stderr, /helper/);
  });
});
