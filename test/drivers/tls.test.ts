import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { eventually } from '../support/eventually.js';
import { Adapter } from './harness/adapter.js';
import type { Connection, Place } from './harness/connection.js';
import { chosenDrivers } from './harness/drivers.js';
import { nameServer, SERVER_NAME } from './harness/network.js';
import { rootCertificate, SCRAM, Scene } from './harness/scene.js';
import { WAYS } from './harness/ways.js';

for (const way of WAYS) {
  describe(`an encrypted session by ${way.name}`, { concurrency: 2 }, () => {
    let scene: Scene;
    before(async () => {
      scene = await Scene.start(way, { tls: true });
      // For drivers that know one word for the name and the address.
      nameServer(SERVER_NAME, way.direct ? scene.hosts[0].address : '127.0.0.1');
    });
    after(() => scene?.end());

    for (const driver of chosenDrivers()) {
      describe(driver.title, { concurrency: 1 }, () => {
        const { without, name } = driver;
        const channelBinding = without['channel binding'] === undefined;
        let adapter: Adapter;
        const connection = (places: readonly Place[], more: Partial<Connection> = {}): string =>
          driver.connection({ places, ...SCRAM, tls: { rootCertificate, channelBinding }, ...more });
        before(async () => {
          adapter = await Adapter.start(driver, scene.within);
        });
        after(() => adapter?.end());

        it(`verifies the server's name, and SCRAM ${channelBinding ? 'is bound to the channel' : 'serves it'}`, async () => {
          await adapter.connect(connection(scene.namedRoute(driver, 'primary').places));
          const facts = "select ssl || ' ' || usename from pg_stat_ssl join pg_stat_activity using (pid)";
          assert.equal(await adapter.does('query', `${facts} where pid = pg_backend_pid()`), 'true scram');
        });

        it('refuses a server of another name', async () => {
          await adapter.fails('connect', connection(scene.route(driver, 'primary').places.slice(0, 1)));
        });

        const noCancel = without.cancel;
        if (noCancel === undefined) {
          it('cancels a query that runs', async () => {
            await adapter.connect(connection(scene.namedRoute(driver, 'primary').places));
            const cancelled = adapter.fails('query', `select pg_sleep(60) as s_${name}`);
            const runs = `select from pg_stat_activity where wait_event = 'PgSleep' and query like '%s_${name}%'`;
            await eventually(async () => (await scene.primary.sql(runs)).length === 1, {
              what: 'the query runs',
            });
            await adapter.does('cancel');
            assert.match((await cancelled).error, /cancel/i);
          });
        }
      });
    }
  });
}
