/** psql, which knows nothing of conmgr, through the gateway: rows 68 and 69. */
import { it } from 'node:test';
import { eventually } from '../support/eventually.js';
import { type Running, startCommand } from '../support/running.js';
import { nowMs } from './harness/application.js';
import { CONMGR_PORT, type Scene } from './harness/scene.js';
import { row } from './harness/trial.js';

const QUERIES = 3;
const SLEEPING = "select 1 from pg_stat_activity where wait_event = 'PgSleep'";

async function running(scene: Scene): Promise<number> {
  return (await scene.primary.server.sql(SLEEPING)).length;
}

/** Starts so many psql and returns when their queries run. */
async function queries(scene: Scene): Promise<Running[]> {
  const all = Array.from({ length: QUERIES }, () =>
    startCommand('psql', [
      '-XAt',
      '-c',
      'select pg_sleep(600)',
      `host=127.0.0.1 port=${CONMGR_PORT} user=app dbname=postgres`,
    ]),
  );
  await eventually(async () => (await running(scene)) === QUERIES, { what: 'the queries run' });
  return all;
}

it(
  ...row(68, async (trial) => {
    const scene = await trial.scene();
    const all = await queries(scene);
    await scene.trusted();
    trial.load(await running(scene));
    const lateness = scene.lateness();
    const cutMs = nowMs();
    scene.primary.host.cut();
    await Promise.all(
      all.map(async ({ done }) => {
        const { code, stderr } = await done;
        trial.took('psql returned', nowMs() - cutMs, lateness);
        trial.never('psql without an error', code !== 0 && /connection|server closed/.test(stderr) ? 0 : 1);
      }),
    );
  }),
);

it(
  ...row(69, async (trial) => {
    const scene = await trial.scene();
    const all = await queries(scene);
    trial.load(await running(scene));
    const lateness = scene.lateness();
    for (const [at, psql] of all.entries()) {
      const interruptMs = nowMs();
      psql.kill('SIGINT');
      const { stderr } = await psql.done;
      trial.took('query cancelled', nowMs() - interruptMs, lateness);
      if (!/canceling statement due to user request/.test(stderr)) throw new Error(stderr);
      trial.never('other queries cancelled', QUERIES - at - 1 - (await running(scene)));
    }
  }),
);
