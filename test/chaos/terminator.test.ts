/** What the terminator ends, and what it leaves alone: rows 48 to 50. */
import { it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { eventually } from '../support/eventually.js';
import { signalIfAny } from '../support/processes.js';
import { nowMs } from './harness/application.js';
import { Backends } from './harness/backends.js';
import { TIMING } from './harness/timing.js';
import { row } from './harness/trial.js';

const PATIENCE_MS = 60_000;

it(
  ...row(48, async (trial) => {
    const scene = await trial.scene({
      watchdogEnv: { PGUSER: 'ender' },
      beforeWatchdog: (server) => server.sql('create role ender login in role pg_monitor, pg_signal_backend'),
    });
    const { server, watchdog } = scene.primary;
    const { app1 } = scene.network;
    await Promise.all([1, 2, 3].map(() => scene.session()));
    await Promise.all([1, 2, 3].map(() => scene.session('postgres')));
    const superusers = async (): Promise<number> => {
      const rows = await server.sql(
        "select 1 from pg_stat_activity where usename = 'postgres' and host(client_addr) = $1",
        [app1.address],
      );
      return rows.length;
    };
    await scene.trusted();
    const before = await superusers();
    trial.load((await scene.sessionsAt(scene.primary, app1.address)) + before);
    const backends = await Backends.watch(scene.primary, app1.address);
    const lateness = scene.lateness();
    const cutMs = nowMs();
    const heal = scene.primary.host.cut();
    const { allMs } = await backends.ended(PATIENCE_MS);
    trial.took('others ended after the time-out', allMs - cutMs, lateness);
    const said = await watchdog
      .line(/WARNING: {2}could not end 3 sessions of .*: permission denied/)
      .catch(() => undefined);
    trial.never('superusers not reported', said === undefined ? 1 : 0);
    trial.never('superusers ended', before - (await superusers()));
    heal();
  }),
);

it(
  ...row(49, async (trial) => {
    const scene = await trial.scene({ standbys: 1 });
    const { server, host } = scene.primary;
    const standby = scene.databases[1]!.server;
    await server.sql('create table t (n int)');
    await server.sql('grant all on t to app');
    await server.configure({ synchronous_standby_names: '"standby"' });
    await eventually(
      async () =>
        (await server.sql("select 1 from pg_stat_replication where sync_state = 'sync'")).length === 1,
      { what: 'commits wait for the standby' },
    );
    await scene.trusted();
    const client = await scene.session();
    standby.freeze();
    trial.atEnd(() => standby.thaw());
    void client.query('insert into t values (1)').catch(() => {});
    const waiting = async (): Promise<number> =>
      (await server.sql("select 1 from pg_stat_activity where usename = 'app' and wait_event = 'SyncRep'"))
        .length;
    trial.load(await eventually(waiting, { what: 'the commit waits' }));
    host.treat(['in', 'out'], 'drop', scene.network.app1);
    await delay(2 * TIMING.T + TIMING.G);
    trial.never('sessions ended while they wait', 1 - (await waiting()));
    trial.never('rows visible while it waits', (await server.sql('select 1 from t')).length);
    const lateness = scene.lateness();
    const thawMs = nowMs();
    standby.thaw();
    await eventually(async () => (await scene.sessionsAt(scene.primary)) === 0, { what: 'it is ended' });
    trial.took('ended after the acknowledgement', nowMs() - thawMs, lateness);
  }),
);

it(
  ...row(50, async (trial) => {
    for (const exclude of ['on', 'off'] as const) {
      const scene = await trial.scene({
        standbys: 1,
        withConmgr: false,
        watchdog: { exclude_replication: exclude },
      });
      const { server, watchdog } = scene.primary;
      const { host } = scene.databases[1]!;
      const senders = async (): Promise<number[]> => {
        const rows = await server.sql<{ pid: number }>(
          "select pid from pg_stat_replication where state = 'streaming'",
        );
        return rows.map(({ pid }) => pid);
      };
      // The conmgr of the standby's host stops in its tracks; the server there lives on.
      const conmgr = await scene.startConmgr({ within: host.within });
      await scene.trusted();
      const [before] = await senders();
      trial.load((await senders()).length);
      const lateness = scene.lateness();
      const stoppedMs = nowMs();
      signalIfAny(conmgr.pid, 'SIGSTOP');
      await watchdog.line(/heartbeat link of .* timed out/, PATIENCE_MS);
      if (exclude === 'on') {
        await delay(TIMING.G + 1000);
        trial.never('walsenders ended by default', (await senders())[0] === before ? 0 : 1);
      } else {
        await eventually(async () => (await senders()).some((pid) => pid !== before), {
          timeoutMs: PATIENCE_MS,
          what: 'the standby streams again',
        });
        trial.took('streaming again, exclude_replication = off', nowMs() - stoppedMs, lateness);
        trial.never(
          'walsenders spared with exclude_replication = off',
          (await senders()).includes(before ?? 0) ? 1 : 0,
        );
      }
      signalIfAny(conmgr.pid, 'SIGCONT');
      await scene.end();
    }
  }),
);
