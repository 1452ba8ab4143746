import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { Program } from './harness/commands.js';
import type { Host } from './harness/host.js';
import { suites } from './harness/images.js';
import { ADDRESS } from './harness/lab.js';
import { copyNodePackage } from './harness/node-packages.js';
import { bringPackages, changesOf, installDebs, type Revision } from './harness/packages.js';
import { Pair } from './harness/pair.js';

/** Workers of the pool, each of which writes all the time. */
const WORKERS = 4;
const SESSIONS = WORKERS + 1;

/**
 * Writes rows: workers of a CmPool, a CmClient in one long transaction, and a stock client of pg, which conmgr forwards.
 * Each number of a writer is written once, and the next one after that was acknowledged. Prints how far each has come
 * and what sessions are told; on a line of standard input it ends and prints how many rows each has written.
 */
const APPLICATION = `
const { Client } = require('pg');
const { CmClient, CmPool } = require('conmgr/client');
const { setTimeout: sleep } = require('node:timers/promises');
const conmgr = { host: 'localhost', port: 27546, user: 'postgres', database: 'postgres' };
const aware = { ...conmgr, application_name: 'aware', target_session_attrs: 'read-write' };
const say = (writer, error) => console.log(writer + ' lost: ' + error.code + ' ' + error.message);
const INSERT = 'insert into written values ($1, $2) on conflict do nothing';
let going = true;
process.stdin.once('data', () => { going = false; });

async function write(writer, insert) {
  let row = 0;
  for (; going; row++) {
    await insert([writer, row]);
    if (row % 20 === 0) console.log(writer + ' wrote row ' + row);
    await sleep(10);
  }
  return writer + ' ' + row;
}

const pool = new CmPool({ ...aware, max: ${WORKERS}, idleTimeoutMillis: 0 });
for (const event of ['error', 'cmLost']) pool.on(event, (error) => say('pool', error));
const worker = (number) => write('worker' + number, (row) => pool.query(INSERT, row));

async function transaction() {
  const client = new CmClient(aware);
  client.on('error', (error) => say('transaction', error));
  await client.connect();
  await client.query('begin');
  const rows = await write('transaction', (row) => client.query(INSERT, row));
  await client.query('commit');
  await client.end();
  return rows;
}

async function stock() {
  const client = new Client(conmgr);
  client.on('error', (error) => say('stock', error));
  await client.connect();
  const rows = await write('stock', (row) => client.query(INSERT, row));
  await client.end();
  return rows;
}

Promise.all([stock(), transaction(), ...Array.from({ length: ${WORKERS} }, (_, number) => worker(number))]).then(
  async (rows) => { await pool.end(); console.log('acknowledged ' + rows.sort().join(', ')); },
  (error) => { say('application', error); process.exitCode = 1; process.stdin.destroy(); },
);
`;

const WRITERS = [
  'stock',
  'transaction',
  ...Array.from({ length: WORKERS }, (_, number) => `worker${number}`),
];

for (const suite of suites()) {
  describe(`an upgrade of the packages under load on ${suite.name}`, () => {
    let pair: Pair;
    let application: Program;
    let psql: Program;
    let backends: string;
    let files: string;
    before(async () => {
      pair = await Pair.up(suite);
      const { app, db1, db2 } = pair.lab;
      for (const host of [app, db1, db2]) await bringPackages(host);
      await copyNodePackage(app, 'pg');
      await pair.db1.sql('create table written (writer text, number int, primary key (writer, number))');
      await app.write('/srv/application.js', APPLICATION);
      application = app.start(['node', '/srv/application.js'], { user: 'postgres' });
      await everyWriterGoesOn();
      psql = app.start(['psql', '-XAt', '-h', 'localhost', '-p', '27546', '-c', 'select pg_sleep(1000)'], {
        user: 'postgres',
      });
      await db1.until('psql is forwarded', async () => (await sessionsOfApp('psql')) !== '');
      backends = await sessionsOfApp('aware');
      assert.equal(backends.split('\n').length, SESSIONS);
      files = await filesOfUsers();
    });
    after(() => pair?.remove());

    /** Process numbers and starts of the backends that serve app. */
    const sessionsOfApp = (name: string): Promise<string> =>
      pair.db1.sql(
        `select pid, backend_start from pg_stat_activity
         where client_addr = '${ADDRESS.app}' and application_name like '${name}' order by pid`,
      );
    const everyWriterGoesOn = async (): Promise<void> => {
      const after = application.lines.length;
      for (const writer of WRITERS) {
        await application.waitForLine(new RegExp(`^${writer} wrote`), { after, timeoutMs: 30_000 });
      }
    };
    const warningsOfApp = async (): Promise<string[]> => {
      const entries = await pair.lab.app.journal(`--unit=${pair.app.unit}`, '--priority=warning');
      return entries.map(({ MESSAGE = '' }) => MESSAGE);
    };
    const filesOfUsers = (): Promise<string> =>
      pair.lab.app.output(
        "find /var/lib/conmgr -name conmgr.conf -printf '%p %i %m %u:%g %T@ ' -exec sha256sum {} \\;",
      );
    const upgrade = async (host: Host, unit: string, revision: Revision): Promise<void> => {
      const changes = await changesOf(host, [unit], () => installDebs(host, revision));
      assert.deepEqual(changes, { restarted: [unit], untouched: [], idle: [], other: [] });
    };
    const upgradeApp = (revision: Revision) => upgrade(pair.lab.app, pair.app.unit, revision);
    const upgradeServers = (revision: Revision) =>
      Promise.all([
        upgrade(pair.lab.db1, pair.db1.watchdogUnit, revision),
        upgrade(pair.lab.db2, pair.db2.watchdogUnit, revision),
      ]);
    const lost = (): string[] => application.lines.filter((line) => / lost: /.test(line));

    /** Every link is up, every writer goes on, and the sessions of the client library are those of the beginning. */
    const assertSessionsLive = async (): Promise<void> => {
      await everyWriterGoesOn();
      await pair.app.untilResolved('read-write', ADDRESS.db1);
      await pair.app.untilResolved('standby', ADDRESS.db2);
      await pair.lab.app.until('its applications are attached again', async () => {
        const { applications } = await pair.app.status();
        return applications.filter(({ mode }) => mode === 'aware').length === SESSIONS;
      });
      assert.deepEqual(lost(), []);
      assert.equal(await sessionsOfApp('aware'), backends);
    };

    it('of the servers loses no session, aware or forwarded', async () => {
      const forwarded = await sessionsOfApp('');
      const warnings = await warningsOfApp();
      await upgradeServers(2);
      await assertSessionsLive();
      assert.deepEqual(await warningsOfApp(), warnings);
      assert.equal(await sessionsOfApp(''), forwarded);
      assert.notEqual(await sessionsOfApp('psql'), '');
    });

    it('of the application host loses no session, aware or forwarded', async () => {
      const forwarded = await sessionsOfApp('');
      await upgradeApp(2);
      await assertSessionsLive();
      assert.equal(await sessionsOfApp(''), forwarded);
    });

    it('and back on all hosts at the same time loses no session', async () => {
      const forwarded = await sessionsOfApp('');
      await Promise.all([upgradeApp(1), upgradeServers(1)]);
      await assertSessionsLive();
      assert.equal(await sessionsOfApp(''), forwarded);
      psql.killAll();
    });

    it('never lets a terminator end anything', async () => {
      for (const [host, unit] of [
        [pair.lab.db1, pair.db1.watchdogUnit],
        [pair.lab.db2, pair.db2.watchdogUnit],
      ] as const) {
        const lines = (await host.journal(`--unit=${unit}`)).map(({ MESSAGE = '' }) => MESSAGE);
        assert.equal(lines.filter((line) => line.includes('stopping on SIGTERM (restart)')).length, 2);
        assert.deepEqual(
          lines.filter((line) => /\bended? \d+ sessions?|terminat/i.test(line) && !line.includes('would')),
          [],
        );
      }
    });

    it('has not touched conmgr.conf', async () => {
      assert.equal(await filesOfUsers(), files);
    });

    it('has lost no row', async () => {
      const seen = application.lines.length;
      application.stdin.write('\n');
      const { 1: acknowledged } = await application.waitForLine(/^acknowledged (.*)$/, {
        after: seen,
        timeoutMs: 20_000,
      });
      const rows = await pair.db1.sql(
        'select writer, count(*) from written group by 1 having max(number) = count(*) - 1 order by writer collate "C"',
      );
      assert.equal(rows.replaceAll('|', ' ').replaceAll('\n', ', '), acknowledged);
    });

    it('leaves a watchdog that still ends the sessions of a host that is lost', async () => {
      const session = pair.lab.app.start(
        ['psql', '-h', 'db1', '-U', 'postgres', '-c', 'select pg_sleep(1000)'],
        {},
      );
      await pair.lab.db1.until('the session is there', async () => (await sessionsOfApp('psql')) !== '');
      await pair.lab.cut('app');
      await pair.lab.db1.until('the session is gone', async () => (await sessionsOfApp('psql')) === '');
      session.killAll();
    });
  });
}
