/**
 * `make demo`: a primary dies, twice. One application writes through conmgr, another probes a host list, and both are
 * shown side by side.
 *
 * Runs below test/runner/main.ts, which gives it an unprivileged user and a directory of its own, and which ends every
 * process and removes every file when this process is gone, however it ends.
 */
import type { WriteStream } from 'node:tty';
import { type Cluster, serverOn, startConmgr, startDatabaseHosts } from './cluster.js';
import { now } from './history.js';
import { HostList } from './host-list.js';
import { introduce } from './introduction.js';
import { stayUp } from './keep.js';
import { openPool } from './pool.js';
import { Reader } from './reader.js';
import { comeBack, crash, silentDeath } from './scenes.js';
import { Screen } from './screen.js';
import { Stage } from './stage.js';
import { WRITER } from './status.js';
import { printSummary, shortcomings } from './summary.js';
import { Writer } from './writer.js';

/** The demo ends within a minute, come what may. */
const LIMIT_MS = 58_000;
const KEEP = !['', '0', undefined].includes(process.env['KEEP']);

const screen = new Screen(process.stdout as WriteStream, process.env);
let cluster: Cluster | undefined;

function end(status: number, ...lines: readonly string[]): never {
  screen.still();
  for (const line of lines) screen.line(line);
  process.exit(status);
}

for (const [signal, status] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
  ['SIGHUP', 129],
] as const) {
  process.on(signal, () => end(status, `${signal}: ending everything`));
}

function fail(reason: string): never {
  const logs = [
    ...(cluster?.hosts.map((host) => [`watchdog of ${host.name}`, host.watchdogLog] as const) ?? []),
    ['conmgr', cluster?.conmgr.stderr ?? ''] as const,
  ];
  const said = logs.flatMap(([name, log]) =>
    log === '' ? [] : [`${name} wrote:`, ...log.trimEnd().split('\n').slice(-8)],
  );
  end(1, '', screen.paint.red(`The demo failed: ${reason}`), ...said);
}

async function main(): Promise<void> {
  const limit = setTimeout(() => fail(`it was not done within ${LIMIT_MS / 1000} s`), LIMIT_MS);
  const began = now();
  const { bold, dim, green } = screen.paint;
  screen.line(bold('conmgr demo: the primary dies. When do rows go in again? Is one of them lost?'));
  screen.line(dim('starting two PostgreSQL servers, their watchdogs and a conmgr ...'));
  const hosts = await startDatabaseHosts();
  cluster = await startConmgr(hosts);
  const [db1, db2] = hosts;
  introduce(screen, cluster);

  const onPort = { port: cluster.port, serverOn: (one: number) => serverOn(hosts, one) };
  const writer = new Writer(
    'conmgr',
    await openPool({ ...onPort, target: 'read-write', application: WRITER }),
  );
  // A new session now and then, so that it returns to a standby once there is one again.
  const reads = await openPool({
    ...onPort,
    target: 'prefer-standby',
    application: 'demo reader',
    maxUses: 20,
  });
  const listed = hosts.map(({ name, server }) => ({ name, host: server.host, port: server.port }));
  const hostList = new Writer('host list', new HostList(listed));
  const stage = new Stage(screen, cluster, writer, hostList, new Reader(reads, writer.name));
  for (const application of [stage.conmgr, stage.hostList, stage.reader]) void application.run();

  const first = await silentDeath(stage);
  await comeBack(stage, db1, db2);
  const results = [first, await crash(stage)];
  clearTimeout(limit);
  screen.still();
  printSummary(stage, results);
  const problems = shortcomings(results);
  if (problems.length > 0) fail(problems.join('\n'));
  screen.line(green(`No acknowledged row was lost. Done in ${((now() - began) / 1000).toFixed(0)} s.`));
  if (KEEP) await stayUp(stage);
  end(0);
}

try {
  await main();
} catch (error) {
  fail(error instanceof Error ? error.message : String(error));
}
