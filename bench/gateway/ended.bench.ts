/**
 * A lost server with 5,000 sessions: how long it takes until the last of their sockets has been ended, by the guard
 * (conmgr-helper, in the kernel) and by the gateway (conmgr resets both ends of each).
 *
 * Beside them, in the same run: a program in Node.js that does nothing but reset as many sockets. The applications'
 * sockets are all held by one other process, which only waits for them.
 *
 * The guard needs root, who runs all of it in a network namespace of its own.
 */
import { callHelper } from '../../test/kernel/caller.js';
import { setUpNetwork, socketPath, startHelper, targetLists } from '../../test/kernel/place.js';
import { ConmgrProcess } from '../../test/support/conmgr-process.js';
import { freePort } from '../../test/support/free-ports.js';
import { asServer, giveToServers } from '../../test/support/postgres-account.js';
import { startup } from '../../test/support/raw-driver.js';
import { type Running, startCommand } from '../../test/support/running.js';
import { greeting } from '../../test/support/scripted-sql-server.js';
import { PRIMARY, ScriptedWatchdog } from '../../test/support/scripted-watchdog.js';
import { inTree, temporaryDirectory } from '../../test/support/tree.js';
import { cpuMs, ms, printBlock, Samples, shuffledRounds, times } from '../figures.js';

const MANY = 5000;
const ROUNDS = Number(process.env['BENCH_ROUNDS'] || 7);
const TARGET_MS = 150;

/** Answers the first bytes of each connection with a greeting; resets all of them when told so on its input. */
const SERVER = `
  const [port, greeting] = [Number(process.argv[1]), Buffer.from(process.argv[2], 'hex')];
  const sockets = new Set();
  require('node:net').createServer({ noDelay: true }, (socket) => {
    sockets.add(socket);
    socket.once('data', () => socket.write(greeting));
    socket.on('error', () => {}).on('close', () => sockets.delete(socket));
  }).listen({ port, host: '127.0.0.1', backlog: 4096 }, () => console.log('listening'));
  process.stdin.on('data', () => { for (const socket of sockets) socket.resetAndDestroy(); });`;

const GREETING = greeting(Buffer.from('0000000101020304', 'hex'));

async function startServer(port: number): Promise<Running> {
  const server = startCommand(process.execPath, ['-e', SERVER, String(port), GREETING.toString('hex')]);
  await server.waitForLine(/^listening$/);
  return server;
}

interface Figures {
  readonly name: string;
  readonly first: Samples;
  readonly last: Samples;
  /** Of the program that ends them. */
  cpuMs: number;
}

const figures = (name: string): Figures => ({ name, first: new Samples(), last: new Samples(), cpuMs: 0 });
const guard = figures('guard, conmgr-helper');
const helperAnswer = new Samples();
const gateway = figures('gateway, from the news of its watchdog');
const bare = figures('bare Node.js that resets as many sockets');

async function measure(
  of: Figures,
  round: number,
  port: number,
  pid: number,
  end: () => unknown,
): Promise<void> {
  const args = [inTree('bench/gateway/holder.py'), String(port), String(MANY), startup().toString('hex')];
  const holder = startCommand('python3', args);
  await holder.waitForLine(/^served$/, { timeoutMs: 60_000 });
  const before = cpuMs(pid);
  const begun = process.hrtime.bigint();
  await end();
  const [, first = '', last = ''] = await holder.waitForLine(/^ended (\d+) (\d+)$/);
  await holder.done;
  if (round === 0) return;
  const since = (at: string): number => Number(BigInt(at) - begun) / 1e6;
  of.first.add(since(first));
  of.last.add(since(last));
  of.cpuMs += cpuMs(pid) - before;
}

const isRoot = process.getuid?.() === 0;
if (isRoot) setUpNetwork();
const port = await freePort();
const server = await startServer(port);

async function startGuard() {
  const socket = socketPath();
  const lists = targetLists(`user 0\ntarget 127.0.0.1 ${port}\n`);
  const helper = startHelper(['--socket', socket, '--targets', lists, '--pins', temporaryDirectory()]);
  return { helper, caller: await callHelper(socket) };
}

const kernel = isRoot ? await startGuard() : undefined;
if (kernel === undefined) console.log('the guard is not measured: it needs root');

const watchdog = await ScriptedWatchdog.start({ attributes: PRIMARY });
const directory = temporaryDirectory('cm-');
giveToServers(directory);
const conmgr = await ConmgrProcess.start({
  directory,
  within: asServer(),
  instances: [{ backendPort: port, watchdogPort: watchdog.port }],
  settings: {
    heartbeat_interval: '1s',
    heartbeat_timeout: '10s',
    max_connections: MANY + 100,
    log_min_messages: 'WARNING',
  },
});
await conmgr.linked();

try {
  await shuffledRounds(ROUNDS, [
    ...(kernel === undefined
      ? []
      : [
          (round: number) =>
            measure(guard, round, port, kernel.helper.pid, async () => {
              const begun = performance.now();
              await kernel.caller.ask({ do: 'kill', target: ['127.0.0.1', port] });
              if (round > 0) helperAnswer.add(performance.now() - begun);
            }),
        ]),
    async (round) => {
      await conmgr.untilInstance(0, 'serves', ({ state }) => state === 'up');
      await measure(gateway, round, conmgr.port, conmgr.pid, () => watchdog.tell({ state: 'down' }));
      watchdog.tell(PRIMARY);
    },
    (round) => measure(bare, round, port, server.pid, () => server.stdin.write('reset\n')),
  ]);
} finally {
  await conmgr.stop('SIGKILL');
  await watchdog.stop();
  kernel?.caller.close();
  kernel?.helper.kill('SIGKILL');
  await server.stop('SIGKILL');
}

const spread = (samples: Samples): string =>
  `${ms(samples.median)} (${ms(samples.min)} .. ${ms(samples.max)})`;
printBlock(
  `A lost server with ${MANY} sessions: until their applications know`,
  ['first', 'last', 'last / bare', 'CPU time of the program'],
  [guard, gateway, bare]
    .filter(({ last }) => last.count > 0)
    .map(({ name, first, last, cpuMs: used }) => [
      name,
      spread(first),
      spread(last),
      times(last.median / bare.last.median),
      ms(used / ROUNDS),
    ]),
  [
    ...(kernel === undefined
      ? []
      : ([
          [
            `${MANY} sockets ended by the guard within ${TARGET_MS} ms`,
            guard.last.median <= TARGET_MS,
            ms(guard.last.median),
          ],
        ] as const)),
    [
      `${MANY} sessions ended by the gateway within ${TARGET_MS} ms`,
      gateway.last.median <= TARGET_MS,
      ms(gateway.last.median),
    ],
  ],
);
if (helperAnswer.count > 0) console.log(`  conmgr-helper answered after ${spread(helperAnswer)}`);
process.exit(0);
