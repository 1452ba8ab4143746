import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { WATCHDOG_FILES } from '../../../src/core/control/watchdog.js';
import { NOW } from '../../support/status-report.js';
import { watchdogStatus } from '../../support/watchdog-status.js';
import { ctl, FakeConmgr, freshDirectory, type SentRequest } from './fake-world.js';

function dataDirectory(): string {
  const directory = freshDirectory();
  writeFileSync(join(directory, 'PG_VERSION'), '17\n');
  mkdirSync(join(directory, WATCHDOG_FILES.directory));
  return directory;
}

async function watchdog(answer: (request: SentRequest) => unknown) {
  const directory = dataDirectory();
  const place = join(directory, WATCHDOG_FILES.directory);
  // The fake serves any answers; those of a watchdog have other members.
  const fake = await FakeConmgr.serve(place, (request) => answer(request) as never, WATCHDOG_FILES.socket);
  return { directory, fake };
}

const STATUS = watchdogStatus(
  { lastPacketAgeMs: 300 },
  {
    losses: [
      {
        address: '192.0.2.8',
        conmgrId: 'bb',
        departure: 'closed',
        text: 'connection reset',
        phase: 'grace',
        lostAt: NOW - 2000,
        dueInMs: 8000,
        ended: 0,
        waiting: 0,
      },
    ],
    terminator: {
      on: 'any',
      scope: 'address',
      paused: false,
      excludeReplication: true,
      ended: 12,
      exceptions: [
        { kind: 'superusers', text: 'sessions of superusers: role "w" is none', wrong: false },
        { kind: 'replication', text: 'replication connections', wrong: false },
      ],
    },
  },
);

describe('cm_ctl watchdog status', () => {
  it('shows process, instance, links and losses', async () => {
    const { directory, fake } = await watchdog(() => ({ ok: true, status: STATUS }));
    const { status, stdout } = await ctl(['watchdog', 'status', '-D', directory]);
    assert.equal(status, 0);
    assert.deepEqual(fake.requests, [{ command: 'status' }]);
    const [head = '', ...tables] = stdout.split('\n\n');
    assert.match(
      head,
      /^Directory: {4}\/srv\/pg\nProcess: {6}PID 99, running for 1 min 30 s, conmgr-watchdog 1.2.3\n/,
    );
    assert.match(head, /^Instance: {5}up, primary, timeline 3, 16\/B374D848, PostgreSQL 17.10$/m);
    assert.match(head, /^Server: {7}port 5433, socket in \/run\/postgresql, postmaster PID 77$/m);
    assert.match(
      head,
      /^Not ended: {4}sessions of superusers: role "w" is none\n {14}replication connections$/m,
    );
    assert.match(head, /^Terminator: {3}terminate_on = any, 12 sessions ended so far$/m);
    assert.match(tables[0] ?? '', /^192.0.2.9 {2}app1:\/srv\/app {6}10 s {6}20 s {3}0.3 s {2}0.40 ms /m);
    assert.match(tables[1] ?? '', /^192.0.2.8 .* closed {2}grace, due in 8.0 s .* connection reset$/m);
  });

  it('makes a closed port, a pause and findings visible', async () => {
    const { directory } = await watchdog(() => ({
      ok: true,
      status: {
        ...STATUS,
        closed: 'watchdog.ssl: wrong value',
        terminator: { ...STATUS.terminator, paused: true },
        findings: ['role "w" may not end sessions'],
      },
    }));
    const { stdout } = await ctl(['watchdog', 'status', '-D', directory]);
    assert.match(stdout, /^Port: {9}closed: watchdog.ssl: wrong value$/m);
    assert.match(stdout, /^Terminator: {3}paused: no session is ended$/m);
    assert.match(stdout, /^Findings: {5}role "w" may not end sessions$/m);
  });

  it('prints the report as JSON', async () => {
    const { directory } = await watchdog(() => ({ ok: true, status: STATUS }));
    const { stdout } = await ctl(['watchdog', 'status', '-D', directory, '--json']);
    assert.deepEqual(JSON.parse(stdout), STATUS);
  });

  it('ends with 3 when no watchdog runs', async () => {
    const { status, stderr } = await ctl(['watchdog', 'status', '-D', dataDirectory()]);
    assert.equal(status, 3);
    assert.match(stderr, /^cm_ctl: no watchdog is running for data directory "/);
  });

  it('ends with 4 for what is no data directory', async () => {
    for (const directory of ['/nonexistent/d', freshDirectory()]) {
      const { status, stderr } = await ctl(['watchdog', 'status', '-D', directory]);
      assert.equal(status, 4);
      assert.match(stderr, /^cm_ctl: could not use data directory "/);
    }
  });
});

describe('cm_ctl watchdog pause and resume', () => {
  for (const command of ['pause', 'resume']) {
    it(`asks the watchdog to ${command}`, async () => {
      const { directory, fake } = await watchdog(() => ({ ok: true, paused: command === 'pause' }));
      const { status, stdout } = await ctl(['watchdog', command], { environment: { PGDATA: directory } });
      assert.equal(status, 0);
      assert.match(stdout, new RegExp(`^terminator ${command}d`));
      assert.deepEqual(fake.requests, [{ command }]);
    });
  }

  it('fails when no watchdog runs', async () => {
    assert.equal((await ctl(['watchdog', 'pause', '-D', dataDirectory()])).status, 1);
  });
});

describe('cm_ctl watchdog terminate', () => {
  const report = {
    address: '192.0.2.9',
    dryRun: false,
    would: { sessions: 4, superusers: 1, replication: 1, programs: '4 x psql (user a, database b)' },
    ended: 3,
    forbidden: 0,
    deferred: 1,
    prepared: 2,
  };

  it('shows with --dry-run what would be ended', async () => {
    const { directory, fake } = await watchdog(() => ({ ok: true, terminate: { ...report, dryRun: true } }));
    const { status, stdout } = await ctl([
      'watchdog',
      'terminate',
      '--dry-run',
      '192.0.2.9',
      '-D',
      directory,
    ]);
    assert.equal(status, 0);
    assert.equal(
      stdout,
      'would end 4 sessions of 192.0.2.9\n4 x psql (user a, database b)\nof superusers: 1\nreplication connections, spared: 1\n',
    );
    assert.deepEqual(fake.requests, [{ command: 'terminate', address: '192.0.2.9', dryRun: true }]);
  });

  it('tells what was ended and what was not', async () => {
    const { directory } = await watchdog(() => ({ ok: true, terminate: report }));
    const { status, stdout } = await ctl(['watchdog', 'terminate', '192.0.2.9', '-D', directory]);
    assert.equal(status, 0);
    assert.equal(
      stdout,
      'ended 3 sessions of 192.0.2.9\nleft alone, waiting for synchronous replication: 1\nprepared transactions in the instance, which survive: 2\n',
    );
  });

  it('fails when the role may not end all of them', async () => {
    const { directory } = await watchdog(() => ({ ok: true, terminate: { ...report, forbidden: 1 } }));
    assert.equal((await ctl(['watchdog', 'terminate', '::1', '-D', directory])).status, 1);
  });

  it('takes a name for wrong usage: sessions are known by address', async () => {
    const { status, stderr } = await ctl(['watchdog', 'terminate', 'app1', '-D', '/nonexistent/d']);
    assert.equal(status, 2);
    assert.match(stderr, /^cm_ctl: invalid client address: "app1"\n/);
  });
});
