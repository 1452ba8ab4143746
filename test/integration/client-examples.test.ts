import assert from 'node:assert/strict';
import { copyFileSync, mkdirSync, symlinkSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { after, afterEach, before, describe, it } from 'node:test';
import type * as clientLibrary from '../../src/client/index.js';
import { FakeConmgr, offering, type Script } from '../support/fake-conmgr.js';
import { type Pair, type Server, startPair } from '../support/postgres.js';
import { built } from '../support/programs.js';
import { startCommand } from '../support/running.js';
import { inTree, temporaryDirectory } from '../support/tree.js';

/** What the examples import; naming the packages here has them laid out for the test. */
const PACKAGES: Readonly<Record<string, () => Promise<unknown>>> = {
  'drizzle.mjs': () => import('drizzle-orm'),
  'knex.mjs': () => import('knex'),
  'sequelize.mjs': () => import('sequelize'),
  'postgres-js.mjs': () => import('postgres'),
  'client.mjs': () => import('pg'),
  'client.cjs': () => import('pg'),
};

let pair: Pair;
before(async () => {
  pair = await startPair();
});
after(() => pair.end());

const closing: (() => Promise<unknown> | unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

/** A conmgr that knows the roles of the pair. */
async function conmgr(): Promise<FakeConmgr> {
  const { primary, standby } = pair;
  const offer = (...servers: readonly Server[]) =>
    offering(
      servers.map((server) => ({
        instance: server === primary ? 1 : 2,
        host: server.host,
        port: server.port,
        role: server === primary ? ('primary' as const) : ('standby' as const),
      })),
      10_000,
    );
  const script: Script = (session) => {
    const { target } = session.ask;
    if (target === 'standby') offer(standby)(session);
    else if (target === 'prefer-standby') offer(standby, primary)(session);
    else offer(primary)(session);
  };
  const fake = await FakeConmgr.start(script);
  closing.push(() => fake.stop());
  return fake;
}

/** Runs a program of the tree to its end and returns the JSON it prints. */
async function run(args: readonly string[], port: number, target: string): Promise<Record<string, unknown>> {
  const env = {
    PGHOST: '127.0.0.1',
    PGPORT: String(port),
    PGUSER: 'postgres',
    PGDATABASE: 'postgres',
    PGTARGETSESSIONATTRS: target,
  };
  const running = startCommand(process.execPath, args, { cwd: inTree('.'), env });
  const { code, stdout, stderr } = await running.done;
  assert.equal(code, 0, stderr);
  return JSON.parse(stdout);
}

describe('an example of docs/examples', () => {
  for (const [name, load] of Object.entries(PACKAGES)) {
    it(`${name} goes to the primary or to a standby as it is told, through conmgr, and ends`, async () => {
      await load();
      const fake = await conmgr();
      const file = join('docs/examples', name);
      const writing = await run([file], fake.port, 'read-write');
      assert.equal(Number(writing['port']), pair.primary.port);
      const reading = await run([file], fake.port, 'standby');
      assert.equal(Number(reading['port']), pair.standby.port);
      assert.equal(reading['standby'], true);
      for (const session of fake.sessions) assert.equal(await session.left, 'said goodbye');
    });
  }

  it('pool.mjs writes on the primary and reads on a standby', async () => {
    const fake = await conmgr();
    const { primary, standby } = pair;
    assert.deepEqual(await run(['docs/examples/pool.mjs'], fake.port, 'any'), {
      writer: primary.port,
      reader: standby.port,
    });
  });
});

describe('the life of a process that uses the library', () => {
  const program = (text: string) => [
    '--input-type=module',
    '-e',
    `import * as cm from 'conmgr/client'; ${text}`,
  ];

  it('is not prolonged by the connection to conmgr: an idle pool that allows the exit has its way', async () => {
    const fake = await conmgr();
    const text = `
      const pool = new cm.CmPool({ allowExitOnIdle: true });
      const { rows } = await pool.query('select inet_server_port() as port');
      console.log(JSON.stringify(rows[0]));`;
    assert.equal((await run(program(text), fake.port, 'any'))['port'], pair.primary.port);
  });

  it('is not prolonged by waiting for a conmgr that restarts', async () => {
    const fake = await conmgr();
    const text = `
      const pool = new cm.CmPool({ allowExitOnIdle: true });
      const client = await pool.connect();
      process.stdin.once('data', () => {
        client.release();
        process.stdin.destroy();
        console.log('{}');
      });
      const side = client.cmSocket();
      side.once('close', () => process.stderr.write('restarting\\n'));
      process.stderr.write('bound\\n');`;
    const env = { PGHOST: '127.0.0.1', PGPORT: String(fake.port), PGUSER: 'postgres' };
    const running = startCommand(process.execPath, program(text), { cwd: inTree('.'), env });
    await running.waitForLine(/bound/);
    const [session] = fake.sessions;
    await session?.bound;
    session?.bye('restart');
    session?.socket.end();
    await session?.left;
    await fake.stop();
    running.stdin.end('go');
    const { code, stdout } = await running.done;
    assert.deepEqual([code, stdout], [0, '{}\n']);
  });

  it('survives the loss of every session of its pool without any listener', async () => {
    const fake = await conmgr();
    const text = `
      const pool = new cm.CmPool({ max: 3 });
      const client = await pool.connect();
      await pool.query('select 1');
      const lost = pool.query('select pg_sleep(60)').catch((error) => error);
      process.stderr.write('running\\n');
      const { code, conmgr } = await lost;
      client.release();
      const { rows } = await pool.query('select inet_server_port() as port');
      console.log(JSON.stringify({ code, reason: conmgr.reason, port: rows[0].port }));
      await pool.end();`;
    const env = { PGHOST: '127.0.0.1', PGPORT: String(fake.port), PGUSER: 'postgres' };
    const running = startCommand(process.execPath, program(text), { cwd: inTree('.'), env });
    await running.waitForLine(/running/);
    for (const session of fake.sessions) {
      await session.bound;
      session.drop(1, 'heartbeat timeout');
    }
    const { code, stdout, stderr } = await running.done;
    assert.equal(code, 0, stderr);
    const expected = { code: '08006', reason: 'heartbeat timeout', port: pair.primary.port };
    assert.deepEqual(JSON.parse(stdout), expected);
  });
});

describe('the library with the minor version of pg before the newest', () => {
  let library: typeof clientLibrary;

  before(async () => {
    // Laid out like an application that installed the older pg.
    const directory = temporaryDirectory('pg-previous-');
    mkdirSync(join(directory, 'node_modules'));
    symlinkSync(inTree('node_modules/pg-previous'), join(directory, 'node_modules/pg'));
    copyFileSync(built('client/index.cjs'), join(directory, 'client.cjs'));
    const { default: previous } = await import('pg-previous');
    library = createRequire(join(directory, 'application.cjs'))('./client.cjs');
    assert.ok(library.CmClient.prototype instanceof previous.Client, 'another pg was found');
  });

  it('connects, checks the role, and is told of a loss', async () => {
    const { primary, standby } = pair;
    const offered = [standby, primary].map(({ host, port }, index) => ({ instance: index + 1, host, port }));
    const fake = await FakeConmgr.start(offering(offered, 10_000));
    closing.push(() => fake.stop());
    const client = new library.CmClient({
      host: '127.0.0.1',
      port: fake.port,
      user: 'postgres',
      database: 'postgres',
      target_session_attrs: 'read-write',
    });
    closing.push(() => client.end());
    const errors: Error[] = [];
    client.on('error', (error) => errors.push(error));
    await client.connect();
    const { rows } = await client.query('select inet_server_port() as port');
    assert.equal(rows[0]?.port, primary.port);
    const running = client.query('select pg_sleep(60)').then(
      () => assert.fail(),
      (error) => error,
    );
    fake.sessions[0]?.drop(2, 'instance down');
    const { code, conmgr: lost } = await running;
    assert.deepEqual([code, lost.reason], ['08006', 'instance down']);
    assert.equal(errors.length, 1);
  });

  it('serves a pool and a list of servers', async () => {
    const { primary, standby } = pair;
    const pool = new library.CmPool({
      connectionString: `postgres://postgres@127.0.0.1:${standby.port},127.0.0.1:${primary.port}/postgres`,
      target_session_attrs: 'primary',
    });
    closing.push(() => pool.end());
    const { rows } = await pool.query('select inet_server_port() as port');
    assert.equal(rows[0]?.port, primary.port);
  });
});
