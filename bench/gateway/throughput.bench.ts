/**
 * What lies between an application and its server costs throughput: pgbench with 1, 8 and 64 clients, and with a
 * connection for every transaction, by the gateway and by the redirect of conmgr.
 *
 * Beside them, in the same run: the server without anything between, and HAProxy (mode tcp), PgBouncer (pool_mode
 * session) and Pgpool-II with their defaults, as far as they are installed. Ratios are those of the same round, so
 * that what else happens on the machine is in both. CPU time is that of the proxy alone and hardly depends on it.
 *
 * The redirect needs root, who runs all of it in a network namespace of its own, and the programs of `make bpf`.
 */
import { KernelParts } from '../../test/kernel/parts.js';
import { setUpNetwork } from '../../test/kernel/place.js';
import { ConmgrProcess } from '../../test/support/conmgr-process.js';
import { freePort } from '../../test/support/free-ports.js';
import { startPrimary } from '../../test/support/postgres.js';
import { asServer, giveToServers } from '../../test/support/postgres-account.js';
import { temporaryDirectory } from '../../test/support/tree.js';
import { TestWatchdog } from '../../test/support/watchdog.js';
import { printBlock, Samples, shuffledRounds } from '../figures.js';
import { whyNoRedirect } from './kernel.js';
import { cpuMsWithChildren, findProgram, startPeers } from './peers.js';
import { type Load, prepareTables, runLoad } from './pgbench.js';

const ROUNDS = Number(process.env['BENCH_ROUNDS'] || 4);
const CLIENTS = [1, 8, 64] as const;
const SCALE = 10;
/** The gateway is to reach so much of HAProxy's throughput, at so many clients. */
const [TARGET, TARGET_CLIENTS] = [0.9, 8] as const;

interface Contestant {
  readonly name: string;
  readonly port: number;
  /** What stands between; undefined: nothing. */
  readonly pid: number | undefined;
  /** In front of pgbench. */
  readonly within: readonly string[];
}

const pgbench = findProgram('pgbench');
if (pgbench === undefined) {
  console.log(
    'pgbench is not installed, nothing is measured: apt-get install postgresql-client postgresql-contrib',
  );
  process.exit(0);
}

if (process.getuid?.() === 0) setUpNetwork();
const server = await startPrimary({
  settings: { max_connections: '300', shared_buffers: '128MB', max_wal_size: '4GB' },
});
await prepareTables(pgbench, server.port, SCALE);
const watchdog = await TestWatchdog.start(server, { settings: { log_min_messages: 'WARNING' } });
const { peers, missing } = await startPeers(server.port);

const listener = await freePort();
const noRedirect = whyNoRedirect();
if (noRedirect !== undefined) missing.push(`the redirect is not measured: ${noRedirect}`);
const redirect =
  noRedirect === undefined
    ? await KernelParts.start('throughput', [['127.0.0.1', server.port]], [listener])
    : undefined;
const directory = temporaryDirectory('cm-');
giveToServers(directory);
const conmgr = await ConmgrProcess.start({
  directory,
  within: asServer(),
  instances: [{ host: '127.0.0.1', backendPort: server.port, watchdogPort: watchdog.port }],
  settings: {
    heartbeat_interval: '1s',
    heartbeat_timeout: '10s',
    log_min_messages: 'LOG',
    listener_port0: listener,
    listener_target_session_attrs0: 'primary',
    listener_mode0: redirect === undefined ? 'gateway' : 'redirect',
  },
  ...(redirect === undefined ? {} : { env: redirect.env }),
});
await conmgr.linked();
if (redirect !== undefined) {
  await conmgr.until(
    'the listener is redirected',
    ({ kernel }) => kernel?.listeners[0]?.instances.length === 1,
  );
}

const direct: Contestant = { name: 'direct', port: server.port, pid: undefined, within: [] };
const gateway: Contestant = { name: 'conmgr, gateway', port: conmgr.port, pid: conmgr.pid, within: [] };
const contestants: readonly Contestant[] = [
  direct,
  gateway,
  ...(redirect === undefined
    ? []
    : [{ name: 'conmgr, redirect', port: listener, pid: undefined, within: redirect.within }]),
  ...peers.map(({ name, port, pid }) => ({ name, port, pid, within: [] })),
];
const haproxy = contestants.find(({ name }) => name === 'HAProxy');

interface Figures {
  readonly perSecond: Samples;
  readonly toDirect: Samples;
  readonly toHaproxy: Samples;
  transactions: number;
  cpuMs: number;
}

/** All rounds of one load. */
async function measure(load: Load): Promise<ReadonlyMap<Contestant, Figures>> {
  const figures = new Map<Contestant, Figures>(
    contestants.map((one) => [
      one,
      {
        perSecond: new Samples(),
        toDirect: new Samples(),
        toHaproxy: new Samples(),
        transactions: 0,
        cpuMs: 0,
      },
    ]),
  );
  let rates = new Map<Contestant, number>();
  const finishRound = (): void => {
    for (const [one, perSecond] of rates) {
      const of = figures.get(one)!;
      of.perSecond.add(perSecond);
      of.toDirect.add(perSecond / (rates.get(direct) ?? Number.NaN));
      if (haproxy !== undefined) of.toHaproxy.add(perSecond / (rates.get(haproxy) ?? Number.NaN));
    }
    rates = new Map();
  };
  await shuffledRounds(
    ROUNDS,
    contestants.map((one) => async (round: number) => {
      const { port, pid, within } = one;
      const before = pid === undefined ? 0 : cpuMsWithChildren(pid);
      const { perSecond, transactions } = await runLoad(pgbench!, port, load, within);
      if (round === 0) return;
      const of = figures.get(one)!;
      if (pid !== undefined) of.cpuMs += cpuMsWithChildren(pid) - before;
      of.transactions += transactions;
      rates.set(one, perSecond);
      if (rates.size === contestants.length) finishRound();
    }),
  );
  return figures;
}

const TITLES = { select: 'pgbench -S', 'tpc-b': 'pgbench, TPC-B' } as const;
const ratio = (value: number): string => value.toFixed(2);

for (const line of missing) console.log(line);
const loads: readonly Load[] = [
  ...(['select', 'tpc-b'] as const).flatMap((script) =>
    CLIENTS.map((clients) => ({ script, clients, reconnect: false })),
  ),
  ...CLIENTS.map((clients) => ({ script: 'select' as const, clients, reconnect: true })),
];
try {
  for (const load of loads) {
    const figures = await measure(load);
    const isTarget = load.script === 'select' && !load.reconnect && load.clients === TARGET_CLIENTS;
    const reached = figures.get(gateway)!.toHaproxy.median;
    printBlock(
      `${TITLES[load.script]}${load.reconnect ? ' -C' : ''}, ${load.clients} client${load.clients === 1 ? '' : 's'}: ${
        load.reconnect ? 'connections' : 'transactions'
      } per second`,
      ['per second', '/ direct', ...(haproxy === undefined ? [] : ['/ HAProxy']), 'CPU of the proxy for one'],
      contestants.map((one) => {
        const { perSecond, toDirect, toHaproxy, transactions, cpuMs } = figures.get(one)!;
        return [
          one.name,
          Math.round(perSecond.median).toString(),
          ratio(toDirect.median),
          ...(haproxy === undefined ? [] : [ratio(toHaproxy.median)]),
          one.pid === undefined ? '' : `${((cpuMs / transactions) * 1000).toFixed(0)} us`,
        ];
      }),
      isTarget && haproxy !== undefined
        ? [[`gateway at least ${TARGET} of HAProxy`, reached >= TARGET, ratio(reached)]]
        : [],
    );
  }
} finally {
  await conmgr.stop('SIGKILL');
  await Promise.all(peers.map((peer) => peer.stop()));
  await redirect?.end();
  await watchdog.stop('SIGKILL');
  await server.end();
}
process.exit(0);
