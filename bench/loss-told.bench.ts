/**
 * From the death of a server to the moment its applications know, with one session and with many.
 *
 * Beside it, in the same run: the end of an idle SQL connection as the server itself tells it, which is all that an
 * application without conmgr has when a postmaster dies and which never comes when a host dies; and a program in
 * Node.js that does nothing but write the same bytes to as many sockets.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { encodeConmgrMessage } from '../src/core/protocol/first-phase.js';
import { ConmgrProcess } from '../test/support/conmgr-process.js';
import { freePort } from '../test/support/free-ports.js';
import { startPrimary } from '../test/support/postgres.js';
import { ScriptedSet } from '../test/support/scripted-set.js';
import { PRIMARY } from '../test/support/scripted-watchdog.js';
import { TestWatchdog } from '../test/support/watchdog.js';
import { Attached } from './attached.js';
import { cpuMs, ms, printBlock, Samples, shuffledRounds, times } from './figures.js';

const MANY = 5000;
const MOST = 10_000;
const ROUNDS = Number(process.env['BENCH_ROUNDS'] || 5);
const INTERVAL_MS = 200;
/** Long enough that a process which attaches ten thousand sessions still beats in time as their watchdog. */
const TIMEOUT_MS = 3000;

interface Told {
  readonly first: Samples;
  readonly last: Samples;
  /** CPU time of the teller, all rounds together: its clock is too coarse for one. */
  cpuMs: number;
}
const told = (): Told => ({ first: new Samples(), last: new Samples(), cpuMs: 0 });
const crash = { one: told(), many: told() };
const silence = { one: told(), many: told(), most: told() };
const writing = { many: told() };
const connectionEnd = new Samples();

// A crashed instance on a living host.

async function crashes(): Promise<void> {
  const server = await startPrimary();
  const watchdog = await TestWatchdog.start(server, { settings: { check_attr_interval: '1000' } });
  const conmgr = await ConmgrProcess.start({
    instances: [{ backendPort: server.port, watchdogPort: watchdog.port }],
    settings: { heartbeat_interval: '1s', heartbeat_timeout: '10s', log_min_messages: 'WARNING' },
  });
  try {
    const round = (count: number, samples: Told) => async (at: number) => {
      await conmgr.until('the instance is up', ({ primary }) => primary === 0);
      const attached = await Attached.to(conmgr.port, count, 'primary', 0);
      await conmgr.until('all are bound', ({ instances }) => instances[0]?.sessions === count);
      const session = await server.connect();
      const ended = new Promise<number>((resolve) => session.once('end', () => resolve(performance.now())));
      const news = attached.told();
      const before = cpuMs(conmgr.pid);
      const begun = performance.now();
      process.kill(server.pid, 'SIGKILL');
      const [{ firstAt, lastAt }, endedAt] = await Promise.all([news, ended]);
      if (at > 0) {
        samples.first.add(firstAt - begun);
        samples.last.add(lastAt - begun);
        samples.cpuMs += cpuMs(conmgr.pid) - before;
        connectionEnd.add(endedAt - begun);
      }
      attached.detach();
      await server.kill9();
      await server.start();
    };
    await shuffledRounds(ROUNDS, [round(1, crash.one), round(MANY, crash.many)]);
  } finally {
    await conmgr.stop('SIGKILL');
    await watchdog.stop('SIGKILL');
    await server.end();
  }
}

// A host that falls silent.

async function silences(): Promise<void> {
  const set = await ScriptedSet.start([PRIMARY], {
    settings: {
      heartbeat_interval: `${INTERVAL_MS}ms`,
      heartbeat_timeout: `${TIMEOUT_MS}ms`,
      log_min_messages: 'WARNING',
    },
  });
  const { conmgr } = set;
  try {
    const round = (count: number, samples: Told) => async (at: number) => {
      await conmgr.until('the instance is up', ({ primary }) => primary === 0);
      const attached = await Attached.to(conmgr.port, count, 'primary', 0);
      await conmgr.until('all are bound', ({ instances }) => instances[0]?.sessions === count);
      const link = set.watchdog(0).link;
      const news = attached.told();
      const before = cpuMs(conmgr.pid);
      link.beat();
      const lastPacketAt = performance.now();
      link.silence();
      const { firstAt, lastAt } = await news;
      if (at > 0) {
        samples.first.add(firstAt - lastPacketAt - TIMEOUT_MS);
        samples.last.add(lastAt - lastPacketAt - TIMEOUT_MS);
        samples.cpuMs += cpuMs(conmgr.pid) - before;
      }
      attached.detach();
    };
    await shuffledRounds(ROUNDS, [
      round(1, silence.one),
      round(MANY, silence.many),
      round(MOST, silence.most),
    ]);
  } finally {
    await set.end();
  }
}

// As many bytes to as many sockets, and nothing else.

async function bareWrites(): Promise<void> {
  const bytes = encodeConmgrMessage({
    kind: 'down',
    view: 1,
    instance: 0,
    action: 'drop',
    reason: 'instance down',
    text: 'postmaster (PID 4711) is gone',
  });
  const port = await freePort();
  const writer = spawn(
    process.execPath,
    [
      '-e',
      `const sockets = []; const bytes = Buffer.from('${bytes.toString('hex')}', 'hex');
       require('node:net').createServer((socket) => {
         socket.setNoDelay(true).on('error', () => {});
         if (sockets.push(socket) === ${MANY}) process.send('all are here');
       }).listen({ port: ${port}, host: '127.0.0.1', backlog: 4096 }, () => console.log('listening'));
       process.on('message', () => { for (const socket of sockets) socket.write(bytes); });`,
    ],
    { stdio: ['ignore', 'pipe', 'inherit', 'ipc'] },
  );
  await once(writer.stdout!, 'data');
  const sockets: Socket[] = [];
  const accepted = once(writer, 'message');
  while (sockets.length < MANY) {
    const batch = Array.from({ length: 100 }, () => connect(port, '127.0.0.1').on('error', () => {}));
    await Promise.all(batch.map((socket) => once(socket, 'connect')));
    sockets.push(...batch);
  }
  await accepted;
  for (let at = 0; at <= ROUNDS; at += 1) {
    const before = cpuMs(writer.pid ?? 0);
    const begun = performance.now();
    let firstAt = Number.NaN;
    let left = sockets.length;
    const all = new Promise<void>((resolve) => {
      for (const socket of sockets) {
        socket.once('data', () => {
          if (left === sockets.length) firstAt = performance.now();
          left -= 1;
          if (left === 0) resolve();
        });
      }
    });
    writer.send('write');
    await all;
    if (at > 0) {
      writing.many.first.add(firstAt - begun);
      writing.many.last.add(performance.now() - begun);
      writing.many.cpuMs += cpuMs(writer.pid ?? 0) - before;
    }
  }
  writer.kill('SIGKILL');
  for (const socket of sockets) socket.destroy();
}

await crashes();
await silences();
await bareWrites();

const row = (name: string, { first, last }: Told, ratio: string): string[] => [
  name,
  `${ms(first.median)} (${ms(first.min)} .. ${ms(first.max)})`,
  `${ms(last.median)} (${ms(last.min)} .. ${ms(last.max)})`,
  ratio,
];
const spreadMs = ({ first, last }: Told): number => last.median - first.median;
printBlock(
  'A killed postmaster on a living host: from the kill to the application',
  ['first told', 'last told', 'first / connection end'],
  [
    row('1 session', crash.one, times(crash.one.first.median / connectionEnd.median)),
    row(`${MANY} sessions`, crash.many, times(crash.many.first.median / connectionEnd.median)),
    ['idle SQL connection ended by the server', ms(connectionEnd.median), '', times(1)],
  ],
  [['told within 100 ms', crash.one.last.median <= 100, ms(crash.one.last.median)]],
);
printBlock(
  `A silent host: later than heartbeat_timeout (${TIMEOUT_MS} ms) after the last packet`,
  ['first told', 'last told', 'last / first'],
  [
    row('1 session', silence.one, ''),
    row(`${MANY} sessions`, silence.many, ''),
    row(`${MOST} sessions`, silence.most, ''),
    ['SQL connection without conmgr', 'minutes to hours', '', ''],
  ],
  [[`${MOST} sessions within 500 ms`, silence.most.last.median <= 500, ms(silence.most.last.median)]],
);
const telling = (name: string, one: Told): string[] => [
  name,
  ms(spreadMs(one)),
  times(spreadMs(one) / spreadMs(writing.many)),
  ms(one.cpuMs / ROUNDS),
  times(one.cpuMs / writing.many.cpuMs),
];
const slowest = Math.max(spreadMs(crash.many), spreadMs(silence.many));
printBlock(
  `Telling ${MANY} sessions, from the first to the last`,
  ['median', '/ bare', 'CPU time of the teller', '/ bare'],
  [
    telling('conmgr, a killed postmaster', crash.many),
    telling('conmgr, a silent host', silence.many),
    telling(`conmgr, a silent host, ${MOST} sessions`, silence.most),
    telling('bare Node.js, the same bytes to as many sockets', writing.many),
  ],
  [[`${MANY} sessions within 100 ms`, slowest <= 100, ms(slowest)]],
);
process.exit(0);
