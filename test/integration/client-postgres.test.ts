import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { CmClient } from '../../src/client/client.js';
import type { CmError } from '../../src/client/errors.js';
import type { CmClientConfig } from '../../src/client/options.js';
import { CmPool } from '../../src/client/pool.js';
import { eventually } from '../support/eventually.js';
import { FakeConmgr, type OfferedInstance, offering } from '../support/fake-conmgr.js';
import { type Pair, type Server, startPair } from '../support/postgres.js';

const closing: (() => Promise<unknown> | unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

const offered = (...servers: Server[]): OfferedInstance[] =>
  servers.map(({ host, port }, index) => ({ instance: index + 1, host, port }));

async function conmgrOffering(...servers: Server[]): Promise<FakeConmgr> {
  const conmgr = await FakeConmgr.start(offering(offered(...servers), 10_000));
  closing.push(() => conmgr.stop());
  return conmgr;
}

async function connected(config: CmClientConfig): Promise<CmClient> {
  const client = new CmClient({ user: 'postgres', database: 'postgres', ...config });
  client.on('error', () => {});
  closing.push(() => client.end());
  await client.connect();
  return client;
}

const portOf = async (client: { query: CmClient['query'] }): Promise<number> =>
  Number((await client.query('select inet_server_port() as port')).rows[0]?.port);

/** Lines that say that a client behaved unexpectedly. */
const complaints = async (server: Server): Promise<string[]> =>
  (await server.log())
    .split('\n')
    .filter((line) => /FATAL|incomplete startup|could not (receive|send)|unexpected EOF/.test(line));

for (const major of [13, 17]) {
  describe(`the client library and PostgreSQL ${major}`, () => {
    let pair: Pair;
    before(async () => {
      pair = await startPair({
        major,
        settings: { password_encryption: 'scram-sha-256' },
        hba: ['host all guarded 127.0.0.0/8 scram-sha-256'],
      });
      await pair.primary.sql("create role guarded login password 'secret'");
    });
    after(() => pair.end());

    it('connect through conmgr to the primary', async () => {
      const { port } = await conmgrOffering(pair.primary);
      const client = await connected({ host: '127.0.0.1', port, target_session_attrs: 'read-write' });
      assert.equal(await portOf(client), pair.primary.port);
      assert.equal(client.cmInstance?.instance, 1);
    });

    it('find out that conmgr is out of date about a role', async () => {
      const { primary, standby } = pair;
      const { port } = await conmgrOffering(standby, primary);
      const writer = await connected({ host: '127.0.0.1', port, target_session_attrs: 'primary' });
      assert.equal(await portOf(writer), primary.port);
      const other = await conmgrOffering(primary, standby);
      const reader = await connected({
        host: '127.0.0.1',
        port: other.port,
        target_session_attrs: 'standby',
      });
      assert.equal(await portOf(reader), standby.port);
    });

    it('find a default_transaction_read_only of the role, which no watchdog can see', async () => {
      const { primary } = pair;
      await primary.sql('create role reader login');
      await primary.sql('alter role reader set default_transaction_read_only = on');
      const { port } = await conmgrOffering(primary);
      const config = { host: '127.0.0.1', port, user: 'reader' };
      await assert.rejects(connected({ ...config, target_session_attrs: 'read-write' }), { code: '57P03' });
      assert.equal(
        await portOf(await connected({ ...config, target_session_attrs: 'primary' })),
        primary.port,
      );
    });

    it('use a list of servers as libpq does, without a complaint in their logs', async () => {
      const { primary, standby } = pair;
      const list = { host: '127.0.0.1', port: [standby.port, primary.port] };
      const before = [await complaints(primary), await complaints(standby)];
      assert.equal(
        await portOf(
          await connected({ ...list, host: ['127.0.0.1', '127.0.0.1'], target_session_attrs: 'primary' }),
        ),
        primary.port,
      );
      assert.deepEqual([await complaints(primary), await complaints(standby)], before);
    });

    it('authenticate by password at the server, and never towards conmgr', async () => {
      const { primary } = pair;
      const conmgr = await conmgrOffering(primary);
      const config = { host: '127.0.0.1', port: conmgr.port, user: 'guarded' };
      assert.equal(await portOf(await connected({ ...config, password: 'secret' })), primary.port);
      assert.deepEqual([...(conmgr.sessions[0]?.params.keys() ?? [])].sort(), [
        '_pq_.conmgr',
        'database',
        'user',
      ]);
      await assert.rejects(connected({ ...config, password: 'wrong' }), { code: '28P01' });
    });

    it('end a query on a server that does not answer any more, as soon as conmgr tells', async () => {
      const { primary } = pair;
      const conmgr = await conmgrOffering(primary);
      const client = await connected({ host: '127.0.0.1', port: conmgr.port });
      primary.freeze();
      try {
        const running = client.query('select 1').then(
          () => assert.fail(),
          (error: CmError) => error,
        );
        conmgr.sessions[0]?.drop(1, 'heartbeat timeout', 'no packet for 3 s');
        const { code, conmgr: lost } = await running;
        assert.deepEqual([code, lost?.reason], ['08006', 'heartbeat timeout']);
      } finally {
        primary.thaw();
      }
    });

    it('see the end of a session that the server terminates', async () => {
      const conmgr = await conmgrOffering(pair.primary);
      const client = await connected({ host: '127.0.0.1', port: conmgr.port });
      const ended = new Promise<CmError>((resolve) =>
        client.once('error', (error) => resolve(error as CmError)),
      );
      const { rows } = await client.query('select pg_backend_pid() as pid');
      await pair.primary.sql('select pg_terminate_backend($1)', [rows[0]?.pid]);
      const error = await ended;
      assert.equal(error.code, '57P01');
      assert.equal(error.conmgr?.reason, 'connection closed');
      assert.equal(await conmgr.sessions[0]?.left, 'said goodbye');
    });

    it('follow a promotion with a pool that nobody has to restart', async () => {
      const { primary, standby } = pair;
      const conmgr = await conmgrOffering(primary);
      const pool = new CmPool({
        host: '127.0.0.1',
        port: conmgr.port,
        user: 'postgres',
        database: 'postgres',
        target_session_attrs: 'read-write',
      });
      closing.push(() => pool.end());
      await Promise.all([portOf(pool as never), portOf(pool as never)]);
      await primary.stop('immediate');
      await standby.promote();
      conmgr.script = offering([{ instance: 2, host: standby.host, port: standby.port }]);
      for (const session of conmgr.sessions) session.drop(1, 'instance down');
      await eventually(() => pool.totalCount === 0, { what: 'the lost clients are removed' });
      assert.equal(await portOf(pool as never), standby.port);
    });
  });
}
