import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { Program } from './harness/commands.js';
import { suites } from './harness/images.js';
import { ADDRESS } from './harness/lab.js';
import { copyNodePackage } from './harness/node-packages.js';
import { Pair } from './harness/pair.js';

/** An application that keeps one session for writing and says where it is and when it is lost. */
const APPLICATION = `
const { CmClient } = require('conmgr/client');
(async () => {
  for (;;) {
    const client = new CmClient({
      host: 'localhost', port: 27546, user: 'postgres', database: 'postgres', target_session_attrs: 'read-write',
    });
    client.on('error', () => {});
    try {
      await client.connect();
      const { rows } = await client.query('select host(inet_server_addr()) as server');
      console.log('at ' + rows[0].server);
      await client.query('select pg_sleep(1000)');
    } catch (error) {
      console.log('lost: ' + error.code + ' ' + error.message);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
})();
`;

/** heartbeat_timeout of the tests, and what a busy machine may add. */
const TIMEOUT_MS = 3_000;
const SLACK_MS = 3_000;

for (const suite of suites()) {
  describe(`a pair of servers and an application host of ${suite.name}`, () => {
    let pair: Pair;
    let application: Program;
    before(async () => {
      pair = await Pair.up(suite);
      await copyNodePackage(pair.lab.app, 'pg');
      await pair.lab.app.write('/srv/application.js', APPLICATION);
      application = pair.lab.app.start(['node', '/srv/application.js'], { user: 'postgres' });
      await application.waitForLine(new RegExp(`^at ${ADDRESS.db1}$`));
    });
    after(() => pair?.remove());

    /** psql as an administrator would use it on app: it connects where conmgr sends it. */
    const psql = (sql: string): string =>
      `psql "$(cm_ctl resolve -D ${pair.app.directory} read-write) dbname=postgres user=postgres" -XAtc "${sql}"`;

    const sessionsOfApp = async (): Promise<number> =>
      Number(
        await pair.db1.sql(
          `select count(*) from pg_stat_activity where client_addr = '${ADDRESS.app}' and backend_type = 'client backend'`,
        ),
      );

    it('sends psql to the primary', async () => {
      assert.equal(await pair.lab.app.output(psql('select host(inet_server_addr())')), ADDRESS.db1);
    });

    it('has the sessions of app ended on db1 when the cable of app is pulled', async () => {
      const session = pair.lab.app.start(psql('select pg_sleep(1000)'));
      await pair.lab.db1.until('both sessions are there', async () => (await sessionsOfApp()) === 2);
      const cut = performance.now();
      await pair.lab.cut('app');
      await pair.lab.db1.until('the sessions of app are gone', async () => (await sessionsOfApp()) === 0);
      const tookMs = performance.now() - cut;
      assert.ok(tookMs < TIMEOUT_MS + SLACK_MS, `took ${Math.round(tookMs)} ms`);
      assert.ok(
        tookMs > TIMEOUT_MS / 2,
        `not before the host can be called lost; took ${Math.round(tookMs)} ms`,
      );
      await pair.lab.mend('app');
      session.killAll();
    });

    it('takes the application back when the cable of app is in again', async () => {
      await application.waitForLine(new RegExp(`^at ${ADDRESS.db1}$`), { after: 1, timeoutMs: 20_000 });
      assert.equal(await pair.lab.app.output(psql('select 1')), '1');
    });

    it('tells the application and psql within heartbeat_timeout when the cable of db1 is pulled', async () => {
      const seen = application.lines.length;
      // In the middle of a statement, through conmgr, which it knows as any server.
      const session = pair.lab.app.start(
        `psql 'host=localhost port=27546 dbname=postgres user=postgres sslmode=disable' -XAt <<'END'
select 'at ' || host(inet_server_addr());
select pg_sleep(1000);
END`,
      );
      session.stdin.end();
      await session.waitForLine(new RegExp(`^at ${ADDRESS.db1}$`));
      const cut = performance.now();
      await pair.lab.cut('db1');
      const told = async (what: string, word: Promise<unknown>): Promise<void> => {
        await word;
        const tookMs = performance.now() - cut;
        assert.ok(tookMs < TIMEOUT_MS + SLACK_MS, `${what}: took ${Math.round(tookMs)} ms`);
      };
      await Promise.all([
        told('application', application.waitForLine(/^lost: 08006 /, { after: seen, timeoutMs: 30_000 })),
        told('psql', session.waitForLine(/connection to server was lost/, { timeoutMs: 30_000 })),
      ]);
      assert.equal((await session.done).code, 2);
    });

    it('sends the application and psql to db2 when that is promoted', async () => {
      const seen = application.lines.length;
      await pair.db2.promote();
      await application.waitForLine(new RegExp(`^at ${ADDRESS.db2}$`), { after: seen, timeoutMs: 20_000 });
      assert.equal(await pair.lab.app.output(psql('select host(inet_server_addr())')), ADDRESS.db2);
    });

    it('does not offer the old primary when it comes back', async () => {
      const seen = application.lines.length;
      await pair.lab.mend('db1');
      await pair.lab.app.until('the link to db1 is back', async () => {
        const { instances } = await pair.app.status();
        return instances[0]?.link.phase === 'up';
      });
      assert.equal(await pair.lab.app.output(psql('select host(inet_server_addr())')), ADDRESS.db2);
      assert.equal(application.lines.length, seen, 'the session on db2 lives on');
    });
  });
}
