/** Standbys that lag, and that lose what they stream from: rows 55 and 56. */
import { it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { eventually } from '../support/eventually.js';
import { nowMs } from './harness/application.js';
import { offeredBy } from './harness/requests.js';
import { SERVER_PORT } from './harness/scene.js';
import { TIMING } from './harness/timing.js';
import { row } from './harness/trial.js';

/** More than a primary writes ahead of what it flushes and sends (wal_writer_flush_after). */
const MAX_LAG = 4 * 1024 * 1024;

it(
  ...row(55, async (trial) => {
    const scene = await trial.scene({ standbys: 2, conmgr: { max_lag: MAX_LAG } });
    const { conmgr } = scene;
    const standby = scene.databases[1]!.server;
    const app = await scene.app({ target: 'standby' });
    trial.load(await app.load());
    for (let round = 0; round < 3; round += 1) {
      await conmgr.untilInstance(
        1,
        'does not lag',
        ({ lagBytes }) => lagBytes !== null && Number(lagBytes) < MAX_LAG,
      );
      await standby.sql('select pg_wal_replay_pause()');
      await eventually(
        async () => (await standby.sql('select pg_get_wal_replay_pause_state() as s'))[0]?.['s'] === 'paused',
        {
          what: 'replay is paused',
        },
      );
      const lateness = scene.lateness();
      await scene.primary.server.sql(`create table lag${round} as select generate_series(1, 300000) as n`);
      const writtenMs = nowMs();
      const instance = await conmgr.untilInstance(
        1,
        'lags',
        ({ lagBytes }) => Number(lagBytes ?? 0) > MAX_LAG,
      );
      trial.took('lag beyond max_lag noticed', nowMs() - writtenMs, lateness);
      trial.never(
        'standbys not called standby',
        instance.role === 'standby' && instance.state === 'up' ? 0 : 1,
      );
      // Its position is told as often as that of the primary, and not at the same moment.
      await conmgr.untilInstance(2, 'does not lag', ({ lagBytes }) => Number(lagBytes ?? 0) < MAX_LAG);
      trial.never('laggards offered before others', (await offeredBy(conmgr, 'standby'))[0] === 1 ? 1 : 0);
      await standby.sql('select pg_wal_replay_resume()');
    }
    await app.load();
    trial.never('sessions told of a loss', app.events('lost').length);
  }),
);

it(
  ...row(56, async (trial) => {
    const scene = await trial.scene({ standbys: 2 });
    const { conmgr } = scene;
    const [, upstream, cascading] = scene.databases;
    // From now on the second standby streams from the first one.
    await cascading!.server.configure({
      primary_conninfo: `host=${upstream!.host.address} port=${SERVER_PORT} user=postgres application_name=cascading`,
    });
    await eventually(
      async () =>
        (await upstream!.server.sql("select 1 from pg_stat_replication where state = 'streaming'")).length ===
        1,
      { timeoutMs: 20_000, what: 'the second standby streams from the first' },
    );
    const app = await scene.app({ target: 'standby', config: { target_session_attrs: 'standby' } });
    const mark = conmgr.mark;
    const before = (await conmgr.status()).instances[2]!;
    trial.load(await app.load());
    const sessions = app.events('connected').filter(({ instance }) => instance === 2);
    await upstream!.server.stop('immediate');
    await delay(2 * TIMING.T);
    const after = (await conmgr.status()).instances[2]!;
    const told = sessions.filter(({ session }) => app.events('lost').some((one) => one.session === session));
    trial.never('sessions of the cascading standby told', told.length);
    const same =
      before.role === after.role &&
      before.state === after.state &&
      before.timeline === after.timeline &&
      before.readOnly === after.readOnly;
    const logged = conmgr.linesLike(/instance 2 .* is (lost|down|now)/, mark).length;
    trial.never('changes of its attributes', (same ? 0 : 1) + logged);
  }),
);
