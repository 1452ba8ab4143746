import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { afterEach, describe, it } from 'node:test';
import { GOODBYE_REASONS } from '../../src/core/protocol/messages.js';
import { ConmgrProcess, type ConmgrSettings } from '../support/conmgr-process.js';
import { DatagramReceiver } from '../support/datagram-receiver.js';
import { eventually } from '../support/eventually.js';
import { freePort } from '../support/free-ports.js';
import { kindsOf, ScriptedSet } from '../support/scripted-set.js';
import { PRIMARY, ScriptedWatchdog, STANDBY } from '../support/scripted-watchdog.js';
import { temporaryDirectory } from '../support/tree.js';

const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

async function startSet(
  settings: ConmgrSettings = {},
  attributes: Parameters<typeof ScriptedSet.start>[0] = [PRIMARY, STANDBY],
): Promise<ScriptedSet> {
  const set = await ScriptedSet.start(attributes, { settings });
  ends.push(() => set.end());
  return set;
}

describe('a reload', () => {
  for (const how of ['SIGHUP', 'the control socket'] as const) {
    it(`by ${how} takes new values and logs what changed`, async () => {
      const { conmgr, lines } = await startSet();
      const held = [await conmgr.bound(), await conmgr.bound()];
      conmgr.rewrite(lines, { max_connections: 2, resolve_wait: '1s' });
      if (how === 'SIGHUP') conmgr.running.kill('SIGHUP');
      else {
        const report = await conmgr.reload();
        assert.deepEqual([...report.changed].sort(), ['max_connections', 'resolve_wait']);
        assert.deepEqual([report.needsRestart, report.problems], [[], []]);
      }
      await conmgr.logged(/LOG: +configuration reloaded; changed: max_connections, resolve_wait/);
      const { maxConnections, lastReload } = await conmgr.status();
      assert.equal(maxConnections, 2);
      assert.deepEqual(lastReload?.problems, []);
      assert.match((await conmgr.ask().refusal()).message, /too many application connections/);
      assert.ok(held.every(({ isOpen }) => isOpen));
    });
  }

  it('of nothing new changes nothing', async () => {
    const { conmgr, watchdogs } = await startSet();
    const report = await conmgr.reload();
    assert.deepEqual(report, { changed: [], needsRestart: [], problems: [] });
    await conmgr.logged(/configuration reloaded; changed: nothing/);
    assert.equal(watchdogs[0]!.link.count('retime'), 0);
    assert.equal(watchdogs[0]!.links.length, 1);
  });

  it('announces new heartbeat times to the watchdogs and keeps them from the next packet on, on the same link', async () => {
    const { conmgr, watchdogs, lines } = await startSet({
      heartbeat_interval: '2s',
      heartbeat_timeout: '6s',
    });
    const app = await conmgr.bound({ target: 'primary' });
    conmgr.rewrite(lines, { heartbeat_interval: '60ms', heartbeat_timeout: '500ms' });
    await conmgr.reload();
    const { link } = watchdogs[0]!;
    const retime = await link.waitFor('retime');
    assert.deepEqual([retime.intervalMs, retime.timeoutMs], [60, 500]);
    const before = link.count('beat');
    const begunMs = performance.now();
    await eventually(() => link.count('beat') >= before + 6, { what: 'six beats' });
    assert.ok(performance.now() - begunMs < 1500);
    const status = await conmgr.status();
    assert.deepEqual([status.heartbeatIntervalMs, status.heartbeatTimeoutMs], [60, 500]);
    link.silence();
    const silentMs = performance.now();
    const down = await app.next('down');
    assert.ok(down.atMs - silentMs < 500 + 500);
    assert.equal(watchdogs[0]!.links[0], link);
  });

  it('takes new log levels', async () => {
    const { conmgr, lines } = await startSet({ log_min_messages: 'PANIC' });
    await conmgr.ask('2 target_session_attrs=nonsense').refusal();
    conmgr.rewrite(lines, { log_min_messages: 'LOG' });
    await conmgr.reload();
    await conmgr.ask('2 target_session_attrs=nonsense').refusal();
    await conmgr.logged(/LOG: +refused question/);
    assert.equal(conmgr.linesLike(/refused question/).length, 1);
  });

  it('that finds another port says at LOG, once, that it needs a restart; the old port is served', async () => {
    const { conmgr, lines } = await startSet();
    conmgr.rewrite(lines, { port: await freePort(), listen_addresses: '*' });
    const report = await conmgr.reload();
    assert.deepEqual([...report.needsRestart].sort(), ['listen_addresses', 'port']);
    assert.equal(
      conmgr.linesLike(/LOG: +parameter "port" cannot be changed without restarting conmgr/).length,
      1,
    );
    assert.equal((await conmgr.status()).port, conmgr.port);
    assert.deepEqual(await conmgr.ask({ target: 'primary' }).offered(), [0]);
  });

  it('of a file with errors keeps the running configuration; each error is logged at ERROR with its line, and shown', async () => {
    const { conmgr, watchdogs } = await startSet();
    const app = await conmgr.bound({ target: 'primary' });
    const mark = conmgr.mark;
    conmgr.rewriteText(
      `port = ${conmgr.port}\nheartbeat_timeout = soon\nbackend_host0 = db1\nbackend_prt0 = 1\n`,
    );
    const report = await conmgr.reload();
    assert.equal(report.problems.length, 2);
    assert.match(report.problems[0] ?? '', /^conmgr\.conf:2: .*heartbeat_timeout/);
    assert.match(report.problems[1] ?? '', /^conmgr\.conf:4: .*did you mean "backend_port0"/);
    await conmgr.logged(/ERROR: +conmgr\.conf:2: /, mark);
    await conmgr.logged(/ERROR: +conmgr\.conf:4: /, mark);
    await conmgr.logged(
      /ERROR: +configuration file ".*" contains errors; the running configuration stays/,
      mark,
    );
    const status = await conmgr.status();
    assert.deepEqual(status.lastReload?.problems, report.problems);
    assert.equal(status.heartbeatTimeoutMs, 2000);
    assert.equal(status.instances.length, 2);
    assert.equal(watchdogs[0]!.links.length, 1);
    assert.deepEqual(kindsOf(app), ['hello', 'candidates']);
  });

  it('of a file that is gone keeps the running configuration', async () => {
    const { conmgr } = await startSet();
    rmSync(join(conmgr.directory, 'conmgr.conf'));
    const report = await conmgr.reload();
    assert.match(report.problems[0] ?? '', /conmgr\.conf: no such file or directory/);
    assert.deepEqual(await conmgr.ask({ target: 'primary' }).offered(), [0]);
  });

  it('is announced to systemd: RELOADING=1, then READY=1, also when the file is refused', async () => {
    const path = join(temporaryDirectory(), 'notify');
    const systemd = new DatagramReceiver(path);
    ends.push(() => systemd.close());
    const conmgr = await ConmgrProcess.start({
      instances: [{ backendPort: await freePort(), watchdogPort: await freePort() }],
      env: { NOTIFY_SOCKET: path },
    });
    ends.push(() => conmgr.stop('SIGQUIT'));
    for (const text of [undefined, 'nonsense\n']) {
      systemd.takeTexts();
      if (text !== undefined) conmgr.rewriteText(text);
      await conmgr.reload();
      assert.match(systemd.takeTexts().join('\n'), /RELOADING=1[\s\S]*READY=1/);
    }
  });

  it('is not lost behind one that is under way', async () => {
    const { conmgr, watchdogs } = await startSet();
    for (const watchdog of watchdogs) watchdog.tell({ systemIdentifier: 42n });
    await conmgr.until('all are foreign', ({ instances }) => instances.every(({ foreign }) => foreign));
    // Both requests in one packet, so that the second comes while the first is being carried out.
    const socket = connect(join(conmgr.directory, 'conmgr.sock'));
    socket.write('{"command":"reload"}\n{"command":"reload","forgetCluster":true}\n');
    socket.on('data', () => {});
    await conmgr.until('none is foreign', ({ instances }) => instances.every(({ foreign }) => !foreign));
    socket.destroy();
  });
});

describe('instances at a reload', () => {
  it('one that is added is linked and offered', async () => {
    const { conmgr, lines } = await startSet();
    const third = await ScriptedWatchdog.start({ attributes: STANDBY });
    ends.push(() => third.stop());
    const added = { backendPort: await freePort(), watchdogPort: third.port };
    conmgr.rewrite([...lines, undefined, added]);
    const report = await conmgr.reload();
    assert.deepEqual(report.changed, ['instance 3 added']);
    await conmgr.linked();
    assert.deepEqual([...(await conmgr.ask({ target: 'standby' }).offered())].sort(), [1, 3]);
  });

  it('one that is removed: its watchdog is told that it is released, its sessions get advice and go on', async () => {
    const { conmgr, lines, watchdogs } = await startSet();
    const app = await conmgr.bound({ target: 'standby' });
    await conmgr.untilInstance(1, 'has a session', ({ sessions }) => sessions === 1);
    conmgr.rewrite([lines[0]]);
    assert.deepEqual((await conmgr.reload()).changed, ['instance 1 removed']);
    const down = await app.next('down');
    assert.deepEqual([down.instance, down.action], [1, 'advice']);
    assert.match(down.text, /removed from the configuration/);
    assert.equal(GOODBYE_REASONS[(await watchdogs[1]!.link.waitFor('goodbye')).reason], 'released');
    await watchdogs[1]!.link.closed;
    const { instances, applications } = await conmgr.status();
    assert.deepEqual(
      instances.map(({ number }) => number),
      [0],
    );
    assert.equal(applications.length, 1);
    assert.ok(app.isOpen);
    assert.equal((await conmgr.ask({ target: 'standby' }).refusal()).sqlState, '57P03');
    assert.equal(watchdogs[1]!.links.length, 1);
  });

  it('the primary removed is a change of the primary', async () => {
    const { conmgr, lines } = await startSet();
    assert.equal((await conmgr.status()).primary, 0);
    conmgr.rewrite([undefined, lines[1]]);
    await conmgr.reload();
    assert.equal((await conmgr.status()).primary, null);
    await conmgr.logged(/LOG: +primary is now none \(was instance 0/);
  });

  it('one that moves to another address is linked anew under its number; the others keep their links', async () => {
    const { conmgr, lines, watchdogs } = await startSet();
    const moved = await ScriptedWatchdog.start({ attributes: STANDBY, host: '127.0.0.2' });
    ends.push(() => moved.stop());
    conmgr.rewrite([lines[0], { host: '127.0.0.2', backendPort: 1234, watchdogPort: moved.port }]);
    assert.deepEqual((await conmgr.reload()).changed, ['instance 1 changed']);
    await moved.nextLink(0);
    const { instances } = await conmgr.linked();
    assert.deepEqual([instances[1]?.host, instances[1]?.port], ['127.0.0.2', 1234]);
    assert.equal(GOODBYE_REASONS[(await watchdogs[1]!.link.waitFor('goodbye')).reason], 'released');
    assert.equal(watchdogs[0]!.links.length, 1);
    assert.ok(watchdogs[0]!.link.open);
  });

  it('one that is removed while its watchdog cannot be reached is forgotten', async () => {
    const { conmgr, lines, watchdogs } = await startSet();
    await watchdogs[1]!.refuse();
    watchdogs[1]!.link.close();
    await conmgr.logged(/could not set up link to instance 1/);
    conmgr.rewrite([lines[0]]);
    await conmgr.reload();
    assert.deepEqual(
      (await conmgr.status()).instances.map(({ number }) => number),
      [0],
    );
    await watchdogs[1]!.accept();
    const beats = watchdogs[0]!.link.count('beat');
    await eventually(() => watchdogs[0]!.link.count('beat') > beats + 4, { what: 'time for four attempts' });
    assert.equal(watchdogs[1]!.links.length, 1);
  });
});

describe('the control socket', () => {
  it('tells the truth at every stage of an instance', async () => {
    const scripted = await ScriptedWatchdog.start({
      greeting: 'silence',
      attributes: { ...PRIMARY, state: 'starting', bits: 0 },
    });
    ends.push(() => scripted.stop());
    const conmgr = await ConmgrProcess.start({
      instances: [{ backendPort: await freePort(), watchdogPort: scripted.port }],
      settings: { heartbeat_connect_timeout: '300ms', heartbeat_timeout: '1s' },
    });
    ends.push(() => conmgr.stop('SIGQUIT'));
    const stage = async (what: string, wanted: Record<string, unknown>): Promise<void> => {
      const instance = await conmgr.untilInstance(0, what, (one) =>
        Object.entries(wanted).every(([name, value]) => {
          const found = name === 'phase' ? one.link.phase : one[name as keyof typeof one];
          return found === value;
        }),
      );
      assert.equal(instance.link.phase === 'up', instance.link.address !== null);
    };
    await stage('greets', {
      health: 'unseen',
      state: 'unknown',
      role: 'unknown',
      accepting: null,
      phase: 'greeting',
    });
    await stage('waits', { phase: 'waiting' });
    assert.match((await conmgr.status()).instances[0]?.link.failure ?? '', /did not answer the first packet/);
    scripted.greeting = 'welcome';
    await stage('starts', {
      health: 'monitored',
      state: 'starting',
      role: 'unknown',
      accepting: false,
      phase: 'up',
    });
    scripted.tell({ ...PRIMARY, timeline: 3 });
    await stage('is up', {
      state: 'up',
      role: 'primary',
      accepting: true,
      readOnly: false,
      timeline: 3,
      stale: false,
    });
    scripted.tell({ state: 'down', bits: 0, text: 'stopped' });
    await stage('is down', { health: 'down', state: 'down', accepting: false, reason: 'stopped' });
    scripted.tell({ ...PRIMARY, timeline: 3, text: '' });
    await stage('is up again', { health: 'monitored', state: 'up', reason: '' });
    await scripted.refuse();
    scripted.link.silence();
    await stage('is lost', { health: 'lost', state: 'unknown', accepting: null, stale: true });
  });

  it('answers what an application would be told', async () => {
    const { conmgr, lines } = await startSet();
    assert.deepEqual(await conmgr.control({ command: 'resolve', target: 'primary' }), {
      ok: true,
      candidates: [{ instance: 0, host: '127.0.0.1', hostaddr: '127.0.0.1', port: lines[0]!.backendPort }],
    });
    const wrong = await conmgr.control({ command: 'resolve', target: 'master' });
    assert.ok(!wrong.ok && wrong.error.code === '22023');
  });

  it('answers 57P03 with DETAIL where an application would be refused', async () => {
    const { conmgr } = await startSet({}, [STANDBY]);
    const answer = await conmgr.control({ command: 'resolve', target: 'primary' });
    assert.ok(!answer.ok);
    assert.equal(answer.error.code, '57P03');
    assert.match(answer.error.detail ?? '', /^Instance 0 \(.*\): up, standby\.$/);
  });
});
