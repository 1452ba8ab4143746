import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { dirname } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { eventually } from '../support/eventually.js';
import { addStandby, type Pair, type Server, startPair, startPrimary } from '../support/postgres.js';
import { whyNotRun } from '../support/postgres-binaries.js';
import { isRunning, readIfAny } from '../support/processes.js';

const isPrimary = async (server: Server): Promise<boolean> =>
  (await server.sql('select pg_is_in_recovery() as standby'))[0]?.['standby'] === false;

describe('a pair of servers', () => {
  let pair: Pair;
  before(async () => {
    pair = await startPair({ listen: ['127.0.0.1', '127.0.0.2'] });
  });
  after(() => pair.end());

  it('replicates what the primary commits', async () => {
    const { primary, standby } = pair;
    await primary.sql('create table t (n int)');
    await primary.sql('insert into t values ($1)', [42]);
    const [row] = await eventually(
      () => standby.sql('select n from t').then((rows) => rows.length > 0 && rows),
      {
        what: 'the row is on the standby',
      },
    );
    assert.deepEqual(row, { n: 42 });
    assert.equal(await isPrimary(primary), true);
    assert.equal(await isPrimary(standby), false);
  });

  it('can be reached over TCP at the addresses asked for', async () => {
    const client = await pair.standby.connect();
    const { rows } = await client.query('select inet_server_addr()::text as at');
    await client.end();
    assert.deepEqual(rows, [{ at: '127.0.0.2/32' }]);
  });

  it('takes parameters while it runs', async () => {
    await pair.primary.configure({ work_mem: '7MB', 'watchdog.port': "it's" });
    assert.deepEqual(
      await pair.primary.sql(
        "select current_setting('work_mem') as a, current_setting('watchdog.port') as b",
      ),
      [{ a: '7MB', b: "it's" }],
    );
  });

  it('keeps connections and answers nothing while frozen', async () => {
    const { primary } = pair;
    const client = await primary.connect();
    primary.freeze();
    let answered = false;
    const answer = client.query('select 1 as one').then(({ rows }) => {
      answered = true;
      return rows;
    });
    try {
      await eventually(
        () => primary.processes().every((pid) => /\) T /.test(readIfAny(`/proc/${pid}/stat`))),
        { what: 'every process is stopped' },
      );
      assert.equal(answered, false);
    } finally {
      primary.thaw();
    }
    assert.deepEqual(await answer, [{ one: 1 }]);
    await client.end();
  });

  it('fails over: the postmaster dies, the standby is promoted, the former primary rejoins', async () => {
    const { primary, standby } = pair;
    await primary.kill9();
    await standby.promote();
    assert.equal(await isPrimary(standby), true);
    await primary.rejoin(standby);
    assert.equal(await isPrimary(primary), false);
  });
});

describe('a synchronous standby', () => {
  it('holds up commits while it is frozen', async () => {
    const { primary, standby, end } = await startPair({ synchronous: true });
    try {
      await primary.sql('create table t (n int)');
      standby.freeze();
      const commit = primary.sql('insert into t values (1) returning n');
      await eventually(
        async () =>
          (await primary.sql("select 1 from pg_stat_activity where wait_event = 'SyncRep'")).length === 1,
        { what: 'the commit waits' },
      );
      standby.thaw();
      assert.deepEqual(await commit, [{ n: 1 }]);
    } finally {
      await end();
    }
  });
});

describe('ending a server', () => {
  it('leaves no process, no shared memory and no file, whatever state it is in', async () => {
    const server = await startPrimary();
    const standby = await addStandby(server);
    const segment = readIfAny(`${server.dataDir}/postmaster.pid`).split('\n')[6]?.trim().split(/\s+/)[1];
    assert.match(readIfAny('/proc/sysvipc/shm'), new RegExp(`^\\s*\\d+\\s+${segment}\\s`, 'm'));
    const pids = [...server.processes(), ...standby.processes()];
    assert.ok(pids.length > 6, `only ${pids.length} processes`);
    standby.freeze();
    await server.kill9();
    await Promise.all([server.end(), standby.end()]);
    assert.deepEqual(pids.filter(isRunning), []);
    assert.doesNotMatch(readIfAny('/proc/sysvipc/shm'), new RegExp(`^\\s*\\d+\\s+${segment}\\s`, 'm'));
    assert.deepEqual(
      [server, standby].filter(({ dataDir }) => existsSync(dirname(dataDir))),
      [],
    );
  });

  it('can be stopped in each mode and started again', async () => {
    const server = await startPrimary();
    try {
      for (const mode of ['smart', 'fast', 'immediate'] as const) {
        await server.stop(mode);
        assert.deepEqual(server.processes(), []);
        await server.start();
        assert.equal(await isPrimary(server), true);
      }
    } finally {
      await server.end();
    }
  });

  it('says why a server did not start', async () => {
    await assert.rejects(startPrimary({ settings: { no_such_parameter: '1' } }), /no_such_parameter/);
  });
});

for (const major of [13, 15, 18]) {
  describe(`PostgreSQL ${major}`, async () => {
    it('runs as a pair', { skip: await whyNotRun(major) }, async () => {
      const { primary, standby, end } = await startPair({ major });
      try {
        const [row] = await primary.sql("select current_setting('server_version_num')::int / 10000 as major");
        assert.deepEqual(row, { major });
        await standby.promote();
        assert.equal(await isPrimary(standby), true);
      } finally {
        await end();
      }
    });
  });
}
