/** Names of servers that are not resolved, or to several addresses: rows 27 to 30. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { NameServer } from '../support/name-server.js';
import { temporaryDirectory } from '../support/tree.js';
import { nowMs } from './harness/application.js';
import { Beats } from './harness/beats.js';
import { offeredBy } from './harness/requests.js';
import { SERVER_PORT, WATCHDOG_PORT } from './harness/scene.js';
import { TIMING } from './harness/timing.js';
import { row } from './harness/trial.js';

const NAME = 'db.example';
const of = (host: string) => ({ host, backendPort: SERVER_PORT, watchdogPort: WATCHDOG_PORT });

it(
  ...row(27, async (trial) => {
    const names = new NameServer({ [NAME]: 'error' });
    const scene = await trial.scene({
      standbys: 1,
      withConmgr: false,
      lines: ([db1]) => [of(db1!.address), of(NAME)],
    });
    const conmgr = await scene.startConmgr({ env: names.env, linked: false });
    await conmgr.untilInstance(0, 'is up', ({ link }) => link.phase === 'up');
    const app = await scene.app({ target: 'primary' });
    await delay(2 * TIMING.CI);
    trial.load(await app.load());
    const answered = scene.lateness();
    names.answer({ [NAME]: [scene.databases[1]!.host.address] });
    const answerMs = nowMs();
    await conmgr.linked();
    trial.took('linked after the name is there', nowMs() - answerMs, answered);
    await scene.trusted();
    names.answer({ [NAME]: 'error' });
    const second = scene.databases[1]!;
    await second.watchdog.stop('SIGKILL');
    second.watchdog = await second.watchdog.again();
    const again = scene.lateness();
    const againMs = nowMs();
    await conmgr.linked();
    trial.took('linked again without the name', nowMs() - againMs, again);
    await app.load();
    trial.never('sessions told of a loss', app.events('lost').length);
    trial.never('sessions ended by a watchdog', scene.endedSessions());
  }),
);

it(
  ...row(28, async (trial) => {
    const silent = [1, 2, 3, 4, 5, 6].map((number) => `db${number}.silent.example`);
    const scene = await trial.scene({
      withConmgr: false,
      lines: ([db1]) => [of(db1!.address), ...silent.map(of)],
    });
    const { host } = scene.primary;
    // A name server that is there and says nothing.
    host.treat(['in'], 'udp dport 53 drop');
    const file = join(temporaryDirectory(), 'resolv.conf');
    writeFileSync(file, `nameserver ${host.address}\noptions timeout:30 attempts:1\n`, { mode: 0o644 });
    const within = [
      'unshare',
      '--mount',
      '--',
      'sh',
      '-c',
      `mount --bind ${file} /etc/resolv.conf && exec "$@"`,
      'sh',
    ];
    const conmgr = await scene.startConmgr({ within, linked: false });
    await conmgr.untilInstance(0, 'is up', ({ link }) => link.phase === 'up');
    const app = await scene.app({ target: 'primary' });
    await scene.trusted();
    trial.load(await app.load());
    const lateness = scene.lateness();
    const beats = new Beats(scene.primary);
    await delay(10 * TIMING.T);
    trial.took('longest silence of a link', await beats.end(), lateness);
    await app.load();
    trial.never('sessions told of a loss', app.events('lost').length);
    trial.never('sessions ended by a watchdog', scene.endedSessions());
  }),
);

it(
  ...row(29, async (trial) => {
    const scene = await trial.scene({ withConmgr: false, lines: () => [of(NAME)] });
    const { host } = scene.primary;
    // Addresses that take every packet and answer none.
    const dead = await scene.network.addHost('dead', 90);
    dead.run('ip', 'addr', 'add', '10.92.0.91/24', 'dev', 'eth0');
    dead.treat(['in', 'out'], 'meta l4proto tcp drop');
    const names = new NameServer({ [NAME]: [dead.address, '10.92.0.91', host.address] });
    const lateness = scene.lateness();
    const startMs = nowMs();
    const conmgr = await scene.startConmgr({ env: names.env, linked: false });
    await conmgr.until('the link is up', ({ instances }) => instances[0]?.link.phase === 'up', 30_000);
    trial.took('link up after the start', nowMs() - startMs, lateness);
    await delay(2 * TIMING.T);
    const { instances } = await conmgr.status();
    trial.never('links to other addresses', instances[0]?.link.address === host.address ? 0 : 1);
  }),
);

/** The server at the second address: of the same cluster, or of another. */
const OTHERS = [{ standbys: 1 }, { foreigners: 1 }];

it(
  ...row(30, async (trial) => {
    for (const others of OTHERS) {
      const scene = await trial.scene({ ...others, withConmgr: false, lines: () => [of(NAME)] });
      const [first, second] = scene.databases;
      const names = new NameServer({ [NAME]: [first!.host.address, second!.host.address] });
      const conmgr = await scene.startConmgr({ env: names.env });
      const app = await scene.app({ target: 'any' });
      trial.load(await app.load());
      const mark = conmgr.mark;
      // The watchdog of the first is gone, its server is not: the other address answers, and is another server.
      await first!.watchdog.stop('SIGKILL');
      await conmgr.logged(/is not the one of/, mark, { timeoutMs: 30_000 });
      await delay(2 * TIMING.T);
      const { instances } = await conmgr.status();
      const isTaken = instances[0]?.role !== 'primary' || instances[0].link.phase === 'up';
      trial.never('other server taken for the instance', isTaken ? 1 : 0);
      const offered = await offeredBy(conmgr, 'standby');
      trial.never('sessions led to the other server', offered === '57P03' ? 0 : 1);
      await app.load();
      const servers = new Set(app.events('connected').map(({ server }) => server));
      trial.never('sessions led to the other server', servers.size - 1 + app.events('lost').length);
      first!.watchdog = await first!.watchdog.again();
      await conmgr.linked();
      await scene.end();
    }
  }),
);
