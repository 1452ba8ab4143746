/** Limits: of descriptors, of applications, of links: rows 32, 33, 41 and 42. */
import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { FirstPhaseClient } from '../support/first-phase-client.js';
import { asServer } from '../support/postgres-account.js';
import { startCommand } from '../support/running.js';
import { nowMs } from './harness/application.js';
import { Beats } from './harness/beats.js';
import { SERVER_PORT, WATCHDOG_PORT } from './harness/scene.js';
import { TIMING } from './harness/timing.js';
import { row } from './harness/trial.js';

const MANY = 200;

it(
  ...row(32, async (trial) => {
    const scene = await trial.scene({ start: { openFiles: 60 } });
    const app = await scene.app({ target: 'primary' });
    await scene.trusted();
    trial.load(await app.load());
    const lateness = scene.lateness();
    const beats = new Beats(scene.primary);
    const clients: FirstPhaseClient[] = [];
    let odd = 0;
    for (let number = 0; number < MANY; number += 1) {
      const client = scene.conmgr.ask({ target: 'primary' });
      const answer = await client.candidates().then(
        () => 'served',
        () => client.refused?.sqlState,
      );
      if (answer === 'served') {
        client.bind(0);
        clients.push(client);
      } else if (answer !== '57P03') odd += 1;
    }
    if (clients.length === MANY) throw new Error('nobody was refused');
    await delay(2 * TIMING.T);
    trial.took('longest silence of a link', await beats.end(), lateness);
    trial.never('applications neither served nor refused with 57P03', odd);
    for (const client of clients) client.vanish();
    await app.load();
    trial.never('sessions told of a loss', app.events('lost').length);
    trial.never('sessions ended by a watchdog', scene.endedSessions());
  }),
);

it(
  ...row(33, async (trial) => {
    const scene = await trial.scene();
    const { host, watchdog } = scene.primary;
    const app = await scene.app({ target: 'primary' });
    await scene.trusted();
    trial.load(await app.load());
    const { pid } = watchdog.running;
    const open = readdirSync(`/proc/${pid}/fd`).length;
    // Its own account may lower it.
    const [program = '', ...words] = [
      ...asServer(),
      'prlimit',
      '--pid',
      String(pid),
      `--nofile=${open + 10}`,
    ];
    execFileSync(program, words);
    const lateness = scene.lateness();
    const beats = new Beats(scene.primary);
    const sockets = Array.from({ length: MANY }, (): Socket => {
      const socket = connect({ host: host.address, port: WATCHDOG_PORT });
      socket.on('error', () => {});
      return socket;
    });
    await delay(2 * TIMING.T);
    for (const socket of sockets) socket.destroy();
    trial.took('longest silence of a link', await beats.end(), lateness);
    await app.load();
    trial.never('sessions told of a loss', app.events('lost').length);
    trial.never('sessions ended by a watchdog', scene.endedSessions());
  }),
);

it(
  ...row(41, async (trial) => {
    const most = 10;
    const scene = await trial.scene({ conmgr: { max_connections: most, gateway: 'off' } });
    const { conmgr } = scene;
    const attached = await Promise.all(
      Array.from({ length: most }, () => conmgr.bound({ target: 'primary' })),
    );
    trial.load(attached.length);
    for (let round = 0; round < 10; round += 1) {
      const lateness = scene.latenessOfConmgr();
      const askedMs = nowMs();
      const { sqlState } = await conmgr.ask({ target: 'primary' }).refusal();
      trial.took('refusal told', nowMs() - askedMs, lateness);
      trial.never('refusals with another code than 57P03', sqlState === '57P03' ? 0 : 1);
    }
    await conmgr.logged(/LOG: .*max_connections|LOG: .*too many/);
    const { host } = scene.primary;
    const psql = startCommand('psql', [
      '-XAt',
      `host=127.0.0.1,${host.address} port=${conmgr.port},${SERVER_PORT} user=app dbname=postgres`,
      '-c',
      'select 1',
    ]);
    const { code, stdout } = await psql.done;
    trial.never('psql that did not go on', code === 0 && stdout === '1\n' ? 0 : 1);
    for (const client of attached) client.vanish();
  }),
);

it(
  ...row(42, async (trial) => {
    const scene = await trial.scene({ watchdog: { max_heartbeat_connections: '1' } });
    const app = await scene.app({ target: 'primary' });
    trial.load(await app.load());
    const app2 = await scene.network.addHost('app2', 22);
    const refused = await scene.startConmgr({ within: app2.within, linked: false });
    await refused.logged(/refused/);
    const { running } = scene.primary.watchdog;
    const count = (): number => running.lines.filter((line) => /refused heartbeat link/.test(line)).length;
    const { instances } = await refused.status();
    if (instances[0]?.link.phase === 'up') throw new Error('it was not refused');
    const [before, sinceMs] = [count(), nowMs()];
    await delay(4 * TIMING.T);
    const repeated = running.lines.flatMap(
      (line) => /repeated (\d+)x .*refused heartbeat link/.exec(line)?.[1] ?? [],
    );
    const attempts = count() - before + repeated.reduce((sum, one) => sum + Number(one), 0);
    trial.amount('attempts a second', (attempts * 1000) / (nowMs() - sinceMs));
    trial.amount('messages of conmgr', refused.linesLike(/refused/).length);
    await app.load();
    trial.never('sessions told of a loss', app.events('lost').length);
    trial.never('sessions ended by a watchdog', scene.endedSessions());
  }),
);
