import assert from 'node:assert/strict';
import { chmod, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { after, afterEach, before, describe, it } from 'node:test';
import { GOODBYE_REASONS } from '../../src/core/protocol/messages.js';
import { eventually } from '../support/eventually.js';
import { freePort } from '../support/free-ports.js';
import { HeartbeatPeer } from '../support/heartbeat-peer.js';
import { type Server, startPrimary } from '../support/postgres.js';
import { runProgram } from '../support/programs.js';
import { temporaryDirectory } from '../support/tree.js';
import { TestWatchdog } from '../support/watchdog.js';

let server: Server;
let watchdog: TestWatchdog;

before(async () => {
  server = await startPrimary();
});
after(async () => {
  await server?.end();
});

const kept = (name: string): string => `${server.dataDir}/pg_stat_tmp/conmgr-watchdog.${name}`;

describe('start', () => {
  // A failed test must not leave one behind for the next.
  afterEach(() => watchdog?.stop());

  it('--help and --version answer and end', async () => {
    const help = await runProgram('conmgr-watchdog', ['--help']);
    assert.equal(help.code, 0);
    assert.match(help.stdout, /conmgr-watchdog -D DATADIR/);
    const version = await runProgram('conmgr-watchdog', ['--version']);
    assert.match(version.stdout, /^conmgr-watchdog \d+\.\d+\.\d+\n$/);
  });

  it('wrong usage ends with status 2', async () => {
    const { code, stderr } = await runProgram('conmgr-watchdog', ['--nonsense'], { env: { PGDATA: '' } });
    assert.equal(code, 2);
    assert.match(stderr, /unknown argument "--nonsense"/);
  });

  it('a directory that is no data directory ends with status 78 and says so', async () => {
    const { code, stderr } = await runProgram('conmgr-watchdog', ['-D', temporaryDirectory()]);
    assert.equal(code, 78);
    assert.match(stderr, /FATAL: {2}cannot serve directory ".*": it has no file PG_VERSION/);
  });

  it("somebody else's directory ends with status 78 and names the cure", async () => {
    const { code, stderr } = await runProgram('conmgr-watchdog', ['-D', '/']);
    assert.equal(code, 78);
    assert.match(stderr, /FATAL/);
  });

  it('it starts while the instance is down, listens at once, and finds the instance when it comes up', async () => {
    await server.stop('fast');
    watchdog = await TestWatchdog.start(server, { settings: { check_attr_interval: '5000' } });
    const peer = await watchdog.connect();
    await peer.told(({ state }) => state === 'down', 'down');
    assert.notEqual(peer.welcome.systemIdentifier, 0n, 'the cluster is known while it is down');
    await server.start();
    const begun = performance.now();
    await peer.told(({ state }) => state === 'up', 'up');
    assert.ok(performance.now() - begun < 1000, 'not only with the next check');
    await peer.end();
    await watchdog.stop();
  });

  it('a second watchdog of the same directory ends with status 1 and names the first', async () => {
    watchdog = await TestWatchdog.start(server);
    const { code, stderr } = await runProgram('conmgr-watchdog', ['-D', server.dataDir], {
      env: { PGUSER: 'postgres' },
    });
    assert.equal(code, 1);
    assert.match(stderr, new RegExp(`already has a watchdog \\(PID ${watchdog.running.pid}\\)`));
    await watchdog.stop();
  });

  it('a port in use is named, with the way to find who has it', async () => {
    const other = await startPrimary();
    const port = await freePort();
    watchdog = await TestWatchdog.start(server, { port });
    try {
      await other.append({ 'watchdog.port': String(port) });
      const { code, stderr } = await runProgram('conmgr-watchdog', ['-D', other.dataDir]);
      assert.equal(code, 1);
      assert.match(
        stderr,
        new RegExp(`FATAL: {2}could not listen on port ${port}: .*address already in use`),
      );
      assert.match(stderr, /HINT: .*ss -ltnp/);
    } finally {
      await watchdog.stop();
      await other.end();
    }
  });

  it('files in pg_stat_tmp are private, and the lock and the socket are gone after a stop', async () => {
    watchdog = await TestWatchdog.start(server);
    await watchdog.status();
    assert.equal((await stat(kept('sock'))).mode & 0o777, 0o600);
    assert.equal(Number((await readFile(kept('pid'), 'utf8')).split('\n')[0]), watchdog.running.pid);
    await watchdog.stop();
    await assert.rejects(stat(kept('sock')), { code: 'ENOENT' });
    await assert.rejects(stat(kept('pid')), { code: 'ENOENT' });
  });

  it('an unwritable pg_stat_tmp is a WARNING and no end', async () => {
    await chmod(`${server.dataDir}/pg_stat_tmp`, 0o500);
    try {
      await rm(kept('state'), { force: true }).catch(() => {});
      watchdog = await TestWatchdog.start(server);
      await watchdog.line(/WARNING: {2}could not write ".*conmgr-watchdog\.pid"/);
      await watchdog.line(/WARNING: {2}could not open control socket/);
      const peer = await watchdog.connect();
      await peer.told(({ state }) => state === 'up', 'up');
      await peer.end();
      await watchdog.stop();
    } finally {
      await chmod(`${server.dataDir}/pg_stat_tmp`, 0o700);
    }
  });
});

describe('settings', () => {
  after(() => watchdog.stop());

  it('wrong values are reported and the server side does not go dark for them', async () => {
    watchdog = await TestWatchdog.start(server, {
      settings: { check_attr_interval: 'often', probe_interval: '-1', prot: '1234' },
    });
    await watchdog.line(/ERROR: .*watchdog\.check_attr_interval/);
    await watchdog.line(/ERROR: .*watchdog\.probe_interval/);
    await watchdog.line(/ERROR: .*watchdog\.prot/);
    await (await watchdog.connect()).end();
    await watchdog.stop();
    await server.append({ 'watchdog.check_attr_interval': '200', 'watchdog.probe_interval': '10' });
  });

  it('a wrong security value closes the port until it is mended, and existing links stay', async () => {
    watchdog = await TestWatchdog.start(server);
    const peer = await watchdog.connect();
    await server.append({ 'watchdog.allowed_clients': '10.0.0.0/99' });
    watchdog.running.kill('SIGHUP');
    await watchdog.line(/ERROR: {2}heartbeat port stays closed: .*watchdog\.allowed_clients/);
    await assert.rejects(HeartbeatPeer.open({ port: watchdog.port }), { code: 'ECONNREFUSED' });
    await peer.prove();
    const { closed } = await watchdog.status();
    assert.match(closed ?? '', /allowed_clients/);
    await server.append({ 'watchdog.allowed_clients': '' });
    const after = watchdog.running.lines.length;
    watchdog.running.kill('SIGHUP');
    await watchdog.running.waitForLine(/listening for heartbeat links/, { after });
    await (await watchdog.connect()).end();
    await peer.end();
  });

  it('a change that needs a restart is said at reload and not made', async () => {
    await server.append({ 'watchdog.port': '12345' });
    watchdog.running.kill('SIGHUP');
    await watchdog.line(/LOG: {2}setting "watchdog\.port" cannot be changed without restarting the watchdog/);
    await (await watchdog.connect()).end();
    await server.append({ 'watchdog.port': String(watchdog.port) });
  });

  it('a configuration that cannot be read leaves the values of the last time', async () => {
    const peer = await watchdog.connect();
    await server.append({ 'broken line': '' });
    watchdog.running.kill('SIGHUP');
    await watchdog.line(/ERROR: {2}could not read the settings of the instance: .*/);
    await watchdog.line(/DETAIL: {2}The values of the last time are used/);
    await (await watchdog.connect()).end();
    await peer.prove();
    const conf = `${server.dataDir}/postgresql.conf`;
    const text = await readFile(conf, 'utf8');
    await writeFile(conf, text.replace(/broken line.*\n/, ''));
    watchdog.running.kill('SIGHUP');
    await eventually(
      async () => !(await watchdog.status()).findings.some((one) => one.includes('settings')),
      {
        what: 'settings are read again',
      },
    );
    await peer.end();
  });
});

describe('stop', () => {
  afterEach(() => watchdog?.stop());

  for (const [signal, reason, graceMs] of [
    ['SIGTERM', 'stop', 0],
    ['SIGINT', 'stop', 0],
    ['SIGUSR2', 'restart', 10_000],
  ] as const) {
    it(`${signal} says goodbye to every conmgr: ${reason}`, async () => {
      watchdog = await TestWatchdog.start(server);
      const peers = await Promise.all([watchdog.connect(), watchdog.connect()]);
      const goodbyes = Promise.all(peers.map((peer) => peer.next('goodbye')));
      const begun = performance.now();
      const { code } = await watchdog.running.stop(signal);
      assert.equal(code, 0);
      assert.ok(performance.now() - begun < 1000, 'it does not wait for those who have answered');
      for (const goodbye of await goodbyes) {
        assert.equal(GOODBYE_REASONS[goodbye.reason], reason);
        assert.equal(goodbye.retryAfterMs, graceMs);
      }
    });
  }

  it('after a restart a conmgr that comes back is no loss; after a stop nothing is remembered', async () => {
    watchdog = await TestWatchdog.start(server);
    const peer = await watchdog.connect();
    await peer.prove();
    await watchdog.stop('SIGUSR2');
    watchdog = await watchdog.again();
    await watchdog.line(/known before the restart of the watchdog/);
    assert.equal((await watchdog.status()).losses.length, 1);
    const back = await watchdog.connect({ conmgrId: peer.conmgrId });
    await watchdog.line(/is back after \d+ ms: no session is ended/);
    assert.deepEqual((await watchdog.status()).losses, []);
    await back.prove();
    await watchdog.stop('SIGTERM');
    watchdog = await watchdog.again();
    assert.deepEqual((await watchdog.status()).losses, []);
    await watchdog.stop();
  });

  it('SIGUSR1, which PostgreSQL people send by habit, neither ends it nor opens a debugger port', async () => {
    watchdog = await TestWatchdog.start(server);
    watchdog.running.kill('SIGUSR1');
    // Node.js answers the signal in a thread of its own; a full stop afterwards gives it time to say so.
    await watchdog.status();
    const { code, stderr } = await watchdog.running.stop('SIGTERM');
    assert.equal(code, 0);
    assert.doesNotMatch(stderr, /[Dd]ebugger/);
  });

  it('its SQL connections end with it', async () => {
    const sessions = (): Promise<unknown[]> =>
      server.sql(`select from pg_stat_activity where application_name = 'conmgr-watchdog'`);
    await eventually(async () => (await sessions()).length === 0, {
      what: 'no session of a watchdog is left',
    });
  });
});
