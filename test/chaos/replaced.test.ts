/** A successor that takes everything over: row 61. */
import { it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { FirstPhaseClient } from '../support/first-phase-client.js';
import { asServer } from '../support/postgres-account.js';
import { Pulse } from '../support/pulse.js';
import { CONMGR_PORT } from './harness/scene.js';
import { TIMING } from './harness/timing.js';
import { row } from './harness/trial.js';

/** A process that is started while all processors are busy takes its time; how long it may is no question here. */
const GRACE_MS = 10_000;
const ATTACHED = 1000;
const QUERYING = 50;
/** Milliseconds between two queries of a session; all of them are one process here. */
const PAUSE_MS = 100;

it(
  ...row(61, async (trial) => {
    const scene = await trial.scene({ watchdog: { restart_grace: `${GRACE_MS}ms` } });
    const app = await scene.app({ sessions: QUERYING, target: 'primary', pauseMs: PAUSE_MS });
    const forwarded = await Promise.all(
      Array.from({ length: QUERYING }, async () => {
        const client = new pg.Client({
          host: '127.0.0.1',
          port: CONMGR_PORT,
          user: 'app',
          database: 'postgres',
        });
        client.on('error', () => {});
        await client.connect();
        return client;
      }),
    );
    const attached: FirstPhaseClient[] = [];
    for (let at = 0; at < ATTACHED; at += 50) {
      const some = Array.from({ length: 50 }, () =>
        FirstPhaseClient.bound(CONMGR_PORT, { target: 'primary' }),
      );
      attached.push(...(await Promise.all(some)));
    }
    await scene.trusted();
    await app.load();
    trial.load(app.sessions + forwarded.length + attached.length);
    const pulses = forwarded.map(
      (client) => new Pulse(() => client.query('select 1').then(() => delay(PAUSE_MS))),
    );
    await Promise.all(pulses.map((pulse) => pulse.until(() => pulse.count > 1)));
    let { conmgr } = scene;
    for (let round = 0; round < 2; round += 1) {
      for (const pulse of pulses) pulse.takeLongest();
      const mark = app.mark;
      const lateness = scene.lateness(app);
      conmgr = await scene.replace(conmgr, { within: asServer() });
      await conmgr.linked();
      await app.load();
      const ofForwarded = Math.max(...pulses.map((pulse) => pulse.takeLongest())) - PAUSE_MS;
      const ofAware = Math.max(...app.events('answered', mark).map(({ longestMs }) => longestMs ?? 0));
      trial.took('longest query', Math.max(ofForwarded, ofAware), lateness);
    }
    await delay(GRACE_MS + TIMING.T);
    const ended = await Promise.all(
      pulses.map((pulse) =>
        pulse.stop().then(
          () => 0,
          () => 1,
        ),
      ),
    );
    trial.never(
      'forwarded sessions that ended',
      ended.reduce<number>((sum, one) => sum + one, 0),
    );
    trial.never('attachments that were closed', attached.filter(({ isOpen }) => !isOpen).length);
    trial.never('sessions told of a loss', app.events('lost').length);
    trial.never('sessions ended by a watchdog', scene.endedSessions());
    for (const client of attached) client.vanish();
    await Promise.all(forwarded.map((client) => client.end()));
  }),
);
