/** A postmaster that is killed, stopped or told to stop, and its backends: rows 12, 13, 14, 22, 23 and 71. */
import { it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { eventually } from '../support/eventually.js';
import { signalIfAny } from '../support/processes.js';
import { nowMs } from './harness/application.js';
import { offeredBy } from './harness/requests.js';
import { TIMING } from './harness/timing.js';
import { row } from './harness/trial.js';

const PATIENCE_MS = 60_000;
/** Its sessions hear of nothing by their own queries. */
const IDLE = { target: 'primary', pauseMs: 3_600_000 } as const;

it(
  ...row(12, async (trial) => {
    const scene = await trial.scene({ standbys: 1 });
    const { conmgr } = scene;
    const { server } = scene.primary;
    for (let round = 0; round < 3; round += 1) {
      await conmgr.until('the primary is there', ({ primary }) => primary === 0);
      const busy = await scene.app({ target: 'primary' });
      const idle = await scene.app(IDLE);
      trial.load(await busy.load());
      const lateness = scene.lateness(idle);
      const killedMs = nowMs();
      signalIfAny(server.pid, 'SIGKILL');
      for (const { atMs } of await idle.losses(0, PATIENCE_MS)) {
        trial.took('application told', atMs - killedMs, lateness);
      }
      await conmgr.until('no primary is left', ({ primary }) => primary === null);
      const primary = await offeredBy(conmgr, 'primary');
      trial.never('requests for a primary not refused with 57P03', primary === '57P03' ? 0 : 1);
      const any = await offeredBy(conmgr, 'any');
      trial.never('requests for any not led to the standby', any[0] === 1 ? 0 : 1);
      for (const { running } of [busy, idle]) running.kill('SIGKILL');
      await server.start();
    }
    trial.never('sessions ended by a watchdog', scene.endedSessions());
  }),
);

it(
  ...row(13, async (trial) => {
    const scene = await trial.scene();
    const { conmgr } = scene;
    const { server } = scene.primary;
    const timelines = new Set<number>();
    for (let round = 0; round < 3; round += 1) {
      const app = await scene.app({ target: 'primary' });
      const [{ pid = 0 } = {}] = app.events('connected');
      trial.load(await app.load());
      // Something to replay, or the recovery is over before anybody can look.
      await server.sql(`create table crash${round} as select generate_series(1, 500000) as n`);
      const mark = conmgr.mark;
      const lateness = scene.lateness();
      const killedMs = nowMs();
      const recovering = conmgr.untilInstance(
        0,
        'recovers',
        (one) => one.accepting !== true || one.state !== 'up',
      );
      signalIfAny(pid, 'SIGKILL');
      await recovering;
      trial.took('not accepting told', nowMs() - killedMs, lateness);
      await eventually(async () => (await server.sql('select 1')).length === 1, {
        everyMs: 5,
        what: 'ready',
      });
      const readyMs = nowMs();
      const ready = scene.lateness();
      const back = await conmgr.untilInstance(
        0,
        'is back',
        (one) => one.accepting === true && one.role === 'primary',
      );
      trial.took('primary again after it is ready', nowMs() - readyMs, ready);
      timelines.add(back.timeline);
      trial.never('instances called lost', conmgr.linesLike(/ is lost: heartbeat/, mark).length);
      app.running.kill('SIGKILL');
    }
    trial.never('changes of the timeline', timelines.size - 1);
    trial.never('sessions ended by a watchdog', scene.endedSessions());
  }),
);

it(
  ...row(14, async (trial) => {
    const scene = await trial.scene();
    const { conmgr } = scene;
    const { server } = scene.primary;
    for (const mode of ['immediate', 'fast'] as const) {
      for (let round = 0; round < 2; round += 1) {
        await conmgr.until('the primary is there', ({ primary }) => primary === 0);
        const busy = await scene.app({ target: 'primary' });
        const idle = await scene.app(IDLE);
        trial.load(await busy.load());
        const lateness = scene.lateness(idle);
        const stopMs = nowMs();
        const stopped = server.stop(mode);
        for (const { atMs } of await idle.losses(0, PATIENCE_MS)) {
          trial.took(`application told, ${mode}`, atMs - stopMs, lateness);
        }
        await stopped;
        for (const { running } of [busy, idle]) running.kill('SIGKILL');
        await server.start();
      }
    }
    await conmgr.until('the primary is there', ({ primary }) => primary === 0);
    const app = await scene.app({ target: 'primary' });
    const lateness = scene.lateness();
    const stopMs = nowMs();
    const stopped = server.stop('smart');
    await conmgr.untilInstance(0, 'is not accepting', (one) => one.accepting !== true, TIMING.P + 10_000);
    trial.took('not offered any more, smart', nowMs() - stopMs, lateness);
    if ((await offeredBy(conmgr, 'any')) !== '57P03') throw new Error('offered while it stops');
    await app.load();
    trial.never('sessions told of a smart stop before its end', app.events('lost').length);
    app.running.kill('SIGKILL');
    await stopped;
    trial.never('sessions ended by a watchdog', scene.endedSessions());
  }),
);

it(
  ...row(71, async (trial) => {
    const scene = await trial.scene();
    const { server } = scene.primary;
    for (let round = 0; round < 2; round += 1) {
      await scene.conmgr.until('the primary is there', ({ primary }) => primary === 0);
      const app = await scene.app({ target: 'primary' });
      const lateness = scene.lateness();
      let gone = false;
      const stopped = server.stop('smart').then(() => {
        gone = true;
      });
      await delay(2000);
      trial.load(await app.load());
      trial.never('ended before the last client left', gone ? 1 : 0);
      const leftMs = nowMs();
      app.running.kill('SIGKILL');
      await stopped;
      trial.took('ended after the last client left', nowMs() - leftMs, lateness);
      await server.start();
    }
  }),
);

it(
  ...row(22, async (trial) => {
    const scene = await trial.scene();
    const { conmgr } = scene;
    const { server } = scene.primary;
    const app = await scene.app({ target: 'primary' });
    for (let round = 0; round < 2; round += 1) {
      trial.load(await app.load());
      const lateness = scene.lateness();
      const stoppedMs = nowMs();
      signalIfAny(server.pid, 'SIGSTOP');
      await conmgr.untilInstance(0, 'is not accepting', (one) => one.accepting !== true, TIMING.P + 10_000);
      trial.took('not accepting told', nowMs() - stoppedMs, lateness);
      await app.load();
      signalIfAny(server.pid, 'SIGCONT');
      await conmgr.untilInstance(0, 'is accepting', (one) => one.accepting === true);
    }
    trial.never('sessions told of a loss', app.events('lost').length);
    trial.never('sessions ended by a watchdog', scene.endedSessions());
  }),
);

it(
  ...row(23, async (trial) => {
    const scene = await trial.scene();
    const app = await scene.app({ target: 'primary' });
    const [{ pid = 0 } = {}] = app.events('connected');
    trial.load(await app.load());
    signalIfAny(pid, 'SIGSTOP');
    await delay(3 * TIMING.T);
    await app.load();
    trial.never('instances not offered', (await offeredBy(scene.conmgr, 'primary'))[0] === 0 ? 0 : 1);
    trial.never('sessions told of a loss', app.events('lost').length);
    trial.never('sessions ended by a watchdog', scene.endedSessions());
    signalIfAny(pid, 'SIGCONT');
  }),
);
