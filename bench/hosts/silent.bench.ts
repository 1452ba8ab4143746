/**
 * A database host falls silent, all its packets dropped: when its applications are told, how long a connection takes while the dead
 * host stands first in the list, and when the first write succeeds after the standby was promoted.
 *
 * Beside conmgr, in the same round: libpq with several hosts, keepalives and tcp_user_timeout, pgjdbc, and HAProxy and Pgpool-II that check
 * their servers. conmgr runs twice: with a heartbeat_timeout that is that of libpq, and with the defaults, 10 s and 20 s, at a tenth.
 *
 * Needs root: the servers are on hosts of their own, network namespaces, of which one is cut off.
 */
import { existsSync } from 'node:fs';
import { DatabaseHost, setUpNetwork } from '../../test/drivers/harness/network.js';
import { ConmgrProcess } from '../../test/support/conmgr-process.js';
import { addStandby, type ServerOptions, startPrimary } from '../../test/support/postgres.js';
import { asServer, giveToServers } from '../../test/support/postgres-account.js';
import { built } from '../../test/support/programs.js';
import { type Running, startCommand } from '../../test/support/running.js';
import { inTree, temporaryDirectory } from '../../test/support/tree.js';
import { TestWatchdog } from '../../test/support/watchdog.js';
import { ms, printBlock, Samples } from '../figures.js';
import { AWARE } from './aware.js';
import { HAPROXY, PGPOOL, startProxies } from './proxies.js';

const ROUNDS = Number(process.env['BENCH_ROUNDS'] || 5);
const SERVER_PORT = 5432;
const INTERVAL_MS = 1000;
const TIMEOUT_MS = 3000;
const SCALED_TIMEOUT_MS = 2000;
const JDBC = '/usr/share/java/postgresql.jar';
/** Longer than this nobody is waited for. */
const PATIENCE_MS = 30_000;
/** Says within `TIMEOUT_MS` that a server is silent, whether data is in flight or not (libpq, "Parameter Key Words"). */
const LIBPQ = `keepalives_idle=1 keepalives_interval=1 keepalives_count=2 tcp_user_timeout=${TIMEOUT_MS} connect_timeout=2`;

if (process.getuid?.() !== 0) {
  console.log('hosts that fall silent are not measured: it needs root');
  process.exit(0);
}
if ((await startCommand('python3', ['-c', 'import psycopg2']).exit).code !== 0) {
  console.log('hosts that fall silent are not measured: apt-get install python3-psycopg2');
  process.exit(0);
}
setUpNetwork();

const NAMES = {
  aware: 'aware client',
  gateway: 'gateway',
  scaledAware: 'aware client, defaults at a tenth (1 s / 2 s)',
  scaledGateway: 'gateway, defaults at a tenth (1 s / 2 s)',
  libpq: 'psycopg 2, two hosts, keepalives 1 s x 2, tcp_user_timeout 3 s',
  libpqConnect: 'psycopg 2, two hosts, connect_timeout 2 s',
  jdbc: 'pgjdbc, two hosts, its defaults',
  haproxy: HAPROXY,
  pgpool: PGPOOL,
} as const;

/** Figures of one thing by the name of who was measured. */
class Table {
  readonly samples = new Map<string, Samples>();
  readonly late = new Map<string, number>();

  add(name: string, value: number | undefined): void {
    if (value === undefined) this.late.set(name, (this.late.get(name) ?? 0) + 1);
    else {
      const samples = this.samples.get(name) ?? new Samples();
      samples.add(value);
      this.samples.set(name, samples);
    }
  }

  rows(): string[][] {
    const names = Object.values(NAMES).filter((name) => this.samples.has(name) || this.late.has(name));
    return names.map((name) => {
      const samples = this.samples.get(name);
      const late = this.late.get(name) ?? 0;
      return [
        name,
        ...(samples === undefined ? ['', '', ''] : [ms(samples.median), ms(samples.min), ms(samples.max)]),
        late === 0 ? '' : `${late} of ${ROUNDS}`,
      ];
    });
  }

  median(name: string): number {
    return this.samples.get(name)?.median ?? Number.POSITIVE_INFINITY;
  }

  most(name: string): number {
    return this.samples.get(name)?.max ?? Number.POSITIVE_INFINITY;
  }
}
const [told, wrote, connected] = [new Table(), new Table(), new Table()];
const missingPeers = new Set<string>();

const aware = (what: string, port: number): Running =>
  startCommand(process.execPath, ['-e', AWARE, what, String(port), built('client/index.cjs')], {
    cwd: inTree('.'),
  });
const psycopg = (what: string, places: string, more = ''): Running =>
  startCommand('python3', [
    inTree('bench/hosts/application.py'),
    what,
    `${places} user=postgres dbname=postgres ${more}`,
  ]);

/** The moment at which an application prints the word; undefined when it takes too long. */
async function momentOf(app: Running, word: RegExp): Promise<number | undefined> {
  return app
    .waitForLine(word, { timeoutMs: PATIENCE_MS })
    .then(() => performance.now())
    .catch(() => undefined);
}

async function round(): Promise<void> {
  const hosts = [await DatabaseHost.start(1), await DatabaseHost.start(2)] as const;
  const options = ({ address, within }: DatabaseHost): ServerOptions => ({
    listen: address,
    port: SERVER_PORT,
    within,
    hba: ['host all all 10.91.0.0/24 trust', 'host replication all 10.91.0.0/24 trust'],
  });
  const primary = await startPrimary(options(hosts[0]));
  await primary.sql('create table written (at timestamptz default clock_timestamp())');
  const standby = await addStandby(primary, options(hosts[1]));
  const watchdogs = [await TestWatchdog.start(primary), await TestWatchdog.start(standby)];
  const conmgrWith = async (timeoutMs: number): Promise<ConmgrProcess> => {
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
        heartbeat_interval: `${INTERVAL_MS}ms`,
        heartbeat_timeout: `${timeoutMs}ms`,
        log_min_messages: 'WARNING',
      },
    });
    await conmgr.linked();
    return conmgr;
  };
  const conmgr = await conmgrWith(TIMEOUT_MS);
  const scaled = await conmgrWith(SCALED_TIMEOUT_MS);
  const addresses = [hosts[0].address, hosts[1].address] as const;
  const { proxies, missing } = await startProxies(addresses);
  for (const text of missing) missingPeers.add(text);
  const local = (port: number): string => `host=127.0.0.1 port=${port}`;
  const both = `host=${addresses.join(',')} port=${SERVER_PORT}`;

  const waiting: readonly (readonly [string, Running])[] = [
    [NAMES.aware, aware('wait', conmgr.port)],
    [NAMES.gateway, psycopg('wait', local(conmgr.port))],
    [NAMES.scaledAware, aware('wait', scaled.port)],
    [NAMES.scaledGateway, psycopg('wait', local(scaled.port))],
    [NAMES.libpq, psycopg('wait', both, `target_session_attrs=read-write ${LIBPQ}`)],
    ...proxies.map(({ name, port }) => [name, psycopg('wait', local(port))] as const),
  ];
  const writing: readonly (readonly [string, Running])[] = [
    [NAMES.aware, aware('write', conmgr.port)],
    [NAMES.gateway, psycopg('write', local(conmgr.port))],
    [NAMES.libpq, psycopg('write', both, `target_session_attrs=read-write ${LIBPQ}`)],
    ...proxies.map(({ name, port }) => [name, psycopg('write', local(port))] as const),
  ];
  await Promise.all(waiting.map(([, app]) => app.waitForLine(/^waiting$/)));
  await Promise.all(writing.map(([, app]) => app.waitForLine(/^writing$/)));

  hosts[0].cut();
  const cutAt = performance.now();
  const news = waiting.map(async ([name, app]) => {
    const at = await momentOf(app, /^told$/);
    told.add(name, at === undefined ? undefined : at - cutAt);
  });
  const [, ours] = waiting[0]!;
  await momentOf(ours, /^told$/);

  const promotion = standby.promote().then(() => performance.now());
  const writes = writing.map(async ([name, app]) => {
    const at = await momentOf(app, /^wrote$/);
    const promotedAt = await promotion;
    wrote.add(name, at === undefined ? undefined : at - promotedAt);
  });
  await Promise.all([...news, ...writes]);

  const attempts: readonly (readonly [string, () => Running])[] = [
    [NAMES.aware, () => aware('connect', conmgr.port)],
    [NAMES.gateway, () => psycopg('connect', local(conmgr.port))],
    [NAMES.libpqConnect, () => psycopg('connect', both, 'connect_timeout=2')],
    ...(existsSync(JDBC) ? [[NAMES.jdbc, () => jdbc(addresses)] as const] : []),
  ];
  for (const [name, start] of attempts) {
    const app = start();
    const found = await app
      .waitForLine(/^connected ([\d.]+)$/, { timeoutMs: PATIENCE_MS })
      .catch(() => undefined);
    connected.add(name, found === undefined ? undefined : Number(found[1]));
    await app.stop('SIGKILL');
  }

  await Promise.all([...waiting, ...writing].map(([, app]) => app.stop('SIGKILL')));
  await Promise.all(proxies.map((proxy) => proxy.stop()));
  await Promise.all([conmgr.stop('SIGKILL'), scaled.stop('SIGKILL')]);
  await Promise.all(watchdogs.map((watchdog) => watchdog.stop('SIGKILL')));
  await Promise.all([primary.end(), standby.end()]);
  await Promise.all(hosts.map((host) => host.end()));
}

function jdbc([dead, alive]: readonly [string, string]): Running {
  const url = (list: string): string => `jdbc:postgresql://${list}/postgres?user=postgres`;
  const place = (address: string): string => `${address}:${SERVER_PORT}`;
  const lists = [place(alive), `${place(dead)},${place(alive)}`].map(url);
  return startCommand('java', ['-cp', JDBC, inTree('bench/hosts/ConnectTime.java'), ...lists]);
}

for (let done = 0; done < ROUNDS; done += 1) await round();

for (const text of missingPeers) console.log(text);
const columns = ['median', 'least', 'most', `not in ${PATIENCE_MS / 1000} s`];
const within = (name: string, limitMs: number): readonly [string, boolean, string] => [
  `${name}: within ${limitMs} ms`,
  told.most(name) <= limitMs,
  `at most ${ms(told.most(name))}`,
];
printBlock(
  `A host falls silent: from its last packet to the told application (heartbeat ${INTERVAL_MS / 1000} s / ${TIMEOUT_MS / 1000} s)`,
  columns,
  told.rows(),
  [
    ...[NAMES.aware, NAMES.gateway].map((name) => within(name, TIMEOUT_MS + 50)),
    ...[NAMES.scaledAware, NAMES.scaledGateway].map((name) => within(name, SCALED_TIMEOUT_MS + 50)),
  ],
);
printBlock(
  'The standby is promoted: from the return of pg_promote() to the first write that succeeds',
  columns,
  wrote.rows(),
  [
    [NAMES.aware, NAMES.libpq],
    [NAMES.gateway, NAMES.libpq],
  ].map(([name, peer]) => [
    `${name!}: sooner than libpq with two hosts`,
    wrote.median(name!) <= wrote.median(peer!),
    ms(wrote.median(name!)),
  ]),
);
printBlock('A connection while the first host of the list is dead', columns, connected.rows(), [
  ['aware client: within 100 ms', connected.median(NAMES.aware) <= 100, ms(connected.median(NAMES.aware))],
]);
process.exit(0);
