/** `cm_ctl watchdog …` against a real watchdog of a real instance. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { TerminateReport, WatchdogStatus } from '../../src/core/control/watchdog.js';
import { type Server, startPrimary } from '../support/postgres.js';
import { runProgram } from '../support/programs.js';
import type { Output } from '../support/running.js';
import { TestWatchdog } from '../support/watchdog.js';

describe('cm_ctl watchdog', () => {
  let server: Server;
  let watchdog: TestWatchdog;
  const ctl = (...words: string[]): Promise<Output> =>
    runProgram('cm_ctl', ['watchdog', ...words], { env: { PGDATA: server.dataDir } });

  before(async () => {
    server = await startPrimary();
    watchdog = await TestWatchdog.start(server);
    await watchdog.line(/instance is up/);
  });
  after(async () => {
    await watchdog.stop();
    await server.end();
  });

  it('status shows the instance and the terminator', async () => {
    const { code, stdout, stderr } = await ctl('status');
    assert.deepEqual({ code, stderr }, { code: 0, stderr: '' });
    assert.match(stdout, new RegExp(`^Directory: {4}${server.dataDir}$`, 'm'));
    assert.match(stdout, new RegExp(`^Process: {6}PID ${watchdog.running.pid}, running for `, 'm'));
    assert.match(stdout, /^Instance: {5}up, primary, timeline 1, [0-9A-F]+\/[0-9A-F]+, PostgreSQL 17\.\d+$/m);
    assert.match(stdout, /^No conmgr is linked\.$/m);
  });

  it('pause and resume reach the terminator', async () => {
    const paused = async (): Promise<boolean> =>
      (JSON.parse((await ctl('status', '--json')).stdout) as WatchdogStatus).terminator.paused;
    assert.equal((await ctl('pause')).code, 0);
    assert.equal(await paused(), true);
    assert.equal((await ctl('resume')).code, 0);
    assert.equal(await paused(), false);
  });

  it('terminate --dry-run shows the sessions of an address and ends none', async () => {
    const session = await server.connect({ application_name: 'victim' });
    const { code, stdout } = await ctl('terminate', '--dry-run', '127.0.0.1');
    assert.equal(code, 0);
    assert.equal(
      stdout,
      'would end 1 session of 127.0.0.1\n1 x victim (superuser postgres, database postgres)\nof superusers: 1\n',
    );
    assert.equal((await session.query('select 1 as one')).rows.length, 1);
    await session.end();
  });

  it('terminate ends them', async () => {
    const session = await server.connect({ application_name: 'victim' });
    const ended = new Promise((resolve) => session.once('end', resolve));
    const { code, stdout } = await ctl('terminate', '127.0.0.1', '--json');
    assert.equal(code, 0);
    assert.equal((JSON.parse(stdout) as TerminateReport).ended, 1);
    await ended;
  });

  it('check shows effective values and the figures of descriptors', async () => {
    const { code, stdout, stderr } = await ctl('check');
    assert.deepEqual({ code, stderr }, { code: 0, stderr: '' });
    assert.match(stdout, new RegExp(`^watchdog.port = ${watchdog.port} +# postgresql.conf`, 'm'));
    assert.match(
      stdout,
      /^watchdog needs: 50 \+ 100 max_heartbeat_connections = 150\nlimit of .+: \d+, enough$/m,
    );
    assert.match(stdout, /^instance needs: 1000 max_files_per_process \+ 2 x 100 .* = 1200$/m);
    assert.match(stdout, new RegExp(`^limit of PID ${server.pid}: \\d+, enough$`, 'm'));
  });

  it('check names wrong values and a library that is left over, with exit status 78', async () => {
    await server.append({
      'watchdog.restart_grace': 'soon',
      'watchdog.prot': '1',
      shared_preload_libraries: 'pg_stat_statements, watchdog',
    });
    const { code, stderr } = await ctl('check');
    assert.equal(code, 78);
    assert.match(stderr, /^cm_ctl: .*watchdog\.restart_grace/m);
    assert.match(stderr, /^cm_ctl: .*watchdog\.prot/m);
    assert.match(stderr, /^cm_ctl: shared_preload_libraries contains "watchdog"$/m);
    assert.match(stderr, /^cm_ctl: number of problems in the settings of the watchdog: 3$/m);
  });

  it('says that no watchdog runs when it does not', async () => {
    await watchdog.stop();
    assert.equal((await ctl('status')).code, 3);
    assert.equal((await ctl('pause')).code, 1);
  });
});
