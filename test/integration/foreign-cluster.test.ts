import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import pg from 'pg';
import { LiveSet, serverOf } from '../support/live-set.js';
import { type Server, startPrimary } from '../support/postgres.js';
import { isThere, sessionFrom } from '../support/sql-client.js';
import { TestWatchdog } from '../support/watchdog.js';

const systemIdentifier = async (server: Server): Promise<string> =>
  String((await server.sql('select system_identifier::text as id from pg_control_system()'))[0]?.['id']);

describe('a server of another cluster, made by another initdb', () => {
  let set: LiveSet;
  let foreign: Server;
  let watchdog: TestWatchdog | undefined;
  const ends: (() => Promise<unknown>)[] = [];

  before(async () => {
    set = await LiveSet.start({
      watchdog: { restart_grace: '500ms' },
      conmgr: { gateway_target_session_attrs: 'any' },
    });
  });
  after(async () => {
    await watchdog?.stop();
    await foreign?.end();
    await set?.end();
  });
  afterEach(async () => {
    for (const end of ends.splice(0).reverse()) await end();
  });

  it('in the set is never offered, although it is a primary too; an ERROR names both identifiers', async () => {
    foreign = await startPrimary({ foreign: true, name: 'foreign', listen: '127.0.0.3' });
    watchdog = await TestWatchdog.start(foreign);
    const [own, other] = [await systemIdentifier(set.pair.primary), await systemIdentifier(foreign)];
    assert.notEqual(own, other);
    const lines = { host: foreign.host, backendPort: foreign.port, watchdogPort: watchdog.port };
    set.conmgr.rewrite([...set.lines, lines]);
    const before = set.conmgr.mark;
    await set.conmgr.reload();
    const { primary, instances } = await set.conmgr.until(
      'it is known',
      ({ instances }) => instances[2]?.foreign === true,
    );
    assert.equal(primary, 0);
    assert.ok(instances.every(({ conflict }) => !conflict));
    await set.conmgr.logged(/ERROR: +instance 2 .* belongs to another cluster and is never offered/, before);
    const DETAIL = `DETAIL: +Its system identifier is ${other}, that of the set is ${own}\\.`;
    await set.conmgr.logged(new RegExp(DETAIL), before);
    const reached = new Set<string>();
    for (let round = 0; round < 12; round += 1) {
      for (const target of ['primary', 'read-write', 'any'] as const) {
        const client = await set.client({ target_session_attrs: target });
        reached.add(await serverOf(client));
        await client.end();
      }
      const stock = new pg.Client({
        host: '127.0.0.1',
        port: set.conmgr.port,
        user: 'postgres',
        database: 'postgres',
      });
      await stock.connect();
      reached.add((await stock.query("select current_setting('cluster_name') as name")).rows[0].name);
      await stock.end();
    }
    assert.ok(!reached.has('foreign'), [...reached].join());
  });

  it('is not offered either when it is the only one that is left', async () => {
    await set.pair.standby.stop('fast');
    await set.pair.primary.stop('fast');
    await set.conmgr.until('both are down', ({ instances }) =>
      instances.slice(0, 2).every(({ health }) => health === 'down'),
    );
    for (const target of ['primary', 'any'] as const) {
      const refusal = await set.conmgr.ask({ target }).refusal();
      assert.equal(refusal.sqlState, '57P03');
      assert.match(refusal.detail ?? '', /belongs to another cluster/);
    }
    await set.pair.primary.start();
    await set.pair.standby.start();
    set.conmgr.rewrite(set.lines);
    await set.conmgr.reload();
    await set.conmgr.linked();
  });

  it('in the place of one of the set is refused on the link, costs it no session, and is not offered', async () => {
    const { standby } = set.pair;
    await set.watchdogs[1].stop();
    await standby.stop('fast');
    const { host, port } = standby;
    const usurper = await startPrimary({ foreign: true, name: 'usurper', listen: host, port });
    ends.push(() => usurper.end());
    const bystander = await sessionFrom(usurper, '127.0.0.1');
    const before = set.conmgr.mark;
    const its = await TestWatchdog.start(usurper, {
      port: set.watchdogs[1].port,
      settings: { listen_addresses: host, restart_grace: '500ms', terminate_on: 'any' },
    });
    ends.push(() => its.stop());
    const id = await systemIdentifier(usurper);
    await set.conmgr.logged(
      new RegExp(`ERROR: +watchdog of instance 1 .* refused the link: .*system identifier ${id}`),
      before,
    );
    await its.line(new RegExp(`LOG: {2}refused heartbeat link from .*system identifier ${id}`));
    const { instances } = await set.conmgr.status();
    assert.notEqual(instances[1]?.link.phase, 'up');
    assert.equal((await set.conmgr.ask({ target: 'standby' }).refusal()).sqlState, '57P03');
    const client = await set.client({ target_session_attrs: 'any' });
    assert.equal(await serverOf(client), 'primary');
    // A link that was refused ends no session, whatever becomes of its conmgr.
    await set.conmgr.stop('SIGKILL');
    const { losses } = await its.status();
    assert.deepEqual(losses, []);
    assert.ok(await isThere(usurper, bystander.pid));
    await bystander.client.end();
  });
});
