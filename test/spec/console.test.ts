import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type pg from 'pg';
import { CONMGR_PARAMETERS } from '../../src/core/config/spec.js';
import { SUBJECTS, type Subject } from '../../src/core/console/statement.js';
import { columnsOf } from '../../src/core/console/tables.js';
import { encodeStartup } from '../../src/core/protocol/startup.js';
import { eventually } from '../support/eventually.js';
import { freePort } from '../support/free-ports.js';
import { RawDriver, SSL_REQUEST } from '../support/raw-driver.js';
import { ScriptedSet } from '../support/scripted-set.js';
import { PRIMARY, STANDBY } from '../support/scripted-watchdog.js';
import { stockClient } from '../support/stock-client.js';

describe("the console: database conmgr on conmgr's port", () => {
  let set: ScriptedSet;
  let client: pg.Client;
  let listenerPort: number;
  before(async () => {
    listenerPort = await freePort();
    set = await ScriptedSet.start([PRIMARY, STANDBY], {
      settings: { listener_port0: listenerPort, listener_target_session_attrs0: 'standby' },
    });
    client = await stockClient(set.conmgr.port, { database: 'conmgr' });
  });
  after(async () => {
    await client?.end();
    await set?.end();
  });

  async function show(subject: Subject): Promise<readonly Record<string, string | null>[]> {
    const { rows, fields } = await client.query<Record<string, string | null>>(`SHOW ${subject}`);
    assert.deepEqual(
      fields.map(({ name }) => name),
      columnsOf(subject),
    );
    return rows;
  }

  it('shows the instances as cm_ctl does', async () => {
    const rows = await show('INSTANCES');
    assert.deepEqual(
      rows.map(({ instance, role, state, port, link, accepting }) => ({
        instance,
        role,
        state,
        port,
        link,
        accepting,
      })),
      set.lines.map(({ backendPort }, at) => ({
        instance: String(at),
        role: at === 0 ? 'primary' : 'standby',
        state: 'up',
        port: String(backendPort),
        link: 'up',
        accepting: 'yes',
      })),
    );
  });

  it('shows the applications', async () => {
    const app = await set.conmgr.bound({ target: 'primary', app: 'shop' });
    await set.conmgr.until('it is bound', ({ applications }) => applications[0]?.instance === 0);
    const [row, ...others] = await show('APPLICATIONS');
    assert.equal(others.length, 0, 'the console itself is none');
    assert.deepEqual(
      [
        row?.['application'],
        row?.['target'],
        row?.['instance'],
        row?.['mode'],
        row?.['pid'],
        row?.['bytes_from_server'],
      ],
      ['shop', 'primary', '0', 'aware', String(process.pid), null],
    );
    assert.match(row?.['since'] ?? '', /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d/);
    app.leave();
  });

  it('shows the listeners, the version, the configuration and what there is', async () => {
    assert.deepEqual(
      (await show('LISTENERS')).map(({ port, target, stock_drivers }) => [port, target, stock_drivers]),
      [
        [String(set.conmgr.port), 'read-write', 'forwarded'],
        [String(listenerPort), 'standby', 'forwarded'],
      ],
    );
    const [version] = await show('VERSION');
    assert.match(version?.['version'] ?? '', /^conmgr \d+\.\d+\.\d+/);
    assert.equal(version?.['pid'], String(set.conmgr.pid));
    const config = new Map((await show('CONFIG')).map(({ name, value }) => [name, value]));
    assert.equal(config.get('port'), String(set.conmgr.port));
    assert.equal(config.get('backend_port1'), String(set.lines[1]!.backendPort));
    for (const [name, { availability }] of Object.entries(CONMGR_PARAMETERS)) {
      assert.equal(config.has(name), availability === 'now', name);
    }
    assert.deepEqual(
      (await show('HELP')).map(({ command }) => command),
      Object.keys(SUBJECTS).map((word) => `SHOW ${word}`),
    );
  });

  it('changes nothing and is no database: 0A000 that says so', async () => {
    await assert.rejects(client.query('SELECT * FROM pg_class'), (error: pg.DatabaseError) => {
      return (
        error.code === '0A000' &&
        /console of conmgr/.test(error.message) &&
        /SHOW HELP/.test(error.hint ?? '')
      );
    });
    await assert.rejects(client.query('select $1::int', [1]), { code: '0A000' });
    assert.deepEqual((await client.query('SELECT 1 AS one')).rows, [{ one: '1' }]);
  });

  it('a listener has it as well, and so has a port whose servers do not encrypt, behind their N', async () => {
    const other = await stockClient(listenerPort, { database: 'conmgr' });
    assert.equal((await other.query('SHOW VERSION')).rowCount, null);
    await other.end();
    // Nothing listens where the servers should be: conmgr says N itself.
    const driver = new RawDriver(set.conmgr.port, SSL_REQUEST);
    await driver.until(1);
    driver.send(
      encodeStartup([
        ['user', 'u'],
        ['database', 'conmgr'],
      ]),
    );
    assert.equal((await driver.until(10)).toString('latin1', 0, 2), 'NR');
    driver.socket.destroy();
  });

  it('does not count for max_connections', async () => {
    set.conmgr.rewrite(set.lines, { max_connections: 1 });
    await set.conmgr.reload();
    const other = await stockClient(set.conmgr.port, { database: 'conmgr' });
    const app = await set.conmgr.bound();
    app.leave();
    await other.end();
  });

  it('a client that asks without end and does not read costs bounded memory, and the others are served', async () => {
    const startupPacket = encodeStartup([
      ['user', 'u'],
      ['database', 'conmgr'],
    ]);
    const driver = new RawDriver(set.conmgr.port, startupPacket);
    await driver.until(1);
    driver.socket.pause();
    const ping = Buffer.from('510000000d53454c454354203100', 'hex');
    const before = set.conmgr.residentKb;
    // 28 MB of questions, whose answers would be 140 MB.
    const burst = Buffer.concat(Array.from({ length: 1000 }, () => ping));
    for (let at = 0; at < 2000; at += 1) driver.send(burst);
    let left = 0;
    await eventually(
      () => {
        const still = driver.socket.writableLength === left;
        left = driver.socket.writableLength;
        return still;
      },
      { everyMs: 200, what: 'conmgr takes no more' },
    );
    assert.ok(left > burst.length * 1000, `${left} octets are left`);
    assert.ok(set.conmgr.residentKb - before < 150_000, `${set.conmgr.residentKb - before} kB`);
    driver.socket.destroy();
    assert.deepEqual((await client.query('SELECT 1 AS one')).rows, [{ one: '1' }]);
  });
});
