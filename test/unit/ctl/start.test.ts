import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { StatusReport } from '../../../src/core/control/protocol.js';
import { instanceStatus, standbyStatus, statusOf, unreachedStatus } from '../../support/status-report.js';
import { ctl, FakeConmgr, FakeManager, freshDirectory } from './fake-world.js';

const REACHED = statusOf();
const UNREACHED = statusOf({ instances: [unreachedStatus(), standbyStatus()] });

/** A manager whose start makes a conmgr that tells `reports`, each after the one before was seen. */
function starting(...reports: StatusReport[]): FakeManager {
  const manager = new FakeManager();
  manager.onStart = async ({ directory }) => {
    const conmgr = await FakeConmgr.serve(directory, () => {
      setImmediate(() => {
        for (const status of reports.slice(1)) conmgr.tell({ ok: true, status });
      });
      return { ok: true, status: reports[0]! };
    });
    return {};
  };
  return manager;
}

describe('cm_ctl start', () => {
  it("returns when the primary's link is up, not before", async () => {
    const manager = starting(UNREACHED, REACHED);
    const result = await ctl(['start', '-D', freshDirectory()], { manager });
    assert.deepEqual(result, {
      status: 0,
      stdout: 'waiting for conmgr to start... done\nconmgr started\n',
      stderr: '',
    });
  });

  it('finds the control socket however late it appears', async () => {
    const directory = freshDirectory();
    const manager = new FakeManager();
    const result = ctl(['start', '-D', directory], { manager });
    while (manager.started.length === 0) await new Promise(setImmediate);
    await FakeConmgr.serve(directory, () => ({ ok: true, status: REACHED }));
    assert.equal((await result).status, 0);
  });

  it('asks again while conmgr says that it is starting up', async () => {
    const manager = new FakeManager();
    let asked = 0;
    manager.onStart = async ({ directory }) => {
      await FakeConmgr.serve(directory, () => {
        asked += 1;
        const error = { code: '57P03', message: 'conmgr is starting up' };
        return asked < 3 ? { ok: false, error } : { ok: true, status: REACHED };
      });
      return {};
    };
    const { status } = await ctl(['start', '-D', freshDirectory()], { manager });
    assert.deepEqual({ status, asked }, { status: 0, asked: 3 });
  });

  it('waits for all links with --complete', async () => {
    const half = statusOf({ instances: [instanceStatus(), unreachedStatus({ number: 1 })] });
    const manager = starting(half, REACHED);
    assert.equal((await ctl(['start', '-D', freshDirectory(), '--complete'], { manager })).status, 0);
  });

  it('says that not all links came up with --complete', async () => {
    const half = statusOf({ instances: [instanceStatus(), unreachedStatus({ number: 1 })] });
    const words = ['start', '-D', freshDirectory(), '--complete', '-t', '1'];
    const { status, stderr } = await ctl(words, { manager: starting(half) });
    assert.equal(status, 1);
    assert.match(stderr, /^cm_ctl: not all links came up within 1 s; conmgr runs on\nDETAIL: {2}instance 0/);
  });

  it('gives up after -t with exit status 1 and tells what is known of each instance', async () => {
    const manager = starting(UNREACHED);
    const { status, stdout, stderr } = await ctl(['start', '-D', freshDirectory(), '-t', '1'], { manager });
    assert.equal(status, 1);
    assert.match(stdout, /^waiting for conmgr to start\.{3,5} stopped waiting\n$/);
    assert.equal(
      stderr,
      `cm_ctl: no link to a primary within 1 s; conmgr runs on
DETAIL:  instance 0 (db1:5432): no link (connection refused)
	instance 1 (db2:5432): link up, up, standby
HINT:  See "cm_ctl status". Option -t sets the time to wait, -W does not wait.
`,
    );
    assert.equal(manager.stopped.length, 0);
  });

  it('waits for ever with -t 0, until it is interrupted', async () => {
    const interruption = new AbortController();
    const manager = starting(UNREACHED);
    const result = ctl(['start', '-D', freshDirectory(), '-t', '0'], {
      manager,
      interrupted: interruption.signal,
    });
    while (manager.started.length === 0) await new Promise(setImmediate);
    interruption.abort();
    const { status, stderr } = await result;
    assert.deepEqual({ status, stderr }, { status: 1, stderr: 'cm_ctl: interrupted; conmgr runs on\n' });
  });

  it('does not wait for links with -W', async () => {
    const manager = starting(UNREACHED);
    const { status, stdout } = await ctl(['start', '-D', freshDirectory(), '-W'], { manager });
    assert.deepEqual({ status, stdout }, { status: 0, stdout: 'conmgr starting\n' });
  });

  for (const wait of ['-w', '-W']) {
    it(`passes on that the configuration is wrong, with ${wait}`, async () => {
      const manager = new FakeManager();
      const ended = Promise.resolve({
        status: 78,
        complaints: ['ERROR:  conmgr.conf:1: wrong', 'FATAL:  no'],
      });
      manager.onStart = async () => ({ ended });
      const { status, stderr } = await ctl(['start', '-D', freshDirectory(), wait], { manager });
      assert.equal(status, 78);
      assert.match(
        stderr,
        /^ERROR: {2}conmgr.conf:1: wrong\nFATAL: {2}no\ncm_ctl: could not start conmgr: its/,
      );
    });
  }

  for (const end of [77, 1, 70, null]) {
    it(`makes 1 of any other exit status of conmgr, as ${end}`, async () => {
      const manager = new FakeManager();
      manager.onStart = async () => ({ ended: Promise.resolve({ status: end, complaints: ['FATAL:  no'] }) });
      const { status, stderr } = await ctl(['start', '-D', freshDirectory()], { manager });
      assert.equal(status, 1);
      assert.match(
        stderr,
        /^FATAL: {2}no\ncm_ctl: could not start conmgr\nHINT: {2}Examine the log output in "/,
      );
    });
  }

  it('says so when conmgr ends while it waits for links', async () => {
    const manager = starting(UNREACHED);
    const serve = manager.onStart;
    let end: (value: { status: number; complaints: string[] }) => void = () => {};
    manager.onStart = async (request) => {
      await serve(request);
      return {
        ended: new Promise((resolve) => {
          end = resolve;
        }),
      };
    };
    const result = ctl(['start', '-D', freshDirectory(), '-t', '0'], { manager });
    while (manager.started.length === 0) await new Promise(setImmediate);
    // What is written to a local socket is read in the next turn of the event loop: the watch, then its answer.
    for (let turns = 0; turns < 10; turns += 1) await new Promise(setImmediate);
    end({ status: 0, complaints: [] });
    assert.match((await result).stderr, /conmgr ended while cm_ctl was waiting for its links/);
  });

  it('is not content with a conmgr that somebody else has started meanwhile', async () => {
    const manager = new FakeManager();
    manager.onStart = async ({ directory }) => {
      await FakeConmgr.serve(directory, () => ({ ok: true, status: statusOf({ pid: 999 }) }));
      return { ended: new Promise((resolve) => setImmediate(() => resolve({ status: 1, complaints: [] }))) };
    };
    assert.equal((await ctl(['start', '-D', freshDirectory()], { manager })).status, 1);
  });

  it('refuses to start a second one', async () => {
    const directory = freshDirectory();
    await FakeConmgr.serve(directory, () => ({ ok: true, status: REACHED }));
    const manager = new FakeManager();
    const { status, stderr } = await ctl(['start', '-D', directory], { manager });
    assert.equal(status, 1);
    assert.equal(stderr, `cm_ctl: conmgr is already running in directory "${directory}" (PID 1234)\n`);
    assert.equal(manager.started.length, 0);
  });

  it('refuses a directory that is not there with exit status 1', async () => {
    const { status, stderr } = await ctl(['start', '-D', '/nonexistent/d']);
    assert.equal(status, 1);
    assert.match(stderr, /^cm_ctl: directory "\/nonexistent\/d" does not exist\nHINT: /);
  });

  it('prints nothing with -s when all is well', async () => {
    const result = await ctl(['start', '-s', '-D', freshDirectory()], { manager: starting(REACHED) });
    assert.deepEqual(result, { status: 0, stdout: '', stderr: '' });
  });

  it('hands on the log file of -l', async () => {
    const manager = starting(REACHED);
    await ctl(['start', '-D', freshDirectory(), '-l', '/tmp/some.log'], { manager });
    assert.equal(manager.started[0]?.logFile, '/tmp/some.log');
  });
});
