/** Applications by the thousand: rows 39, 40 and 63. */
import { it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { Ask } from '../../src/core/protocol/ask.js';
import { eventually } from '../support/eventually.js';
import { FirstPhaseClient } from '../support/first-phase-client.js';
import { signalIfAny } from '../support/processes.js';
import { CONMGR_PORT } from './harness/scene.js';
import { storm } from './harness/storm.js';
import { TIMING } from './harness/timing.js';
import { row } from './harness/trial.js';

const HERD = 10_000;
const STORM = 5000;
const AT_A_TIME = 100;

/** Attaches so many applications to the primary, some at a time. */
async function attach(count: number, ask: Partial<Ask>): Promise<FirstPhaseClient[]> {
  const clients: FirstPhaseClient[] = [];
  let left = count;
  const next = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      clients.push(await FirstPhaseClient.bound(CONMGR_PORT, ask));
    }
  };
  await Promise.all(Array.from({ length: AT_A_TIME }, next));
  return clients;
}

it(
  ...row(39, async (trial) => {
    const scene = await trial.scene({ start: { openFiles: 12_000 } });
    const { conmgr } = scene;
    const clients = await attach(HERD, { target: 'primary' });
    await conmgr.until('all are attached', ({ applications }) => applications.length === HERD, 60_000);
    trial.load(clients.length);
    const lateness = scene.latenessOfConmgr();
    signalIfAny(scene.primary.server.pid, 'SIGKILL');
    const told = await Promise.all(
      clients.map((client) =>
        client.next('down', 30_000).then(
          ({ atMs }) => atMs,
          () => undefined,
        ),
      ),
    );
    const moments = told.filter((atMs) => atMs !== undefined);
    const [first, last] = [Math.min(...moments), Math.max(...moments)];
    trial.took('last application told after the first', last - first, lateness);
    trial.amount('memory of conmgr', conmgr.residentKb / 1024);
    trial.never('applications not told', clients.length - moments.length);
    for (const client of clients) client.vanish();
  }),
);

it(
  ...row(40, async (trial) => {
    const scene = await trial.scene({ standbys: 2, start: { openFiles: 12_000 } });
    const { conmgr } = scene;
    signalIfAny(scene.primary.server.pid, 'SIGKILL');
    await scene.databases[1]!.server.promote();
    await conmgr.until('there is a new primary', ({ primary }) => primary === 1);
    const lateness = scene.latenessOfConmgr();
    const answers = await storm(CONMGR_PORT, STORM, (number) => (number % 2 === 0 ? 'read-write' : 'any'));
    trial.load(answers.length);
    const times = answers.map(({ tookMs }) => tookMs).sort((one, other) => one - other);
    trial.took('answer, at 99 %', times[Math.ceil(times.length * 0.99) - 1]!, lateness);
    trial.never(
      'applications without an answer',
      answers.filter(({ offered }) => offered === undefined).length,
    );
    const orders = new Set(answers.flatMap(({ offered }, at) => (at % 2 === 1 ? [offered?.join()] : [])));
    trial.never('orders of candidates that all are the same', orders.size > 1 ? 0 : 1);
  }),
);

it(
  ...row(63, async (trial) => {
    const scene = await trial.scene();
    const { conmgr } = scene;
    const app = await scene.app({ target: 'primary' });
    const before = { descriptors: conmgr.openDescriptors, kb: conmgr.residentKb };
    const deaf = await attach(200, { target: 'any' });
    for (const client of deaf) client.stopReading();
    trial.load(deaf.length);
    const dying = await scene.app({ sessions: 50, target: 'primary', stagger: 1 });
    dying.running.kill('SIGKILL');
    // News for all that do not read: roles that change.
    for (let round = 0; round < 10; round += 1) {
      const value = round % 2 === 0 ? 'on' : 'off';
      await scene.primary.server.sql(`alter system set default_transaction_read_only = ${value}`);
      await scene.primary.server.sql('select pg_reload_conf()');
      await conmgr.untilInstance(0, `is read only: ${value}`, (one) => one.readOnly === (value === 'on'));
    }
    await delay(TIMING.T);
    trial.amount('growth of memory', (conmgr.residentKb - before.kb) / 1024);
    for (const client of deaf) client.vanish();
    await eventually(async () => (await conmgr.status()).applications.length <= app.sessions, {
      timeoutMs: 20_000,
      what: 'the dead are forgotten',
    });
    trial.amount('descriptors left', conmgr.openDescriptors - before.descriptors);
    trial.never(
      'sessions told of a loss',
      app.events('lost').filter(({ reason }) => reason !== 'role no longer fits').length,
    );
  }),
);
