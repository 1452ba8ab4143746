import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type pg from 'pg';
import postgres from 'postgres';
import { eventually } from '../support/eventually.js';
import { freePort } from '../support/free-ports.js';
import { LiveSet } from '../support/live-set.js';
import { usualMajor } from '../support/postgres-binaries.js';
import { stockClient } from '../support/stock-client.js';

describe("a stock driver on conmgr's port", () => {
  let set: LiveSet;
  let standbyPort: number;
  before(async () => {
    standbyPort = await freePort();
    set = await LiveSet.start({
      pair: { major: await usualMajor() },
      conmgr: { listener_port0: standbyPort, listener_target_session_attrs0: 'standby' },
    });
  });
  after(() => set?.end());

  const name = "select current_setting('cluster_name') as name";
  const serverOf = async (client: pg.Client): Promise<string> =>
    (await client.query<{ name: string }>(name)).rows[0]!.name;

  it("reaches the server of the port's target: read-write on port, that of the listener on its own", async () => {
    const [writer, reader] = [await stockClient(set.conmgr.port), await stockClient(standbyPort)];
    assert.deepEqual([await serverOf(writer), await serverOf(reader)], ['primary', 'standby']);
    await Promise.all([writer.end(), reader.end()]);
  });

  it('that names a target in its start-up options gets that one', async () => {
    const client = await stockClient(set.conmgr.port, { options: '-c conmgr.target_session_attrs=standby' });
    assert.equal(await serverOf(client), 'standby');
    const { rows } = await client.query("select current_setting('conmgr.target_session_attrs') as target");
    assert.deepEqual(rows, [{ target: 'standby' }]);
    await client.end();
  });

  it('is shown by status with its port, its instance and the bytes that were forwarded', async () => {
    const client = await stockClient(set.conmgr.port, { application_name: 'billing' });
    const length = 1_000_000;
    await client.query('select repeat($1, $2) as text', ['x', length]);
    const { applications } = await set.conmgr.status();
    const [shown, ...others] = applications;
    assert.equal(others.length, 0);
    const { application, mode, instance, listener, target, pid } = shown!;
    assert.deepEqual(
      { application, mode, instance, listener, target, pid },
      {
        application: 'billing',
        mode: 'gateway',
        instance: 0,
        listener: set.conmgr.port,
        target: 'read-write',
        pid: process.pid,
      },
    );
    assert.ok((shown?.bytesFromServer ?? 0) > length && (shown?.bytesFromServer ?? 0) < length + 2000);
    assert.ok((shown?.bytesFromApplication ?? 0) > 50 && (shown?.bytesFromApplication ?? 0) < 1000);
    await client.end();
    await set.conmgr.until('it is gone', (status) => status.applications.length === 0);
  });

  it('postgres.js works unchanged, and cancels a query at the server that runs it', async () => {
    const sql = postgres({
      host: '127.0.0.1',
      port: standbyPort,
      user: 'postgres',
      database: 'postgres',
      max: 2,
    });
    const query = sql`select pg_sleep(60)`;
    const failed = assert.rejects(query.execute(), { code: '57014' });
    await eventually(
      async () =>
        (await set.server(1).sql("select from pg_stat_activity where wait_event = 'PgSleep'")).length === 1,
      { what: 'the query runs' },
    );
    query.cancel();
    await failed;
    await sql.end();
  });
});
