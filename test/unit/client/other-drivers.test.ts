import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import pg from 'pg';
import postgres from 'postgres';
import { CmError } from '../../../src/client/errors.js';
import { cmSocket } from '../../../src/client/postgres-js.js';
import { cmStream } from '../../../src/client/stream.js';
import { TEST_CERTIFICATE } from '../../support/certificate.js';
import { eventually } from '../../support/eventually.js';
import { FakeConmgr, type OfferedInstance, offering } from '../../support/fake-conmgr.js';
import { FakeInstance, type InstanceBehaviour } from '../../support/fake-instance.js';
import { freePort } from '../../support/free-ports.js';

const closing: (() => Promise<unknown> | unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

async function setUp(behaviour: Partial<InstanceBehaviour> = {}, offered: Partial<OfferedInstance> = {}) {
  const server = await FakeInstance.start(behaviour);
  const conmgr = await FakeConmgr.start(offering([{ instance: 1, port: server.port, ...offered }], 10_000));
  closing.push(() => Promise.all([server.stop(), conmgr.stop()]));
  return { server, conmgr };
}

describe('postgres.js with the helper for its socket option', () => {
  function sqlOf(port: number | number[], options: postgres.Options<Record<string, never>> = {}) {
    const ports = [port].flat();
    // The declarations of postgres.js leave its option `socket` out.
    const config = {
      host: ports.map(() => '127.0.0.1'),
      port: ports,
      username: 'me',
      database: 'db',
      max: 1,
      fetch_types: false,
      onnotice: () => {},
      socket: cmSocket({ target_session_attrs: 'read-write' }),
      ...options,
    };
    const sql = postgres(config as postgres.Options<Record<string, never>>);
    closing.push(() => sql.end({ timeout: 0 }));
    return sql;
  }
  const portOf = async (sql: postgres.Sql) => Number((await sql.unsafe('SELECT port'))[0]?.['c0']);

  it('goes straight to the instance that conmgr offers', async () => {
    const { server, conmgr } = await setUp();
    assert.equal(await portOf(sqlOf(conmgr.port)), server.port);
    const [session] = conmgr.sessions;
    assert.equal(session?.ask.target, 'read-write');
    assert.equal(session?.ask.app, 'postgres.js');
    assert.equal((await session?.bound)?.instance, 1);
    assert.equal(server.startups.length, 1);
  });

  it('is told of a loss: the running query rejects, the next one goes where conmgr says', async () => {
    const { server, conmgr } = await setUp();
    const second = await FakeInstance.start();
    closing.push(() => second.stop());
    const sql = sqlOf(conmgr.port);
    const running = sql.unsafe('hang').then(
      () => assert.fail(),
      (error: CmError) => error,
    );
    await eventually(() => server.queries.includes('hang'), { what: 'the query runs' });
    conmgr.script = offering([{ instance: 2, port: second.port }]);
    conmgr.sessions[0]?.drop(1, 'instance down');
    const error = await running;
    assert.equal(error.code, '08006');
    assert.equal(error.conmgr?.reason, 'instance down');
    assert.equal(await portOf(sql), second.port);
    assert.equal(await conmgr.sessions[0]?.left, 'said goodbye');
  });

  it('is told of a loss under TLS too, verifies the real name, and leaves conmgr at its end', async () => {
    const { server, conmgr } = await setUp({ tls: true }, { host: 'db.test', hostaddr: '127.0.0.1' });
    const sql = sqlOf(conmgr.port, { ssl: { ca: TEST_CERTIFICATE.cert } });
    assert.equal(await portOf(sql), server.port);
    assert.equal(server.startups[0]?.serverName, 'db.test');
    assert.equal(conmgr.sessions[0]?.params.has('user'), false);
    const running = sql.unsafe('hang').then(
      () => assert.fail(),
      (error: CmError) => error,
    );
    await eventually(() => server.queries.includes('hang'), { what: 'the query runs' });
    conmgr.sessions[0]?.drop(1, 'instance down');
    assert.equal((await running).code, 'CONNECTION_CLOSED');
    assert.equal(await conmgr.sessions[0]?.left, 'said goodbye');
    // postgres.js still sends what comes between the error and the end of its socket, and rejects it.
    assert.equal(await eventually(() => portOf(sql), { what: 'postgres.js connects again' }), server.port);
    await sql.end();
    assert.equal(await conmgr.sessions[1]?.left, 'said goodbye');
  });

  it('gets an error and does not wait for ever when no host of several answers', async () => {
    const sql = sqlOf([await freePort(), await freePort()]);
    await assert.rejects(
      portOf(sql),
      (error: CmError) => error.code === '08001' && error.errors.length === 2,
    );
    await assert.rejects(portOf(sql), (error: CmError) => error.errors.length === 2);
  });

  it('uses a server directly', async () => {
    const { server } = await setUp();
    assert.equal(await portOf(sqlOf(server.port)), server.port);
  });

  it('refuses wrong options when it is made', () => {
    assert.throws(() => cmSocket({ port: 0 }), CmError);
  });
});

describe('pg with a stream of this library', () => {
  async function connected(port: number, config: pg.ClientConfig = {}) {
    const client = new pg.Client({
      user: 'me',
      database: 'db',
      stream: cmStream({ host: '127.0.0.1', port, user: 'me', target_session_attrs: 'primary' }),
      ...config,
    });
    const errors: CmError[] = [];
    client.on('error', (error) => errors.push(error as CmError));
    closing.push(() => client.end());
    await client.connect();
    return { client, errors };
  }

  it('goes straight to the instance that conmgr offers', async () => {
    const { server, conmgr } = await setUp();
    const { client } = await connected(conmgr.port);
    assert.equal(Number((await client.query('SELECT port')).rows[0]?.c0), server.port);
    assert.equal(conmgr.sessions[0]?.ask.target, 'primary');
    assert.equal((await conmgr.sessions[0]?.bound)?.instance, 1);
    await client.end();
    assert.equal(await conmgr.sessions[0]?.left, 'said goodbye');
  });

  it('is told of a loss', async () => {
    const { server, conmgr } = await setUp();
    const { client, errors } = await connected(conmgr.port);
    const running = client.query('hang').then(
      () => assert.fail(),
      (error: CmError) => error,
    );
    await eventually(() => server.queries.includes('hang'), { what: 'the query runs' });
    conmgr.sessions[0]?.drop(1, 'operator');
    assert.equal((await running).code, '08006');
    assert.equal(errors[0]?.conmgr?.reason, 'operator');
  });

  it('works under TLS, and is told of a loss there too', async () => {
    const { server, conmgr } = await setUp({ tls: true });
    const { client, errors } = await connected(conmgr.port, { ssl: { rejectUnauthorized: false } });
    assert.equal(Number((await client.query('SELECT port')).rows[0]?.c0), server.port);
    assert.equal(server.startups[0]?.overTls, true);
    const running = client.query('hang').then(
      () => assert.fail(),
      (error: CmError) => error,
    );
    await eventually(() => server.queries.includes('hang'), { what: 'the query runs' });
    conmgr.sessions[0]?.drop(1, 'operator');
    assert.equal((await running).code, '08006');
    assert.equal(errors[0]?.conmgr?.reason, 'operator');
  });

  it('fails as a connection does that cannot be made', async () => {
    await assert.rejects(connected(await freePort()), { code: '08001' });
  });

  it('gives up when the client is closed before conmgr answered', async () => {
    const { conmgr } = await setUp();
    conmgr.script = (session) => session.socket.pause();
    const connecting = connected(conmgr.port, { connectionTimeoutMillis: 100 });
    const session = await conmgr.nextSession();
    await assert.rejects(connecting, /timeout/);
    session.socket.resume();
    assert.equal(await session.left, 'vanished');
  });
});
