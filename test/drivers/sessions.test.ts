import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { eventually } from '../support/eventually.js';
import { Adapter } from './harness/adapter.js';
import type { Target } from './harness/connection.js';
import { chosenDrivers } from './harness/drivers.js';
import { observe } from './harness/observed.js';
import { Scene } from './harness/scene.js';
import { CONMGR_PORT, WAYS } from './harness/ways.js';

/** Servers that each target may lead to. */
const SERVERS: Readonly<Record<Target, readonly string[]>> = {
  primary: ['primary'],
  standby: ['standby'],
  any: ['primary', 'standby'],
  'prefer-standby': ['standby'],
};

for (const way of WAYS) {
  describe(`a session by ${way.name}`, { concurrency: 2 }, () => {
    let scene: Scene;
    before(async () => {
      scene = await Scene.start(way);
    });
    after(() => scene?.end());

    for (const driver of chosenDrivers()) {
      describe(driver.title, { concurrency: 1 }, () => {
        const { without, name } = driver;
        const table = `t_${name}`;
        let adapter: Adapter;
        const connect = (target: Target): Promise<void> =>
          adapter.connect(driver.connection({ ...scene.route(driver, target), user: 'postgres' }));
        const count = async (): Promise<unknown> =>
          (await scene.primary.sql(`select count(*)::int as n from ${table}`))[0]?.['n'];
        before(async () => {
          adapter = await Adapter.start(driver, scene.within);
          await scene.primary.sql(`create table ${table} (n int)`);
        });
        after(() => adapter?.end());

        it('is connected to a server that fits each target', async () => {
          for (const [target, servers] of Object.entries(SERVERS) as [Target, readonly string[]][]) {
            await connect(target);
            const server = await adapter.does('query', "select current_setting('cluster_name')");
            assert.ok(servers.includes(server), `${target}: ${server}`);
          }
          const { applications } = await scene.conmgr.status();
          if (way.kernel) assert.deepEqual(applications, [], 'bytes pass through conmgr');
        });

        if (!way.direct && without['several hosts'] === undefined && without['several ports'] === undefined) {
          it('chooses by itself, too, among several places', async () => {
            const places = [
              ...scene.route(driver, 'primary').places,
              ...scene.route(driver, 'standby').places,
            ];
            for (const [target, servers] of Object.entries(SERVERS) as [Target, readonly string[]][]) {
              await adapter.connect(driver.connection({ places, target, user: 'postgres' }));
              const server = await adapter.does('query', "select current_setting('cluster_name')");
              const fits = servers.includes(server) || (target === 'prefer-standby' && without[target]);
              assert.ok(fits, `${target}: ${server}`);
            }
          });
        }

        if (way.name === 'gateway') {
          it('is connected to what its start-up packet asks for', async () => {
            const places = [{ host: 'localhost', port: CONMGR_PORT }];
            for (const server of ['primary', 'standby']) {
              const options = `-c conmgr.target_session_attrs=${server}`;
              await adapter.connect(driver.connection({ places, user: 'postgres', options }));
              assert.equal(await adapter.does('query', "select current_setting('cluster_name')"), server);
            }
          });
        }

        it('runs a transaction', async () => {
          await connect('primary');
          const insert = `insert into ${table} values (0)`;
          await adapter.does('transaction', `${insert};;${insert}`);
          assert.equal(await count(), 2);
        });

        const noCopyIn = without['copy-in'];
        it(
          noCopyIn === undefined ? 'copies 100,000 rows to the server' : `copies nothing: ${noCopyIn}`,
          async () => {
            await scene.primary.sql(`truncate ${table}`);
            if (noCopyIn !== undefined) return void (await adapter.fails('copy-in', `${table} 1`));
            await adapter.does('copy-in', `${table} 100000`);
            assert.equal(await count(), 100_000);
          },
        );

        const noCopyOut = without['copy-out'];
        it(
          noCopyOut === undefined ? 'copies 100,000 rows from the server' : `fetches no copy: ${noCopyOut}`,
          async () => {
            const rows = "select repeat('x', 100) from generate_series(1, 100000)";
            if (noCopyOut !== undefined) return void (await adapter.fails('copy-out', rows));
            assert.equal(await adapter.does('copy-out', rows), '100000');
          },
        );

        const noCancel = without.cancel;
        it(
          noCancel === undefined ? 'cancels a query that runs' : `cancels nothing: ${noCancel}`,
          async () => {
            if (noCancel !== undefined) return void (await adapter.fails('cancel'));
            const cancelled = adapter.fails('query', `select pg_sleep(60) as ${table}`);
            const runs = `select from pg_stat_activity where wait_event = 'PgSleep' and query like '%${table}%'`;
            await eventually(async () => (await scene.primary.sql(runs)).length === 1, {
              what: 'the query runs',
            });
            await adapter.does('cancel');
            const failure = await cancelled;
            assert.match(failure.error, /cancel/i);
            observe(way.name, adapter, 'cancelled', failure);
          },
        );
      });
    }
  });
}
