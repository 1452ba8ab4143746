/** The life of a conmgr under cm_ctl, both as built: init, check, start, status, reload, resolve, restart, stop. */
import assert from 'node:assert/strict';
import { appendFileSync, existsSync, readFileSync, realpathSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { StatusReport } from '../../src/core/control/protocol.js';
import { conmgrConf, type InstanceLines } from '../support/conmgr-process.js';
import { eventually } from '../support/eventually.js';
import { FirstPhaseClient } from '../support/first-phase-client.js';
import { freePort } from '../support/free-ports.js';
import { isRunning } from '../support/processes.js';
import { runProgram, startProgram } from '../support/programs.js';
import type { Output } from '../support/running.js';
import { ScriptedPostmaster } from '../support/scripted-postmaster.js';
import { PRIMARY, ScriptedWatchdog, STANDBY } from '../support/scripted-watchdog.js';
import { temporaryDirectory } from '../support/tree.js';

describe('a conmgr under cm_ctl', () => {
  // A path as users have them, too long for the address of a socket.
  const directory = join(realpathSync(temporaryDirectory()), `a directory for ${'x'.repeat(100)}`);
  const settings = { port: 0 };
  const postmasters: ScriptedPostmaster[] = [];
  const watchdogs: ScriptedWatchdog[] = [];
  let lines: InstanceLines[] = [];
  let pid = 0;

  const ctl = (...words: string[]): Promise<Output> => runProgram('cm_ctl', [...words, '-D', directory]);
  const status = async (): Promise<StatusReport> => {
    const { code, stdout } = await ctl('status', '--json');
    assert.equal(code, 0);
    return JSON.parse(stdout) as StatusReport;
  };
  const configure = (more: Record<string, string | number> = {}): void =>
    writeFileSync(join(directory, 'conmgr.conf'), conmgrConf(lines, { ...settings, ...more }));

  before(async () => {
    settings.port = await freePort();
    for (const attributes of [PRIMARY, STANDBY]) {
      postmasters.push(await ScriptedPostmaster.start());
      watchdogs.push(await ScriptedWatchdog.start({ attributes }));
    }
    lines = watchdogs.map((watchdog, at) => ({
      backendPort: postmasters[at]?.port ?? 0,
      watchdogPort: watchdog.port,
    }));
  });
  after(async () => {
    await ctl('stop', '-m', 'immediate');
    for (const postmaster of postmasters) postmaster.stop();
    await Promise.all(watchdogs.map((watchdog) => watchdog.stop()));
  });

  it('gets its directory from init', async () => {
    const { code, stdout, stderr } = await ctl('init');
    assert.deepEqual({ code, stderr }, { code: 0, stderr: '' });
    assert.ok(stdout.includes(`cm_ctl start -D '${directory}'\n`));
  });

  it('is not started without an instance, and check says why', async () => {
    const check = await ctl('check');
    assert.equal(check.code, 78);
    assert.match(
      check.stderr,
      /^cm_ctl: configuration file ".*" contains errors\nDETAIL: {2}conmgr.conf:\d+: at least one/,
    );
    const start = await ctl('start');
    assert.equal(start.code, 78);
    assert.match(start.stdout, /^waiting for conmgr to start\.+ failed\n$/);
    assert.match(
      start.stderr,
      /^ERROR: {2}conmgr.conf:\d+: at least one[\s\S]*\ncm_ctl: could not start conmgr: its conf/,
    );
  });

  it('is found sound by check, which ends no link of anybody and is no conmgr', async () => {
    configure();
    const { code, stdout, stderr } = await ctl('check');
    assert.deepEqual({ code, stderr }, { code: 0, stderr: '' });
    assert.match(stdout, /^heartbeat_interval = 100ms +# line \d+$/m);
    assert.match(
      stdout,
      /^needed: 9 \+ 2 x 2 instances \+ 0 max_connections = 13\nlimit of .+: \d+, enough$/m,
    );
    assert.match(stdout, /^0 {2}127.0.0.1 +\d+ +answers +\d+ +welcome +up +primary +[\d.]+ ms /m);
    assert.match(stdout, /^1 {2}127.0.0.1 +\d+ +answers +\d+ +welcome +up +standby +[\d.]+ ms /m);
    for (const watchdog of watchdogs) {
      const link = watchdog.link;
      await link.closed;
      assert.equal((await link.hello()).software, 'cm_ctl');
      assert.equal((await link.waitFor('goodbye')).text, 'cm_ctl check');
      assert.equal(link.count('beat'), 0);
    }
    assert.ok(postmasters.every((postmaster) => postmaster.wasAskedPolitely));
  });

  it('is told by check with exit status 1 what cannot be reached', async () => {
    const [, second] = lines;
    assert.ok(second);
    writeFileSync(
      join(directory, 'conmgr.conf'),
      conmgrConf(
        [...lines, { ...second, watchdogPort: await freePort(), backendPort: await freePort() }],
        settings,
      ),
    );
    const { code, stdout, stderr } = await ctl('check');
    assert.equal(code, 1);
    assert.match(stdout, /^2 {2}127.0.0.1 +\d+ +silent +\d+ +failed +- +- +- +- +connection refused$/m);
    assert.equal(stderr, 'cm_ctl: number of instances that cannot be used now: 1 of 3\n');
    configure();
  });

  it('starts and is waited for', async () => {
    const { code, stdout, stderr } = await ctl('start', '--complete');
    assert.deepEqual(
      { code, stdout: stdout.replace(/\.{3,}/, '...'), stderr },
      { code: 0, stdout: 'waiting for conmgr to start... done\nconmgr started\n', stderr: '' },
    );
    const report = await status();
    pid = report.pid;
    assert.ok(isRunning(pid));
    assert.equal(report.directory, directory);
    assert.deepEqual(
      report.instances.map(({ role, link }) => [role, link.phase]),
      [
        ['primary', 'up'],
        ['standby', 'up'],
      ],
    );
  });

  it('writes its log into its directory', () => {
    assert.match(readFileSync(join(directory, 'conmgr.log'), 'utf8'), / LOG: {2}starting conmgr /);
  });

  it('is not started twice', async () => {
    const { code, stderr } = await ctl('start');
    assert.equal(code, 1);
    assert.equal(stderr, `cm_ctl: conmgr is already running in directory "${directory}" (PID ${pid})\n`);
  });

  it('is shown to people', async () => {
    const { code, stdout } = await ctl('status');
    assert.equal(code, 0);
    assert.match(stdout, /^Primary: {6}instance 0 \(127.0.0.1:\d+\)$/m);
    assert.match(stdout, /^1 {2}127.0.0.1 +\d+ +up +standby +0 B +up +\d/m);
  });

  it('stands in the list of this host', async () => {
    const { stdout } = await runProgram('cm_ctl', ['list', '--json']);
    const listed = (JSON.parse(stdout) as { directory: string; pid: number; state: string }[]).find(
      (one) => one.pid === pid,
    );
    assert.deepEqual(listed && [listed.directory, listed.state], [directory, 'running']);
  });

  it('tells where an application would be sent', async () => {
    const primary = await ctl('resolve', 'primary');
    assert.equal(primary.stdout, `host=127.0.0.1 hostaddr=127.0.0.1 port=${lines[0]?.backendPort}\n`);
    const standby = await ctl('resolve', 'secondary');
    assert.equal(standby.stdout, `host=127.0.0.1 hostaddr=127.0.0.1 port=${lines[1]?.backendPort}\n`);
    const all = await ctl('resolve', 'any', '--all');
    assert.equal(all.stdout.trim().split('\n').length, 2);
  });

  it('tells why nothing fits', async () => {
    watchdogs[1]?.tell({ state: 'down', bits: 0 });
    const { code, stdout, stderr } = await eventually(
      async () => {
        const result = await ctl('resolve', 'standby');
        return result.code === 1 && result;
      },
      { what: 'no standby is offered' },
    );
    assert.deepEqual({ code, stdout }, { code: 1, stdout: '' });
    assert.match(
      stderr,
      /^cm_ctl: no instance is available for target_session_attrs=standby\nDETAIL: {2}Instance 0 /,
    );
    watchdogs[1]?.tell({ state: 'up', bits: STANDBY.bits });
  });

  it('shows the application and the process behind it', async () => {
    const app = await FirstPhaseClient.bound(settings.port, { app: 'shop', target: 'primary' });
    const report = await eventually(
      async () => {
        const one = await status();
        return one.applications[0]?.instance === 0 && one;
      },
      { what: 'the application has told its instance' },
    );
    const [seen] = report.applications;
    assert.deepEqual(
      {
        count: report.applications.length,
        pid: seen?.pid,
        application: seen?.application,
        instance: seen?.instance,
      },
      { count: 1, pid: process.pid, application: 'shop', instance: 0 },
    );
    const { stdout } = await ctl('status', '-i', 'application');
    assert.match(
      stdout,
      new RegExp(`^ *${process.pid} +\\S+ +\\S+ +shop +primary +0 +aware +\\d\\d:\\d\\d:\\d\\d$`, 'm'),
    );
    app.vanish();
  });

  it('reloads and says what changed', async () => {
    const port = settings.port;
    configure({ max_connections: 5, heartbeat_timeout: '3s', port: port + 1 });
    const { code, stdout } = await ctl('reload');
    assert.deepEqual(
      { code, stdout },
      {
        code: 0,
        stdout: 'conmgr reloaded\nchanged: max_connections, heartbeat_timeout\nneeds a restart: port\n',
      },
    );
    configure();
  });

  it('keeps its configuration when the file is wrong', async () => {
    appendFileSync(join(directory, 'conmgr.conf'), 'heartbeat_timout = 1\nport = x\n');
    const { code, stderr } = await ctl('reload');
    assert.equal(code, 78);
    assert.match(
      stderr,
      /^cm_ctl: conmgr.conf was not loaded[\s\S]*:\d+: .*heartbeat_timout[\s\S]*\n\tconmgr.conf:\d+: .*port/,
    );
    const shown = await ctl('status');
    assert.match(shown.stdout, /^Reload: {7}failed at .*\n {14}conmgr.conf:\d+: /m);
  });

  it('is not stopped for a restart that could not succeed', async () => {
    const { code } = await ctl('restart');
    assert.equal(code, 78);
    assert.equal((await status()).pid, pid);
    configure();
  });

  it('restarts with a grace for the watchdogs, and keeps the sessions', async () => {
    const link = watchdogs[0]?.link;
    const app = await FirstPhaseClient.bound(settings.port, {});
    const { code, stdout } = await ctl('restart');
    assert.equal(code, 0);
    assert.match(
      stdout,
      /shut down\.+ done\nconmgr stopped\nwaiting for conmgr to start\.+ done\nconmgr started\n$/,
    );
    assert.ok(link);
    assert.ok((await link.waitFor('goodbye')).retryAfterMs > 0);
    const { pid: next } = await status();
    assert.notEqual(next, pid);
    pid = next;
    assert.ok(app.isOpen);
    assert.equal((await status()).applications.length, 1);
    app.vanish();
  });

  it('waits in a smart stop for the applications', async () => {
    const app = await FirstPhaseClient.bound(settings.port, {});
    const stopping = startProgram('cm_ctl', ['stop', '-m', 'smart', '-D', directory]);
    await eventually(async () => (await status()).state === 'stopping', { what: 'conmgr is stopping' });
    assert.ok(isRunning(pid));
    app.vanish();
    const { code, stdout } = await stopping.done;
    assert.equal(code, 0);
    assert.match(stdout, / done\nconmgr stopped\n$/);
    assert.equal(isRunning(pid), false);
  });

  it('leaves no socket and no lock behind', () => {
    assert.equal(existsSync(join(directory, 'conmgr.sock')), false);
    assert.equal(existsSync(join(directory, 'conmgr.pid')), false);
  });

  it('is told apart from one that never was', async () => {
    assert.equal((await ctl('status')).code, 3);
    assert.equal((await ctl('stop')).code, 1);
    assert.equal((await ctl('reload')).code, 1);
  });

  for (const mode of ['fast', 'immediate']) {
    it(`stops in mode ${mode} although an application is attached`, async () => {
      assert.equal((await ctl('start')).code, 0);
      const app = await FirstPhaseClient.bound(settings.port, {});
      assert.equal((await ctl('stop', '-m', mode)).code, 0);
      assert.equal((await ctl('status')).code, 3);
      app.vanish();
    });
  }
});
