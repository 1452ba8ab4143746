import assert from 'node:assert/strict';
import { once } from 'node:events';
import { afterEach, describe, it } from 'node:test';
import pg from 'pg';
import { CmClient } from '../../../src/client/client.js';
import { cmDriver } from '../../../src/client/driver.js';
import { CmError } from '../../../src/client/errors.js';
import type { CmPoolConfig } from '../../../src/client/options.js';
import { CmPool } from '../../../src/client/pool.js';
import { eventually } from '../../support/eventually.js';
import { FakeConmgr, offering } from '../../support/fake-conmgr.js';
import { FakeInstance } from '../../support/fake-instance.js';

const closing: (() => Promise<unknown> | unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

/** A conmgr that offers one of two servers, and a pool on it. */
async function setUp(config: CmPoolConfig = {}) {
  const [first, second] = await Promise.all([FakeInstance.start(), FakeInstance.start()]);
  const offer = (instance: number, port: number) => offering([{ instance, port }], 10_000);
  const conmgr = await FakeConmgr.start(offer(1, first.port));
  const pool = new CmPool({ host: '127.0.0.1', port: conmgr.port, user: 'me', ...config });
  closing.push(
    () => Promise.all([first.stop(), second.stop(), conmgr.stop()]),
    () => pool.end(),
  );
  const failOver = () => {
    conmgr.script = offer(2, second.port);
    for (const session of conmgr.sessions) session.drop(1, 'heartbeat timeout');
  };
  return { first, second, conmgr, pool, failOver };
}

const port = async (queryable: { query(text: string): Promise<pg.QueryResult> }) =>
  Number((await queryable.query('SELECT port')).rows[0]?.c0);

describe('a pool', () => {
  it('makes clients of this library, which share its options', async () => {
    const { pool, first, conmgr } = await setUp({ target_session_attrs: 'primary' });
    const client = await pool.connect();
    assert.ok(client instanceof CmClient);
    assert.equal(await port(client), first.port);
    client.release();
    assert.equal(conmgr.sessions[0]?.ask.target, 'primary');
  });

  it('hands its password to the clients', async () => {
    const { pool, first } = await setUp({ password: 'secret' });
    first.behaviour.wantsPassword = true;
    assert.equal(await port(pool), first.port);
    assert.deepEqual(first.passwords, ['secret']);
  });

  it('removes idle clients of a lost instance quietly, and connects to the new one', async () => {
    const { pool, first, second, failOver } = await setUp();
    const errors: Error[] = [];
    const lost: CmError[] = [];
    pool.on('error', (error) => errors.push(error));
    (pool as NodeJS.EventEmitter).on('cmLost', (error: CmError) => lost.push(error));
    await Promise.all([port(pool), port(pool)]);
    assert.equal(pool.totalCount, 2);
    failOver();
    await eventually(() => pool.totalCount === 0, { what: 'the clients are removed' });
    assert.deepEqual(errors, []);
    assert.equal(lost.length, 2);
    assert.equal(lost[0]?.conmgr?.reason, 'heartbeat timeout');
    assert.equal(await port(pool), second.port);
    assert.equal(first.connections, 0);
  });

  it('rejects what runs on a lost instance with 08006, and survives without any listener', async () => {
    const { pool, first, second, failOver } = await setUp();
    const running = pool.query('hang').then(
      () => assert.fail(),
      (error: CmError) => error,
    );
    const client = await pool.connect();
    await eventually(() => first.queries.includes('hang'), { what: 'the query runs' });
    failOver();
    assert.equal((await running).code, '08006');
    await eventually(() => (client as unknown as CmClient).status === 'bad', {
      what: 'the other client is lost',
    });
    client.release();
    assert.equal(pool.totalCount, 0);
    assert.equal(await port(pool), second.port);
  });

  it('survives an error that conmgr has no part in', async () => {
    const server = await FakeInstance.start();
    const pool = new CmPool({ host: '127.0.0.1', port: server.port, user: 'me', conmgr: 'off' });
    closing.push(
      () => server.stop(),
      () => pool.end(),
    );
    await port(pool);
    const error = once(pool as NodeJS.EventEmitter, 'error');
    server.cut();
    await assert.rejects(
      error.then(([one]) => Promise.reject(one)),
      { code: '08006' },
    );
    assert.equal(pool.totalCount, 0);
  });

  it('refuses wrong options when it is made', () => {
    assert.throws(() => new CmPool({ host: 'a,b', port: '1,2,3' }), CmError);
  });

  it('lets go of everything at its end', async () => {
    const { pool, first, conmgr } = await setUp();
    await Promise.all([port(pool), port(pool), port(pool)]);
    closing.pop();
    await pool.end();
    for (const session of conmgr.sessions) assert.equal(await session.left, 'said goodbye');
    await eventually(() => first.connections === 0, { what: 'the server sees the end' });
  });

  it('keeps to connectionTimeoutMillis with a conmgr that is silent', async () => {
    const { pool, conmgr } = await setUp({ connectionTimeoutMillis: 100 });
    conmgr.script = () => {};
    await assert.rejects(pool.connect(), /timeout/);
    assert.equal(pool.totalCount, 0);
  });
});

describe('the module for ORMs', () => {
  it('has the classes of this library and everything else of pg', async () => {
    const { first, conmgr } = await setUp();
    const driver = cmDriver({ target_session_attrs: 'read-write' });
    assert.equal(driver.types, pg.types);
    const client = new driver.Client({
      host: '127.0.0.1',
      port: conmgr.port,
      user: 'me',
      target_session_attrs: undefined,
    });
    closing.push(() => client.end());
    assert.ok(client instanceof CmClient);
    await client.connect();
    assert.equal(await port(client), first.port);
    assert.equal(conmgr.sessions[0]?.ask.target, 'read-write');
    const pool = new driver.Pool({ connectionString: `postgres://me@127.0.0.1:${conmgr.port}/db` });
    closing.push(() => pool.end());
    assert.equal(await port(pool), first.port);
    assert.equal(conmgr.sessions[1]?.ask.target, 'read-write');
  });
});
