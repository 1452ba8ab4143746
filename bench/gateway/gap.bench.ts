/**
 * A primary falls silent while its standby is promoted: the longest gap between two successful queries of stock
 * applications, by each way of conmgr, with heartbeat_interval = 100ms and heartbeat_timeout = 500ms.
 *
 * Applications: node-postgres, which knows one server at a time and walks over the servers by itself where it is given
 * several, and psycopg 2 with the list of hosts of libpq. Each asks `select` every 2 ms and connects anew at once when
 * it fails. Beside them, in the same run: psycopg 2 without conmgr, with tcp_user_timeout = 500 ms of libpq.
 *
 * Needs root: the servers are on hosts of their own, network namespaces, of which one is cut off.
 */
import { DatabaseHost, setUpNetwork } from '../../test/drivers/harness/network.js';
import { KernelParts } from '../../test/kernel/parts.js';
import { setUpNetwork as setUpKernel } from '../../test/kernel/place.js';
import { ConmgrProcess, type ConmgrSettings } from '../../test/support/conmgr-process.js';
import { freePort } from '../../test/support/free-ports.js';
import { addStandby, type ServerOptions, startPrimary } from '../../test/support/postgres.js';
import { asServer, giveToServers } from '../../test/support/postgres-account.js';
import { type Running, startCommand } from '../../test/support/running.js';
import { inTree, temporaryDirectory } from '../../test/support/tree.js';
import { TestWatchdog } from '../../test/support/watchdog.js';
import { ms, printBlock, Samples, shuffledRounds } from '../figures.js';
import { whyNoRedirect } from './kernel.js';

const ROUNDS = Number(process.env['BENCH_ROUNDS'] || 7);
const TIMEOUT_MS = 500;
const TARGET_MS = TIMEOUT_MS + 50;
const SERVER_PORT = 5432;
const SETTINGS: ConmgrSettings = {
  heartbeat_interval: '100ms',
  heartbeat_timeout: `${TIMEOUT_MS}ms`,
  log_min_messages: 'LOG',
};

const hasPsycopg = (await startCommand('python3', ['-c', 'import psycopg2']).exit).code === 0;
const problem = whyNoRedirect() ?? (hasPsycopg ? undefined : 'apt-get install python3-psycopg2');
if (problem !== undefined) {
  console.log(`the gap of a loss is not measured: ${problem}`);
  process.exit(0);
}
setUpKernel();
setUpNetwork();

/** Where an application goes: one of these after the other. */
type Places = readonly (readonly [host: string, port: number])[];

interface Application {
  readonly name: string;
  start(places: Places, within: readonly string[]): Running;
}

const NODE_APPLICATION = `
  const pg = require('pg');
  const places = JSON.parse(process.argv[1]);
  const pause = () => new Promise((resolve) => setTimeout(resolve, 2));
  let [count, last, longest, first] = [0, undefined, 0, undefined];
  const use = async (client) => {
    for (;;) {
      const { rows } = await client.query("select current_setting('cluster_name') as name, pg_is_in_recovery() as standby");
      if (rows[0].standby) return;
      const now = performance.now();
      if (last !== undefined) longest = Math.max(longest, now - last);
      last = now;
      count += 1;
      if (count === 50) { [first, longest] = [rows[0].name, 0]; console.log('running'); }
      else if (count > 50 && rows[0].name !== first) { console.log('moved', longest.toFixed(1)); process.exit(0); }
      await pause();
    }
  };
  (async () => {
    for (let at = 0; ; at += 1) {
      const [host, port] = places[at % places.length];
      const client = new pg.Client({ host, port, user: 'postgres', database: 'postgres' });
      client.on('error', () => {});
      try { await client.connect(); await use(client); } catch {}
      client.end().catch(() => {});
      await pause();
    }
  })();`;

const NODE: Application = {
  name: 'pg',
  start: (places, within) =>
    startCommand(process.execPath, ['-e', NODE_APPLICATION, JSON.stringify(places)], {
      within,
      cwd: inTree('.'),
    }),
};

const psycopg = (more = ''): Application => ({
  name: 'psycopg',
  start: (places, within) => {
    const [hosts, ports] = [0, 1].map((at) => places.map((place) => place[at]).join(','));
    const target = places.length > 1 ? 'target_session_attrs=read-write' : '';
    const text = `host=${hosts} port=${ports} user=postgres dbname=postgres ${target} ${more}`;
    return startCommand('python3', [inTree('bench/gateway/application.py'), text], { within });
  },
});

interface Contestant {
  readonly name: string;
  readonly gaps: Samples;
  /** Did not get anywhere within the time that was waited. */
  stuck: number;
}

const contestant = (name: string): Contestant => ({ name, gaps: new Samples(), stuck: 0 });
const WITHOUT = 'psycopg, no conmgr, two hosts, tcp_user_timeout = 500 ms';
const figures: Readonly<Record<string, Contestant>> = Object.fromEntries(
  [
    ...['gateway', 'redirect', 'guard, two hosts'].flatMap((way) => [`pg, ${way}`, `psycopg, ${way}`]),
    WITHOUT,
  ].map((name) => [name, contestant(name)]),
);
/** Longer than this nobody is waited for. */
const PATIENCE_MS = 20_000;

let scenes = 0;

/** Two fresh servers and a conmgr; everything that is started loses its primary at once. */
async function loss(way: 'gateway' | 'kernel', round: number): Promise<void> {
  scenes += 1;
  const hosts = [await DatabaseHost.start(1), await DatabaseHost.start(2)] as const;
  const options = ({ address, within }: DatabaseHost): ServerOptions => ({
    listen: address,
    port: SERVER_PORT,
    within,
    hba: ['host all all 10.91.0.0/24 trust', 'host replication all 10.91.0.0/24 trust'],
  });
  const primary = await startPrimary(options(hosts[0]));
  const standby = await addStandby(primary, options(hosts[1]));
  const watchdogs = [await TestWatchdog.start(primary), await TestWatchdog.start(standby)];
  const listener = await freePort();
  const servers: Places = hosts.map(({ address }) => [address, SERVER_PORT] as const);
  const kernel = way === 'kernel' ? await KernelParts.start(`gap-${scenes}`, servers, [listener]) : undefined;
  const directory = temporaryDirectory('cm-');
  giveToServers(directory);
  const conmgr = await ConmgrProcess.start({
    directory,
    within: asServer(),
    instances: watchdogs.map(({ port }, at) => ({
      host: hosts[at]!.address,
      backendPort: SERVER_PORT,
      watchdogPort: port,
    })),
    settings: {
      ...SETTINGS,
      ...(kernel === undefined
        ? {}
        : {
            guard: 'on',
            listener_port0: listener,
            listener_target_session_attrs0: 'primary',
            listener_mode0: 'redirect',
          }),
    },
    ...(kernel === undefined ? {} : { env: kernel.env }),
  });
  await conmgr.linked();
  if (kernel !== undefined) {
    await conmgr.until(
      'the listener is redirected',
      (status) => status.kernel?.listeners[0]?.instances.length === 1,
    );
  }
  const local: Places = [['127.0.0.1', kernel === undefined ? conmgr.port : listener]];
  const both = [NODE, psycopg()];
  const running: readonly (readonly [string, Running])[] =
    kernel === undefined
      ? [
          ...both.map((one) => [`${one.name}, gateway`, one.start(local, [])] as const),
          [WITHOUT, psycopg(`tcp_user_timeout=${TIMEOUT_MS} connect_timeout=2`).start(servers, [])],
        ]
      : [
          ...both.map((one) => [`${one.name}, redirect`, one.start(local, kernel.within)] as const),
          ...both.map((one) => [`${one.name}, guard, two hosts`, one.start(servers, [])] as const),
        ];
  await Promise.all(running.map(([, app]) => app.waitForLine(/^running$/)));
  hosts[0].cut();
  await standby.promote();
  await Promise.all(
    running.map(async ([name, app]) => {
      const moved = await app
        .waitForLine(/^moved ([\d.]+)$/, { timeoutMs: PATIENCE_MS })
        .catch(() => undefined);
      if (round === 0) return;
      if (moved === undefined) figures[name]!.stuck += 1;
      else figures[name]!.gaps.add(Number(moved[1]));
    }),
  );
  await Promise.all(running.map(([, app]) => app.stop('SIGKILL')));
  await conmgr.stop('SIGKILL');
  await kernel?.end();
  await Promise.all(watchdogs.map((watchdog) => watchdog.stop('SIGKILL')));
  await Promise.all([primary.end(), standby.end()]);
  await Promise.all(hosts.map((host) => host.end()));
}

await shuffledRounds(ROUNDS, [(round) => loss('gateway', round), (round) => loss('kernel', round)]);

const shown = Object.values(figures);
printBlock(
  `A silent primary, its standby promoted: longest gap between two successful queries (heartbeat_timeout ${TIMEOUT_MS} ms)`,
  ['median', 'least', 'most', 'not back in 20 s'],
  shown.map(({ name, gaps, stuck }) => [
    name,
    ...(gaps.count === 0 ? ['', '', ''] : [ms(gaps.median), ms(gaps.min), ms(gaps.max)]),
    stuck === 0 ? '' : `${stuck} of ${ROUNDS}`,
  ]),
  shown
    .filter(({ name }) => name !== WITHOUT)
    .map(({ name, gaps, stuck }) => [
      `${name}: within ${TARGET_MS} ms`,
      stuck === 0 && gaps.median <= TARGET_MS,
      ms(gaps.median),
    ]),
);
process.exit(0);
