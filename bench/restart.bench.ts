/**
 * Restarts of a conmgr with many sessions of both kinds under load, without a service manager: how long the slowest exchange of a
 * forwarded session took while one process handed over to the next, whether any session ended, and where the time went: when
 * each step was reached in either process, and what processor time it took. Beside it, in the same run, exchanges of sessions that
 * are connected to the server directly.
 *
 * The server echoes what it is sent. The sessions ask as applications do that think in between; in a second part each asks as soon
 * as it has been answered, so that the processors have no time left: what that row says is how they are shared, so it
 * has no target. Aware sessions only stay: conmgr is not in their way.
 */
import { connect, type Socket } from 'node:net';
import type { ConmgrProcess } from '../test/support/conmgr-process.js';
import { exchange } from '../test/support/exchange.js';
import { longestPause } from '../test/support/measured-restart.js';
import { Pulse } from '../test/support/pulse.js';
import { startup } from '../test/support/raw-driver.js';
import { ScriptedSet } from '../test/support/scripted-set.js';
import { greeting, ScriptedSqlServer } from '../test/support/scripted-sql-server.js';
import { PRIMARY } from '../test/support/scripted-watchdog.js';
import { Attached } from './attached.js';
import { ms, printBlock, Samples } from './figures.js';
import { HandOverSteps } from './hand-over-steps.js';

const SESSIONS = 1000;
const DIRECT = 10;
const ROUNDS = 5;
/** Between an answer and the next question, in the mean. */
const THINKING_MS = 250;
/** docs/client.md: the longest that an application may wait for a restart of conmgr. */
const LONGEST_PAUSE_MS = 1000;
const QUESTION = Buffer.alloc(200, 'q');

// This process is busy with the sessions, and the watchdog is in it: it must not count as silent.
const settings = { log_min_messages: 'WARNING', heartbeat_timeout: '60s' };
const steps = new HandOverSteps();
Object.assign(process.env, steps.env);
const set = await ScriptedSet.start([PRIMARY], { settings });
const server = await ScriptedSqlServer.start(set.lines[0]?.backendPort ?? 0);
let conmgr: ConmgrProcess = set.conmgr;

async function opened(port: number): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true }).on('error', () => {});
  const count = server.ends.length;
  await exchange(socket, startup(), greeting(server.key).length);
  const { socket: end } = await server.end(count + 1);
  end.on('data', (chunk: Buffer) => end.write(chunk));
  return socket;
}

async function openedAll(count: number, port: number): Promise<Socket[]> {
  const sockets: Socket[] = [];
  while (sockets.length < count) sockets.push(await opened(port));
  return sockets;
}

const attached = await Attached.to(conmgr.port, SESSIONS, 'primary', 0);
let ended = 0;
for (const socket of attached.sockets) socket.once('close', () => (ended += 1));
const sockets = [await openedAll(SESSIONS, conmgr.port), await openedAll(DIRECT, server.port)] as const;

/** The slowest exchange of each round. */
interface Slowest {
  readonly forwarded: Samples;
  readonly direct: Samples;
}

async function measure(thinkingMs: number): Promise<{ readonly calm: Slowest; readonly restart: Slowest }> {
  const pulseOf = (socket: Socket): Pulse =>
    new Pulse(() => exchange(socket, QUESTION, QUESTION.length), thinkingMs);
  const [forwarded, direct] = sockets.map((some) => some.map(pulseOf)) as [Pulse[], Pulse[]];
  const beaten = (): Promise<unknown> => {
    const counts = forwarded.map(({ count }) => count);
    return Promise.all(forwarded.map((pulse, at) => pulse.until(() => pulse.count > (counts[at] ?? 0) + 5)));
  };
  const calm = { forwarded: new Samples(), direct: new Samples() };
  const restart = { forwarded: new Samples(), direct: new Samples() };
  await beaten();
  for (let round = 0; round <= ROUNDS; round += 1) {
    for (const slowest of [calm, restart]) {
      longestPause(forwarded);
      longestPause(direct);
      if (slowest === restart) {
        conmgr = await conmgr.replaced();
        steps.note(round > 0 && thinkingMs > 0);
      }
      await beaten();
      const figures = [longestPause(forwarded), longestPause(direct)] as const;
      if (round === 0) continue;
      slowest.forwarded.add(figures[0]);
      slowest.direct.add(figures[1]);
    }
  }
  ended += [...forwarded, ...direct].filter(({ error }) => error !== undefined).length;
  await Promise.all([...forwarded, ...direct].map((pulse) => pulse.stop().catch(() => {})));
  return { calm, restart };
}
const thinking = await measure(THINKING_MS);
const busy = await measure(0);
const lost = ended;
attached.detach();
await conmgr.stop('SIGKILL');
server.stop();
await set.end();

const range = (samples: Samples): string =>
  `${ms(samples.median)} (${ms(samples.min)} .. ${ms(samples.max)})`;
const row = (what: string, { calm, restart }: typeof thinking, kind: keyof Slowest): string[] => [
  what,
  range(restart[kind]),
  range(calm[kind]),
];
printBlock(
  `Restart with ${SESSIONS} aware and ${SESSIONS} forwarded sessions: the slowest exchange`,
  ['during a restart', 'otherwise'],
  [
    row(`forwarded, asking every ${THINKING_MS} ms`, thinking, 'forwarded'),
    row('direct, the same', thinking, 'direct'),
    row('forwarded, asking all the time', busy, 'forwarded'),
    row('direct, the same', busy, 'direct'),
  ],
  [
    [
      `no exchange takes ${LONGEST_PAUSE_MS} ms where sessions ask every ${THINKING_MS} ms`,
      thinking.restart.forwarded.max < LONGEST_PAUSE_MS,
      ms(thinking.restart.forwarded.max),
    ],
    ['no session ends', lost === 0, `${lost}`],
  ],
);
printBlock(
  `Steps of a restart with sessions that ask every ${THINKING_MS} ms`,
  ['reached after', 'processor time', 'waited for one'],
  steps.rows(),
);
