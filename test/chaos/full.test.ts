/** An instance that is full, whose settings change, or whose files are replaced: rows 43, 57, 72 and 73. */

import { execFileSync } from 'node:child_process';
import { chmod, cp, rename } from 'node:fs/promises';
import { it } from 'node:test';
import type pg from 'pg';
import { SERVER_ACCOUNT } from '../support/postgres-account.js';
import { nowMs } from './harness/application.js';
import { Backends } from './harness/backends.js';
import { offeredBy } from './harness/requests.js';
import type { Scene } from './harness/scene.js';
import { row, type Trial } from './harness/trial.js';

const PATIENCE_MS = 60_000;
const SMALL = { max_connections: '30', superuser_reserved_connections: '3', max_wal_senders: '0' } as const;

/** Opens sessions until the server refuses one; from the address of the test. */
async function fill(scene: Scene): Promise<pg.Client[]> {
  const clients: pg.Client[] = [];
  for (;;) {
    try {
      clients.push(await scene.session());
    } catch (error) {
      if ((error as { code?: string }).code === '53300') return clients;
      throw error;
    }
  }
}

/** Sets a parameter that sessions read at once, as an administrator does. */
async function alterSystem(scene: Scene, words: string): Promise<void> {
  await scene.primary.server.sql(`alter system set ${words}`);
  await scene.primary.server.sql('select pg_reload_conf()');
}

async function filled(trial: Trial) {
  const scene = await trial.scene({ server: SMALL });
  const app = await scene.app({ target: 'primary' });
  await scene.trusted();
  const lateness = scene.lateness();
  const clients = await fill(scene);
  const fullMs = nowMs();
  trial.load(clients.length);
  return { scene, app, clients, lateness, fullMs };
}

it(
  ...row(72, async (trial) => {
    const { scene, app, clients, lateness, fullMs } = await filled(trial);
    // What shows it is the next connection of anybody, or the next probe.
    await scene.conmgr.untilInstance(0, 'is full', (one) => one.full, PATIENCE_MS);
    trial.took('full told', nowMs() - fullMs, lateness);
    trial.never('requests not led to it', (await offeredBy(scene.conmgr, 'primary'))[0] === 0 ? 0 : 1);
    await Promise.all(clients.map((client) => client.end()));
    await scene.conmgr.untilInstance(0, 'is not full', (one) => !one.full, PATIENCE_MS);
    await app.load();
    trial.never('sessions told of a loss', app.events('lost').length);
    trial.never('sessions ended by a watchdog', scene.endedSessions());
  }),
);

it(
  ...row(43, async (trial) => {
    const { scene, app } = await filled(trial);
    const { app1 } = scene.network;
    const changed = scene.lateness();
    await scene.primary.server.sql('alter system set default_transaction_read_only = on');
    const changeMs = nowMs();
    await scene.primary.server.sql('select pg_reload_conf()');
    await scene.conmgr.untilInstance(0, 'is read only', (one) => one.readOnly === true);
    trial.took('change told', nowMs() - changeMs, changed);
    await app.load();
    trial.never(
      'sessions told of a loss',
      app.events('lost').filter(({ reason }) => reason !== 'role no longer fits').length,
    );
    const backends = await Backends.watch(scene.primary, app1.address);
    const lateness = scene.lateness();
    const cutMs = nowMs();
    app1.cut();
    const { allMs } = await backends.ended(PATIENCE_MS);
    trial.took('sessions ended after the time-out', allMs - cutMs, lateness);
  }),
);

it(
  ...row(57, async (trial) => {
    const scene = await trial.scene();
    const app = await scene.app({ target: 'any' });
    await scene.trusted();
    for (const [value, readOnly] of [
      ['on', true],
      ['off', false],
      ['on', true],
    ] as const) {
      trial.load(await app.load());
      const lateness = scene.lateness();
      await scene.primary.server.sql(`alter system set default_transaction_read_only = ${value}`);
      const changeMs = nowMs();
      await scene.primary.server.sql('select pg_reload_conf()');
      await scene.conmgr.untilInstance(0, `is read only: ${value}`, (one) => one.readOnly === readOnly);
      if (readOnly) trial.took('read only told', nowMs() - changeMs, lateness);
    }
    const offered = await offeredBy(scene.conmgr, 'read-write');
    trial.never('offered for read-write afterwards', offered === '57P03' ? 0 : 1);
    trial.never('sessions ended by a watchdog', scene.endedSessions());
  }),
);

it(
  ...row(73, async (trial) => {
    const scene = await trial.scene();
    const { conmgr } = scene;
    const { server } = scene.primary;
    const app = await scene.app({ target: 'primary' });
    trial.load(await app.load());
    await server.stop('fast');
    app.running.kill('SIGKILL');
    await conmgr.until('no primary is left', ({ primary }) => primary === null);
    await rename(server.dataDir, `${server.dataDir}.old`);
    // As pg_basebackup does, without what the watchdog keeps in pg_stat_tmp.
    await cp(`${server.dataDir}.old`, server.dataDir, {
      recursive: true,
      filter: (path) => !path.includes('conmgr-watchdog'),
    });
    execFileSync('chown', ['-R', `${SERVER_ACCOUNT.uid}:${SERVER_ACCOUNT.gid}`, server.dataDir]);
    await chmod(server.dataDir, 0o700);
    await server.start();
    const readyMs = nowMs();
    const ready = scene.lateness();
    await conmgr.until('the primary is there', ({ primary }) => primary === 0);
    trial.took('told after it is ready', nowMs() - readyMs, ready);
    const lateness = scene.lateness();
    const changeMs = nowMs();
    await alterSystem(scene, 'default_transaction_read_only = on');
    await conmgr.untilInstance(0, 'is read only', (one) => one.readOnly === true);
    trial.took('change told', nowMs() - changeMs, lateness);
    trial.never('sessions ended by a watchdog', scene.endedSessions());
  }),
);
