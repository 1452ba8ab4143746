import assert from 'node:assert/strict';
import { chownSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { TEST_CERTIFICATE } from '../support/certificate.js';
import { freePort } from '../support/free-ports.js';
import { LiveSet } from '../support/live-set.js';
import type { Server } from '../support/postgres.js';
import { type DriverError, type StockDriver, stockDrivers, type Wish } from '../support/stock-drivers.js';
import { inTree } from '../support/tree.js';

const TIMEOUT_MS = 1500;
const EPS_MS = 500;
const NAME = "select current_setting('cluster_name')";

/** A server on which the role `scram` may log in with TLS and its password only. */
async function secure(server: Server): Promise<string> {
  const { uid, gid } = statSync(server.dataDir);
  const [cert, key] = ['test.crt', 'test.key'].map((name) => join(server.dataDir, name));
  writeFileSync(cert!, TEST_CERTIFICATE.cert, { mode: 0o644 });
  writeFileSync(key!, TEST_CERTIFICATE.key, { mode: 0o600 });
  for (const file of [cert!, key!]) chownSync(file, uid, gid);
  await server.configure({ ssl: 'on', ssl_cert_file: cert!, ssl_key_file: key! });
  return cert!;
}

/** What docs/drivers.md says that a driver is told: a SQLSTATE or code, and a part of the text. */
function documented(name: string): { readonly state: string; readonly text: string } {
  const [, lost = ''] = readFileSync(inTree('docs/drivers.md'), 'utf8').split('## When the server is lost');
  const line = lost.split('\n').find((one) => one.startsWith(`| ${name} | `));
  const [, state, text] = /^\| .* \| (?:`(.*)`|none) \| `(.*)` \|$/.exec(line ?? '') ?? [];
  if (text === undefined) throw new Error(`docs/drivers.md does not say what ${name} is told`);
  return { state: state ?? '-', text };
}

const kinds = await stockDrivers();
const present = kinds.filter(({ missing }) => missing === false);

describe('stock drivers through the gateway', () => {
  let set: LiveSet;
  let standbyPort: number;
  let rootCertificate: string;
  const drivers = new Map<string, StockDriver>();
  const driver = (name: string): StockDriver => drivers.get(name)!;

  before(async () => {
    standbyPort = await freePort();
    set = await LiveSet.start({
      pair: { hba: ['hostssl all scram all scram-sha-256', 'hostnossl all scram all reject'] },
      conmgr: {
        heartbeat_timeout: `${TIMEOUT_MS}ms`,
        listener_port0: standbyPort,
        listener_target_session_attrs0: 'standby',
      },
    });
    await set.pair.primary.sql("create role scram login password 'secret'");
    await set.pair.primary.sql('grant pg_monitor to scram');
    [rootCertificate = ''] = await Promise.all([secure(set.pair.primary), secure(set.pair.standby)]);
    for (const { name, start } of present) drivers.set(name, await start());
  });
  after(async () => {
    for (const one of drivers.values()) one.dispose();
    await set?.end();
  });

  for (const { name, missing, chooses } of kinds) {
    describe(name, { skip: missing }, () => {
      it('reaches the primary on port, and a standby on the listener for standbys', async () => {
        const one = driver(name);
        await one.connect({ ports: [standbyPort] });
        assert.deepEqual(await one.query(NAME), ['standby']);
        await one.close();
        await one.connect({ ports: [set.conmgr.port] });
        assert.deepEqual(await one.query(NAME), ['primary']);
      });

      it('runs a transaction and copies 10,000 rows', async () => {
        assert.equal(await driver(name).copy(10_000), 10_000);
      });

      it('cancels a long query', async () => {
        const begunMs = performance.now();
        await assert.rejects(driver(name).cancel(), (error: DriverError) => error.sqlState === '57014');
        assert.ok(performance.now() - begunMs < 10_000);
        await driver(name).close();
      });

      for (const wish of (chooses ? ['any', 'primary', 'secondary', 'preferSecondary'] : []) as Wish[]) {
        it(`with both ports and the wish "${wish}" of its own`, async () => {
          const one = driver(name);
          await one.connect({ ports: [set.conmgr.port, standbyPort], wish });
          const expected = wish === 'secondary' || wish === 'preferSecondary' ? 'standby' : 'primary';
          assert.deepEqual(await one.query(NAME), [expected]);
          await one.close();
        });
      }

      it('logs in with TLS that checks the server, and with SCRAM, both end to end', async () => {
        const one = driver(name);
        await one.connect({
          ports: [set.conmgr.port],
          host: 'db.test',
          user: 'scram',
          password: 'secret',
          rootCertificate,
          certificate: TEST_CERTIFICATE.cert,
        });
        const [ssl] = await one.query('select ssl from pg_stat_ssl where pid = pg_backend_pid()');
        assert.match(ssl ?? '', /^t(rue)?$/i);
        await one.close();
      });
    });
  }

  describe('when the host of the primary falls silent', () => {
    const ends = new Map<string, Promise<{ readonly error: DriverError; readonly atMs: number }>>();
    let begunMs = 0;
    before(async () => {
      for (const { name } of present) await driver(name).connect({ ports: [set.conmgr.port] });
      for (const { name } of present) {
        const end = driver(name)
          .query('select pg_sleep(60)')
          .then(
            () => assert.fail('the query came to its end'),
            (error: DriverError) => ({ error, atMs: performance.now() }),
          );
        ends.set(name, end);
      }
      await set.conmgr.untilInstance(0, 'has all sessions', ({ sessions }) => sessions === present.length);
      await new Promise((resolve) => setTimeout(resolve, 500));
      begunMs = performance.now();
      set.pair.primary.freeze();
      set.watchdogs[0].running.kill('SIGSTOP');
    });

    for (const { name, missing } of kinds) {
      it(`${name}, blocked in a query, returns within heartbeat_timeout + 100 ms with an error that docs/drivers.md names`, {
        skip: missing,
      }, async () => {
        const { error, atMs } = await ends.get(name)!;
        const tookMs = atMs - begunMs;
        assert.ok(tookMs > TIMEOUT_MS - 300 && tookMs < TIMEOUT_MS + 100 + EPS_MS, `after ${tookMs} ms`);
        const { state, text } = documented(name);
        assert.equal(error.sqlState, state);
        assert.ok(error.message.includes(text), error.message);
      });

      it(`${name} is refused while nothing fits`, { skip: missing }, async () => {
        await assert.rejects(driver(name).connect({ ports: [set.conmgr.port] }), (error: DriverError) => {
          assert.match(error.message, /conmgr: no instance is available for target_session_attrs=read-write/);
          return true;
        });
      });
    }
  });

  describe('after the standby was promoted', () => {
    before(async () => {
      await set.pair.standby.promote();
      await set.conmgr.until('it is the primary', ({ primary }) => primary === 1);
    });

    for (const { name, missing } of kinds) {
      it(`${name} reaches the new primary by the same string`, { skip: missing }, async () => {
        await driver(name).connect({ ports: [set.conmgr.port] });
        assert.deepEqual(await driver(name).query(NAME), ['standby']);
        await driver(name).close();
      });
    }
  });
});
