import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, it } from 'node:test';
import { GOODBYE_REASONS } from '../../src/core/protocol/messages.js';
import { ConmgrProcess, type ConmgrSettings, launchConmgr } from '../support/conmgr-process.js';
import { DatagramReceiver } from '../support/datagram-receiver.js';
import { eventually } from '../support/eventually.js';
import { freePort } from '../support/free-ports.js';
import { readIfAny } from '../support/processes.js';
import { kindsOf, ScriptedSet } from '../support/scripted-set.js';
import { PRIMARY, STANDBY } from '../support/scripted-watchdog.js';
import { temporaryDirectory } from '../support/tree.js';

const EPS_MS = 500;

const sets: ScriptedSet[] = [];
afterEach(async () => {
  await Promise.all(sets.splice(0).map((set) => set.end()));
});

async function startSet(settings: ConmgrSettings = {}): Promise<ScriptedSet> {
  const set = await ScriptedSet.start([PRIMARY, STANDBY], { settings });
  sets.push(set);
  return set;
}

/** Ports on which a process listens. */
function listeningPorts(pid: number): readonly number[] {
  const inodes = new Set(
    readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
      try {
        return /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1] ?? [];
      } catch {
        return [];
      }
    }),
  );
  const rows = ['tcp', 'tcp6'].flatMap((name) =>
    readFileSync(`/proc/${pid}/net/${name}`, 'latin1').split('\n').slice(1),
  );
  return rows.flatMap((row) => {
    const [, local = '', , state, , , , , , inode = ''] = row.trim().split(/\s+/);
    return state === '0A' && inodes.has(inode) ? Number.parseInt(local.split(':')[1] ?? '', 16) : [];
  });
}

describe('a fast stop', () => {
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    it(`by ${signal} tells every application and every watchdog goodbye, and exits 0`, async () => {
      const { conmgr, watchdogs } = await startSet();
      const apps = [await conmgr.bound({ target: 'primary' }), await conmgr.bound({ target: 'standby' })];
      conmgr.running.kill(signal);
      for (const app of apps) {
        const bye = await app.next('bye');
        assert.deepEqual([bye.bye, bye.retryAfterMs], ['stop', 0]);
        await app.closed();
      }
      for (const { link } of watchdogs)
        assert.equal(GOODBYE_REASONS[(await link.waitFor('goodbye')).reason], 'stop');
      assert.deepEqual(await conmgr.running.exit, { code: 0, signal: null });
      await conmgr.logged(/LOG: +received fast shutdown request/);
      await conmgr.logged(/LOG: +conmgr is shut down/);
      assert.equal(existsSync(join(conmgr.directory, 'conmgr.sock')), false);
    });
  }

  it('refuses requests that still wait for an instance, so that a driver goes on to its next host', async () => {
    const set = await ScriptedSet.start([STANDBY], { settings: { resolve_wait: '20s' } });
    sets.push(set);
    const waiting = set.conmgr.ask({ target: 'primary' });
    await eventually(async () => (await set.conmgr.status()).applications.length === 1, {
      what: 'a request that waits',
    });
    set.conmgr.running.kill('SIGTERM');
    const refusal = await waiting.refusal();
    assert.equal(refusal.sqlState, '57P03');
    assert.match(refusal.message, /^conmgr: conmgr is shutting down/);
  });

  it('does not take applications any more while it says goodbye', async () => {
    const { conmgr, watchdogs } = await startSet();
    for (const watchdog of watchdogs) watchdog.acknowledges = false;
    const app = await conmgr.bound();
    conmgr.running.kill('SIGTERM');
    await app.next('bye');
    await assert.rejects(conmgr.ask().candidates(), /closed without|conmgr refused/);
    await conmgr.running.exit;
  });

  it('does not wait for a watchdog that does not answer its goodbye, nor for an application that does not leave', async () => {
    const { conmgr, watchdogs } = await startSet();
    for (const watchdog of watchdogs) watchdog.acknowledges = false;
    const app = await conmgr.bound();
    app.stopReading();
    const begunMs = performance.now();
    assert.equal((await conmgr.stop('SIGTERM')).code, 0);
    const tookMs = performance.now() - begunMs;
    assert.ok(tookMs < 500 + 2000 + EPS_MS, `${tookMs} ms`);
  });

  it('ends although no watchdog was ever reached', async () => {
    const conmgr = await ConmgrProcess.start({
      instances: [{ backendPort: await freePort(), watchdogPort: await freePort() }],
    });
    assert.equal((await conmgr.stop('SIGTERM')).code, 0);
  });

  it('is announced to systemd', async () => {
    const path = join(temporaryDirectory(), 'notify');
    const systemd = new DatagramReceiver(path);
    const conmgr = await ConmgrProcess.start({
      instances: [{ backendPort: await freePort(), watchdogPort: await freePort() }],
      env: { NOTIFY_SOCKET: path },
    });
    await conmgr.stop('SIGTERM');
    assert.match(systemd.takeTexts().join('\n'), /READY=1[\s\S]*STOPPING=1/);
    systemd.close();
  });
});

describe('a smart stop', () => {
  it('by SIGUSR1 waits until no application has a session, keeps the links, and refuses new ones with 57P03', async () => {
    const { conmgr, watchdogs } = await startSet();
    const [first, second] = [await conmgr.bound(), await conmgr.bound()];
    conmgr.running.kill('SIGUSR1');
    await conmgr.logged(/LOG: +received smart shutdown request/);
    await conmgr.logged(/LOG: +waiting for 2 application sessions to end/);
    assert.equal((await conmgr.status()).state, 'stopping');
    const refusal = await conmgr.ask().refusal();
    assert.equal(refusal.sqlState, '57P03');
    assert.match(refusal.message, /^conmgr: conmgr is shutting down/);
    first.leave();
    await conmgr.until('one is left', ({ applications }) => applications.length === 1);
    const beats = watchdogs[0]!.link.count('beat');
    await eventually(() => watchdogs[0]!.link.count('beat') > beats + 1, { what: 'the link beats' });
    assert.deepEqual(kindsOf(second), ['hello', 'candidates']);
    second.leave();
    assert.equal(GOODBYE_REASONS[(await watchdogs[0]!.link.waitFor('goodbye')).reason], 'stop');
    assert.deepEqual(await conmgr.running.exit, { code: 0, signal: null });
  });

  it('by SIGUSR1 opens no debugger, which Node.js does by default', async () => {
    const { conmgr } = await startSet();
    const app = await conmgr.bound();
    assert.deepEqual(listeningPorts(conmgr.pid), [conmgr.port]);
    conmgr.running.kill('SIGUSR1');
    await conmgr.logged(/waiting for 1 application sessions/);
    assert.deepEqual(listeningPorts(conmgr.pid), [conmgr.port]);
    assert.doesNotMatch(conmgr.running.stderr, /[Dd]ebugger/);
    app.leave();
    await conmgr.running.exit;
  });

  it('ends at once when there is no session', async () => {
    const { conmgr } = await startSet();
    assert.deepEqual(await conmgr.stop('SIGUSR1'), { code: 0, signal: null });
  });

  it('still tells a loss to those it waits for', async () => {
    const { conmgr, watchdogs } = await startSet();
    const app = await conmgr.bound({ target: 'primary' });
    conmgr.running.kill('SIGUSR1');
    await conmgr.logged(/waiting for 1 application sessions/);
    watchdogs[0]!.tell({ state: 'down', bits: 0 });
    await app.next('down');
  });

  it('becomes a fast one by SIGTERM', async () => {
    const { conmgr } = await startSet();
    const app = await conmgr.bound();
    conmgr.running.kill('SIGUSR1');
    await conmgr.logged(/waiting for 1 application sessions/);
    conmgr.running.kill('SIGTERM');
    assert.equal((await app.next('bye')).bye, 'stop');
    assert.deepEqual(await conmgr.running.exit, { code: 0, signal: null });
  });
});

describe('an immediate stop', () => {
  it('by SIGQUIT exits at once, without a goodbye to anybody', async () => {
    const { conmgr, watchdogs } = await startSet();
    const app = await conmgr.bound();
    const begunMs = performance.now();
    assert.equal((await conmgr.stop('SIGQUIT')).code, 0);
    assert.ok(performance.now() - begunMs < EPS_MS);
    await app.closed();
    assert.deepEqual(kindsOf(app), ['hello', 'candidates']);
    await watchdogs[0]!.link.closed;
    assert.equal(watchdogs[0]!.link.count('goodbye'), 0);
  });
});

describe('a stop for a restart', () => {
  it('says so to applications and watchdogs, with the longest grace of the watchdogs', async () => {
    const { conmgr, watchdogs } = await startSet();
    watchdogs[1]!.graceMs = 12_000;
    watchdogs[1]!.link.close();
    await watchdogs[1]!.nextLink(1);
    await conmgr.linked();
    const app = await conmgr.bound();
    const answer = await conmgr.control({ command: 'stop', mode: 'restart' });
    assert.deepEqual(answer, { ok: true, accepted: 'restart' });
    const bye = await app.next('bye');
    assert.deepEqual([bye.bye, bye.retryAfterMs], ['restart', 12_000]);
    const goodbye = await watchdogs[0]!.link.waitFor('goodbye');
    assert.deepEqual([GOODBYE_REASONS[goodbye.reason], goodbye.retryAfterMs], ['restart', 12_000]);
    assert.equal((await conmgr.running.exit).code, 0);
  });
});

describe('a signal during the start', () => {
  /** Whether a process has a handler for SIGHUP (proc(5), SigCgt). */
  const handlesHangup = (pid: number): boolean => {
    const mask = /^SigCgt:\s*([0-9a-f]+)$/m.exec(readIfAny(`/proc/${pid}/status`))?.[1] ?? '0';
    return (BigInt(`0x${mask}`) & 1n) === 1n;
  };

  /** Held up at the lock of its directory, for which it waits a second. */
  async function heldUp(): Promise<ReturnType<typeof launchConmgr>> {
    const { conmgr } = await startSet();
    const second = launchConmgr(conmgr.directory);
    await eventually(() => handlesHangup(second.pid), { everyMs: 2, what: 'signals are handled' });
    return second;
  }

  it('SIGHUP is no reason to end', async () => {
    const second = await heldUp();
    second.kill('SIGHUP');
    const { code, stderr } = await second.done;
    assert.equal(code, 1);
    assert.match(stderr, /is in use by another process/);
  });

  for (const signal of ['SIGTERM', 'SIGUSR1'] as const) {
    it(`${signal} ends it`, async () => {
      const second = await heldUp();
      second.kill(signal);
      const { code, stderr } = await second.done;
      assert.equal(code, 0);
      assert.doesNotMatch(stderr, /[Dd]ebugger/);
    });
  }
});
