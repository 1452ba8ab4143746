import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import { eventually } from '../support/eventually.js';
import { LiveSet, type LiveSetOptions, serverOf } from '../support/live-set.js';
import { startCommand } from '../support/running.js';
import { kindsOf } from '../support/scripted-set.js';

const EPS_MS = 500;
const CRASH_MS = 100 + EPS_MS;
const TIMEOUT_MS = 1500;
const INTERVAL_MS = 200;

let current: LiveSet | undefined;
afterEach(async () => {
  await current?.end();
  current = undefined;
});

async function startSet(options: LiveSetOptions = {}): Promise<LiveSet> {
  current = await LiveSet.start(options);
  return current;
}

describe('the loss of an instance', () => {
  for (const mode of ['fast', 'immediate'] as const) {
    it(`by a stop in mode ${mode} is told at once`, async () => {
      const set = await startSet();
      const app = await set.conmgr.bound({ target: 'primary' });
      await set.conmgr.untilInstance(0, 'has a session', ({ sessions }) => sessions === 1);
      const stop = set.pair.primary.stop(mode);
      const down = await app.next('down');
      await stop;
      const doneMs = performance.now();
      assert.equal(down.reason, 'instance down');
      assert.ok(down.atMs - doneMs < CRASH_MS);
      const mark = set.conmgr.mark;
      await set.pair.primary.start();
      await set.conmgr.until('it is primary again', ({ primary }) => primary === 0);
      await set.conmgr.logged(/LOG: +instance 0 .* is back/, mark);
    });
  }

  it('by a smart stop: new applications are not sent there, sessions stay, and the stop ends with the last of them', async () => {
    const set = await startSet();
    const client = await set.client({ target_session_attrs: 'primary' });
    const stop = set.pair.primary.stop('smart');
    await set.conmgr.untilInstance(0, 'accepts no sessions', ({ accepting }) => accepting === false);
    assert.equal((await set.conmgr.ask({ target: 'primary' }).refusal()).sqlState, '57P03');
    assert.equal(await serverOf(client), 'primary');
    await client.end();
    await stop;
  });

  it('by a host that freezes is told within heartbeat_timeout; when it goes on, no session of a living client is ended', async () => {
    const set = await startSet();
    const app = await set.conmgr.bound({ target: 'primary' });
    const session = await set.pair.primary.connect();
    await set.conmgr.untilInstance(0, 'has a session', ({ sessions }) => sessions === 1);
    const watchdog = set.watchdogs[0].running;
    set.pair.primary.freeze();
    watchdog.kill('SIGSTOP');
    const frozenMs = performance.now();
    const down = await app.next('down');
    const tookMs = down.atMs - frozenMs;
    assert.equal(down.reason, 'heartbeat timeout');
    assert.ok(
      tookMs >= TIMEOUT_MS - INTERVAL_MS - 50 && tookMs <= TIMEOUT_MS + EPS_MS,
      `told after ${Math.round(tookMs)} ms`,
    );
    assert.equal((await set.conmgr.ask({ target: 'primary' }).refusal()).sqlState, '57P03');
    watchdog.kill('SIGCONT');
    set.pair.primary.thaw();
    await set.conmgr.until('it is primary again', ({ primary }) => primary === 0);
    assert.deepEqual((await session.query('select 1 as one')).rows, [{ one: 1 }]);
    await session.end();
    assert.equal(app.messages.filter(({ kind }) => kind === 'down').length, 1);
  });

  it('and of its watchdog before it is found by probing, within heartbeat_timeout', async () => {
    const set = await startSet();
    const app = await set.conmgr.bound({ target: 'primary' });
    await set.watchdogs[0].stop('SIGKILL');
    await set.conmgr.untilInstance(0, 'is unmonitored', ({ health }) => health === 'unmonitored');
    await set.pair.primary.kill9();
    const killedMs = performance.now();
    const down = await app.next('down');
    assert.ok(down.atMs - killedMs <= TIMEOUT_MS + EPS_MS);
  });
});

describe('losing the control plane', () => {
  it('a watchdog that is killed ends no session: its instance stays offered, stale, and is monitored again when it is back', async () => {
    const set = await startSet();
    const client = await set.client({ target_session_attrs: 'primary' });
    const app = await set.conmgr.bound({ target: 'primary' });
    const before = await set.pair.primary.log();
    await set.watchdogs[0].stop('SIGKILL');
    const instance = await set.conmgr.untilInstance(
      0,
      'is unmonitored',
      ({ health }) => health === 'unmonitored',
    );
    assert.deepEqual([instance.stale, instance.role], [true, 'primary']);
    assert.deepEqual(await set.conmgr.ask({ target: 'primary' }).offered(), [0]);
    assert.equal(await serverOf(client), 'primary');
    set.watchdogs[0] = await set.watchdogs[0].again();
    await set.conmgr.untilInstance(
      0,
      'is monitored',
      ({ health, stale }) => health === 'monitored' && !stale,
    );
    assert.equal(await serverOf(client), 'primary');
    assert.ok(!kindsOf(app).includes('down'));
    const logged = (await set.pair.primary.log()).slice(before.length);
    assert.doesNotMatch(logged, /incomplete startup|unsupported frontend|terminating connection/);
  });

  it('a watchdog that is stopped says goodbye; sessions stay', async () => {
    const set = await startSet();
    const client = await set.client({ target_session_attrs: 'primary' });
    await set.watchdogs[0].stop('SIGTERM');
    await set.conmgr.logged(/WARNING: +instance 0 .* is not monitored/);
    assert.equal(await serverOf(client), 'primary');
  });

  it('a conmgr that is killed and comes back within restart_grace costs no SQL session', async () => {
    const set = await startSet({ watchdog: { restart_grace: '5' } });
    const session = await set.pair.primary.connect();
    const { directory } = set.conmgr;
    await set.trusted();
    await set.conmgr.stop('SIGKILL');
    await set.watchdogs[0].line(/sessions of 127\.0\.0\.1 are ended in 5 s unless .* is back/);
    await set.addConmgr(directory);
    await set.watchdogs[0].line(/is back after \d+ ms: no session is ended/);
    assert.deepEqual((await session.query('select 1 as one')).rows, [{ one: 1 }]);
    await session.end();
  });

  it('several conmgrs each follow the set; one that stops costs the applications of the others nothing', async () => {
    const set = await startSet();
    const others = [await set.addConmgr(), await set.addConmgr()];
    const apps = await Promise.all(others.map((conmgr) => conmgr.bound({ target: 'primary' })));
    const session = await set.pair.primary.connect();
    await set.trusted();
    await set.conmgr.stop('SIGTERM');
    await set.watchdogs[0].line(/another conmgr is connected from this address: \d+ sessions are left alone/);
    assert.deepEqual((await session.query('select 1 as one')).rows, [{ one: 1 }]);
    await session.end();
    for (const app of apps) assert.deepEqual(kindsOf(app), ['hello', 'candidates']);
    await set.pair.primary.kill9();
    for (const app of apps) assert.equal((await app.next('down')).reason, 'instance down');
  });
});

describe('a change of a running instance', () => {
  it('default_transaction_read_only switched on: told, and not offered for read-write any more', async () => {
    const set = await startSet();
    const app = await set.conmgr.bound({ target: 'primary' });
    await set.pair.primary.configure({ default_transaction_read_only: 'on' });
    await app.next('changed');
    assert.equal((await set.conmgr.ask({ target: 'read-write' }).refusal()).sqlState, '57P03');
    assert.deepEqual(await set.conmgr.ask({ target: 'primary' }).offered(), [0]);
  });

  it('a standby promoted beside a living primary: the new one is offered, the old one is in conflict, its sessions are ended after heartbeat_timeout', async () => {
    const set = await startSet();
    const app = await set.conmgr.bound({ target: 'primary' });
    await set.conmgr.untilInstance(0, 'has a session', ({ sessions }) => sessions === 1);
    await set.pair.standby.promote();
    const { instances } = await set.conmgr.until('the new one is primary', ({ primary }) => primary === 1);
    assert.equal(instances[0]?.conflict, true);
    assert.deepEqual(await set.conmgr.ask({ target: 'primary' }).offered(), [1]);
    assert.equal((await app.next('down')).reason, 'conflict with a newer primary');
  });

  it('an old primary that comes back on its old timeline is never offered, and nobody on the new one is told', async () => {
    const set = await startSet();
    await set.pair.primary.kill9();
    await set.pair.standby.promote();
    await set.conmgr.until('the new one is primary', ({ primary }) => primary === 1);
    const client = await set.client({ target_session_attrs: 'read-write' });
    const app = await set.conmgr.bound({ target: 'primary' });
    const mark = set.conmgr.mark;
    await set.pair.primary.start();
    const { primary } = await set.conmgr.until(
      'there is a conflict',
      ({ instances }) => instances[0]?.conflict === true,
    );
    assert.equal(primary, 1);
    await set.conmgr.logged(
      /WARNING: +two primaries: instance 0 .* on timeline 1 beside instance 1 .* on timeline 2/,
      mark,
    );
    for (const target of ['primary', 'read-write', 'any'] as const)
      assert.deepEqual(await set.conmgr.ask({ target }).offered(), [1]);
    assert.equal(await serverOf(client), 'standby');
    assert.ok(!kindsOf(app).includes('down'));
  });

  it('a waiting request is answered by the promotion it waits for', async () => {
    const set = await startSet({ conmgr: { resolve_wait: '30s' } });
    await set.pair.primary.kill9();
    await set.conmgr.until('there is no primary', ({ primary }) => primary === null);
    const connecting = set.client({ target_session_attrs: 'read-write' });
    await set.conmgr.until('the request waits', ({ applications }) => applications.length === 1);
    await set.pair.standby.promote();
    assert.equal(await serverOf(await connecting), 'standby');
  });

  it('crash recovery after the death of a backend is no loss', async () => {
    const set = await startSet();
    const app = await set.conmgr.bound({ target: 'primary' });
    const session = await set.pair.primary.connect();
    const pid = Number((await session.query('select pg_backend_pid() as pid')).rows[0]?.pid);
    process.kill(pid, 'SIGKILL');
    await eventually(async () => (await set.pair.primary.log()).includes('all server processes terminated'), {
      what: 'the server recovers',
    });
    await set.conmgr.until('the primary is offered', ({ primary }) => primary === 0);
    assert.ok(!kindsOf(app).includes('down'));
    await session.end().catch(() => {});
  });
});

describe('libpq', () => {
  it('goes on to the next host of its list when conmgr refuses it', async () => {
    const set = await startSet({ conmgr: { gateway: 'off' } });
    const { port } = set.conmgr;
    const psql = startCommand('psql', [
      '-XAt',
      `host=127.0.0.1,127.0.0.1 port=${port},${set.pair.primary.port} user=postgres dbname=postgres`,
      '-c',
      "select current_setting('cluster_name')",
    ]);
    const output = await psql.done.catch((error: NodeJS.ErrnoException) => error);
    // Not every machine has libpq.
    if (output instanceof Error) assert.equal(output.code, 'ENOENT');
    else assert.deepEqual([output.code, output.stdout], [0, 'primary\n'], output.stderr);
  });
});
