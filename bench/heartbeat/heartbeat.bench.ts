/**
 * What a watchdog costs with 100, 1,000 and 10,000 conmgrs that beat every 10 s: processor, resident memory for each link, how
 * late its beats are, packets.
 *
 * Beside it, in the same run: a program in Node.js that does nothing but hear from as many and write to each; and the packets of
 * TCP keepalive for SQL connections, counted with 100 of them.
 *
 * Links come on top of those that are there, so that what the last 9,900 add is what a link costs. It is measured when each link
 * has had the BEATs after which its loss counts: until then the watchdog has more to write.
 */
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { descriptorLimit } from '../../src/io/limits.js';
import { setUpNetwork } from '../../test/drivers/harness/network.js';
import { type Server, startPrimary } from '../../test/support/postgres.js';
import { TestWatchdog } from '../../test/support/watchdog.js';
import { cpuShares, ms, printBlock, residentMb, Samples, times } from '../figures.js';
import { beCrowdIfAsked, Crowd } from './crowd.js';
import { Hub } from './hub.js';

await beCrowdIfAsked();
if (process.getuid?.() === 0) setUpNetwork();

const INTERVAL_MS = 10_000;
/** Making ten thousand links may take a busy machine longer than the default, and no link beats before all are made. */
const TIMEOUT_MS = 60_000;
/** A BEAT of each link, against which the lateness of the next is measured. */
const SETTLE_MS = 12_000;
/** Three BEATs of ten thousand links, and what the watchdog writes after them. */
const LONG_SETTLE_MS = 36_000;
const WINDOW_MS = 20_000;
const COUNTS = [100, 1000, 10_000];
const MOST = COUNTS.at(-1)!;
const KEEPALIVES = 100;
const KEEPALIVE_MS = 1000;

interface Cost {
  readonly count: number;
  /** Percent of a core. */
  readonly cpu: number;
  /** Of it, in the kernel: what it takes to receive and send so many packets, and to wait for them. */
  readonly kernel: number;
  readonly memory: number;
  readonly late: Samples;
  readonly packetsPerSecond: number;
}

/** Segments that this network namespace has sent, both ends of its connections together (RFC 4022, tcpOutSegs). */
function segments(): number {
  const [names = '', values = ''] = readFileSync('/proc/net/snmp', 'latin1')
    .split('\n')
    .filter((line) => line.startsWith('Tcp:'));
  return Number(values.split(' ')[names.split(' ').indexOf('OutSegs')]);
}

async function measure(
  name: string,
  { pid, port }: { readonly pid: number; readonly port: number },
  longestSettleMs: number,
): Promise<readonly Cost[]> {
  const crowds: Crowd[] = [];
  const costs: Cost[] = [];
  let first = 0;
  for (const count of COUNTS) {
    const options = { port, first, count: count - first, intervalMs: INTERVAL_MS, timeoutMs: TIMEOUT_MS };
    crowds.push(await Crowd.start(options));
    first = count;
    await delay(count === MOST ? longestSettleMs : SETTLE_MS);
    for (const crowd of crowds) crowd.begin();
    const [before, sent, begun] = [cpuShares(pid), segments(), performance.now()];
    await delay(WINDOW_MS);
    const spanMs = performance.now() - begun;
    const after = cpuShares(pid);
    const kernel = ((after.kernel - before.kernel) / spanMs) * 100;
    const cpu = kernel + ((after.own - before.own) / spanMs) * 100;
    const packetsPerSecond = ((segments() - sent) / spanMs) * 1000;
    const late = new Samples();
    for (const crowd of crowds) {
      const heard = await crowd.heard();
      if (heard.lost > 0) throw new Error(`${heard.lost} links of ${name} were lost`);
      late.add(...heard.lateness);
    }
    costs.push({ count, cpu, kernel, memory: residentMb(pid), late, packetsPerSecond });
  }
  await Promise.all(crowds.map((crowd) => crowd.end()));
  return costs;
}

/** Packets a second for each idle SQL connection, at a keepalive every 10 s. */
async function keepalivePackets(server: Server): Promise<number> {
  const clients = Array.from(
    { length: KEEPALIVES },
    () =>
      new pg.Client({
        host: server.host,
        port: server.port,
        user: 'postgres',
        database: 'postgres',
        keepAlive: true,
        keepAliveInitialDelayMillis: KEEPALIVE_MS,
      }),
  );
  await Promise.all(clients.map((client) => client.connect()));
  await delay(2 * KEEPALIVE_MS);
  const [sent, begun] = [segments(), performance.now()];
  await delay(10 * KEEPALIVE_MS);
  const perSecond = ((segments() - sent) / (performance.now() - begun)) * 1000;
  await Promise.all(clients.map((client) => client.end()));
  return (perSecond / KEEPALIVES) * (KEEPALIVE_MS / INTERVAL_MS);
}

const descriptors = descriptorLimit().hard;
if (descriptors < MOST + 200) {
  console.log(
    `heartbeat links are not measured: ${MOST + 200} open files are needed, ${descriptors} are allowed`,
  );
  process.exit(0);
}

const server = await startPrimary({ settings: { max_connections: String(KEEPALIVES + 20) } });
const perConnection = await keepalivePackets(server);
const watchdog = await TestWatchdog.start(server, {
  settings: {
    max_heartbeat_connections: String(MOST + 50),
    log_min_messages: 'LOG',
    check_attr_interval: '1000',
  },
});
const ours = await measure(
  'the watchdog',
  { pid: watchdog.running.pid, port: watchdog.port },
  LONG_SETTLE_MS,
);
// Ten thousand lost conmgrs are work that is not the peer's.
await watchdog.stop('SIGKILL');
await server.end();
const hub = await Hub.start(INTERVAL_MS);
const bare = await measure('the bare program', hub, SETTLE_MS);
await hub.end();

/** Octets for each link, of those that came after the first hundred. */
const perLink = (costs: readonly Cost[]): number => {
  const [few, many] = [costs[0]!, costs.at(-1)!];
  return ((many.memory - few.memory) * 1e6) / (many.count - few.count);
};
const percent = (value: number): string => `${value.toFixed(2)} %`;
const rowsOf = (name: string, costs: readonly Cost[]): string[][] =>
  costs.map(({ count, cpu, kernel, memory, late, packetsPerSecond }, at) => [
    `${name}, ${count} links`,
    percent(cpu),
    percent(kernel),
    times(cpu / bare[at]!.cpu),
    `${memory.toFixed(1)} MB`,
    at === costs.length - 1 ? `${perLink(costs).toFixed(0)} octets` : '',
    ms(late.median),
    ms(late.p99),
    packetsPerSecond.toFixed(0),
    (count * perConnection).toFixed(0),
  ]);
const most = ours.at(-1)!;
printBlock(
  'Heartbeat links of one watchdog, heartbeat_interval 10 s',
  [
    'CPU of a core',
    'of it the kernel',
    '/ bare',
    'resident memory',
    'for each link',
    'late, median',
    'late, 99 %',
    'packets/s',
    'packets/s of keepalive',
  ],
  [...rowsOf('watchdog', ours), ...rowsOf('bare Node.js', bare)],
  [
    [`${MOST} links under 5 % of a core`, most.cpu < 5, percent(most.cpu)],
    ['under 4,096 octets for each link', perLink(ours) < 4096, `${perLink(ours).toFixed(0)} octets`],
    ['99 % of the beats within 10 ms', most.late.p99 < 10, ms(most.late.p99)],
  ],
  {
    'watchdog CPU': ours.map(({ count, cpu }) => [count, cpu] as const),
    'bare CPU': bare.map(({ count, cpu }) => [count, cpu] as const),
    'kernel CPU': bare.map(({ count, kernel }) => [count, kernel] as const),
  },
);
process.exit(0);
