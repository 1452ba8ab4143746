import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { CmClient } from '../../src/client/client.js';
import type { CmError } from '../../src/client/errors.js';
import type { CmClientConfig } from '../../src/client/options.js';
import { CmPool } from '../../src/client/pool.js';
import { ConmgrProcess } from '../support/conmgr-process.js';
import { eventually } from '../support/eventually.js';
import { type Pair, startPair } from '../support/postgres.js';
import { TestWatchdog } from '../support/watchdog.js';

const closing: (() => Promise<unknown> | unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

describe('the client library and conmgr', () => {
  let pair: Pair;
  let watchdogs: TestWatchdog[];
  let conmgr: ConmgrProcess;

  /** Starts conmgr; on the directory of the one before it is the same conmgr again. */
  const startConmgr = async (directory?: string) => {
    const { primary, standby } = pair;
    conmgr = await ConmgrProcess.start({
      instances: [primary, standby].map((server, n) => ({
        host: server.host,
        backendPort: server.port,
        watchdogPort: watchdogs[n]?.port ?? 0,
      })),
      ...(directory === undefined ? {} : { directory, settings: { port: conmgr.port } }),
    });
    await conmgr.linked();
  };

  before(async () => {
    pair = await startPair({ listen: ['127.0.0.1', '127.0.0.2'] });
    watchdogs = await Promise.all([pair.primary, pair.standby].map((server) => TestWatchdog.start(server)));
    await startConmgr();
  });
  after(async () => {
    await conmgr.stop('SIGKILL');
    await Promise.all(watchdogs.map((watchdog) => watchdog.stop('SIGKILL')));
    await pair.end();
  });

  const configOf = (config: CmClientConfig = {}): CmClientConfig => ({
    host: 'localhost',
    hostaddr: '127.0.0.1',
    port: conmgr.port,
    user: 'postgres',
    database: 'postgres',
    application_name: 'e2e',
    ...config,
  });

  async function connected(config: CmClientConfig = {}) {
    const client = new CmClient(configOf(config));
    const errors: CmError[] = [];
    client.on('error', (error) => errors.push(error as CmError));
    closing.push(() => client.end());
    await client.connect();
    return { client, errors };
  }

  const portOf = async (client: CmClient) =>
    (await client.query<{ port: number }>('select inet_server_port() as port')).rows[0]?.port;

  it('agree on who is the primary and who a standby', async () => {
    const writer = await connected({ target_session_attrs: 'read-write' });
    const reader = await connected({ target_session_attrs: 'standby' });
    assert.equal(await portOf(writer.client), pair.primary.port);
    assert.equal(await portOf(reader.client), pair.standby.port);
    assert.equal(writer.client.cmInstance?.instance, 0);
    assert.equal(reader.client.cmInstance?.instance, 1);
  });

  it('show each other the session: conmgr lists it until it is closed', async () => {
    const { client } = await connected({ target_session_attrs: 'read-write' });
    const named = ({ applications }: Awaited<ReturnType<ConmgrProcess['status']>>) =>
      applications.filter((one) => JSON.stringify(one).includes('e2e'));
    assert.equal(
      named(await conmgr.until('the session is listed', (status) => named(status).length > 0)).length,
      1,
    );
    await client.end();
    await conmgr.until('the session is gone', (status) => named(status).length === 0);
  });

  it('keep a session through a restart of conmgr', async () => {
    const { client, errors } = await connected({ target_session_attrs: 'read-write' });
    const { rows } = await client.query('select pg_backend_pid() as pid');
    const before = client.cmSocket();
    await conmgr.control({ command: 'stop', mode: 'restart' } as never);
    await conmgr.running.done;
    assert.equal(await portOf(client), pair.primary.port);
    await startConmgr(conmgr.directory);
    await eventually(() => client.cmSocket() !== undefined && client.cmSocket() !== before, {
      what: 'the client is attached again',
    });
    await conmgr.until('conmgr knows the session', ({ applications }) => applications.length === 1);
    assert.deepEqual((await client.query('select pg_backend_pid() as pid')).rows, rows);
    assert.deepEqual(errors, []);
  });

  it('part with 08006 when conmgr is killed, or not at all where the application wants it so', async () => {
    const strict = await connected();
    const lenient = await connected({ conmgrLost: 'keep' });
    const { directory } = conmgr;
    const ended = new Promise((resolve) => strict.client.once('end', resolve));
    await conmgr.stop('SIGKILL');
    await ended;
    assert.deepEqual(
      strict.errors.map((error) => [error.code, error.conmgr?.reason]),
      [['08006', 'conmgr gone']],
    );
    await startConmgr(directory);
    await eventually(() => lenient.client.cmSocket() !== undefined, { what: 'the other is attached again' });
    assert.ok(await portOf(lenient.client));
    assert.deepEqual(lenient.errors, []);
  });

  it('lose no process to a failover: the pool is on the new primary without anybody doing anything', async () => {
    const { primary, standby } = pair;
    const pool = new CmPool({ ...configOf({ target_session_attrs: 'read-write' }), max: 3 });
    closing.push(() => pool.end());
    const whereIs = async () => (await pool.query('select inet_server_port() as port')).rows[0]?.port;
    assert.equal(await whereIs(), primary.port);
    const running = pool.query('select pg_sleep(60)').then(
      () => assert.fail(),
      (error: CmError) => error,
    );
    await primary.stop('immediate');
    assert.match((await running).code, /^(08006|57P0[123])$/);
    await standby.promote();
    assert.equal(await eventually(whereIs, { what: 'the new primary is found' }), standby.port);
  });
});
