/**
 * Restarts of a conmgr with many sessions of both kinds under load: how long the slowest exchange of a forwarded session took
 * while one process handed over to the next, and whether any session ended. Beside it, in the same run, exchanges of
 * sessions that are connected to the server directly.
 *
 * The server echoes what it is sent; each session asks as soon as it has been answered, so that all are busy all the time.
 * Aware sessions only stay: conmgr is not in their way.
 */
import { connect, type Socket } from 'node:net';
import type { ConmgrProcess } from '../test/support/conmgr-process.js';
import { exchange } from '../test/support/exchange.js';
import { longestPause, replaceMeasured } from '../test/support/measured-restart.js';
import { Pulse } from '../test/support/pulse.js';
import { startup } from '../test/support/raw-driver.js';
import { ScriptedSet } from '../test/support/scripted-set.js';
import { greeting, ScriptedSqlServer } from '../test/support/scripted-sql-server.js';
import { PRIMARY } from '../test/support/scripted-watchdog.js';
import { Attached } from './attached.js';
import { ms, printBlock, Samples } from './figures.js';

const SESSIONS = 1000;
const DIRECT = 10;
const ROUNDS = 5;
const QUESTION = Buffer.alloc(200, 'q');

// This process is busy with the sessions, and the watchdog is in it: it must not count as silent.
const settings = { log_min_messages: 'WARNING', heartbeat_timeout: '60s' };
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
const pulseOf = (socket: Socket): Pulse => new Pulse(() => exchange(socket, QUESTION, QUESTION.length));

const attached = await Attached.to(conmgr.port, SESSIONS, 'primary', 0);
let ended = 0;
for (const socket of attached.sockets) socket.once('close', () => (ended += 1));
const sockets = [await openedAll(SESSIONS, conmgr.port), await openedAll(DIRECT, server.port)] as const;
const [forwarded, direct] = sockets.map((some) => some.map(pulseOf)) as [Pulse[], Pulse[]];

const calm = { forwarded: new Samples(), direct: new Samples() };
const restart = { forwarded: new Samples(), direct: new Samples() };
/** By how much a pause was longer than a second and what the processes had waited for a processor. */
const beyond = new Samples();
const beaten = (): Promise<unknown> => {
  const counts = forwarded.map(({ count }) => count);
  return Promise.all(forwarded.map((pulse, at) => pulse.until(() => pulse.count > (counts[at] ?? 0) + 5)));
};
for (let round = 0; round <= ROUNDS; round += 1) {
  for (const [samples, act] of [
    [calm, async () => 0],
    [
      restart,
      async () => {
        const old = conmgr;
        const { next, allowedMs } = await replaceMeasured(old, () => old.replaced());
        conmgr = next;
        return allowedMs;
      },
    ],
  ] as const) {
    longestPause(forwarded);
    longestPause(direct);
    const allowedMs = await act();
    await beaten();
    const figures = [longestPause(forwarded), longestPause(direct)] as const;
    if (round === 0) continue;
    samples.forwarded.add(figures[0]);
    samples.direct.add(figures[1]);
    if (samples === restart) beyond.add(Math.max(0, figures[0] - allowedMs));
  }
}
const failed = [...forwarded, ...direct].filter(({ error }) => error !== undefined).length;
const lost = failed + ended;
await Promise.all([...forwarded, ...direct].map((pulse) => pulse.stop().catch(() => {})));
attached.detach();
await conmgr.stop('SIGKILL');
server.stop();
await set.end();

const range = (samples: Samples): string =>
  `${ms(samples.median)} (${ms(samples.min)} .. ${ms(samples.max)})`;
printBlock(
  `Restart with ${SESSIONS} aware and ${SESSIONS} forwarded sessions: the slowest exchange`,
  ['during a restart', 'otherwise'],
  [
    ['forwarded', range(restart.forwarded), range(calm.forwarded)],
    ['direct', range(restart.direct), range(calm.direct)],
  ],
  [
    ['no exchange takes a second, and what was waited for a processor', beyond.max === 0, ms(beyond.max)],
    ['no session ends', lost === 0, `${lost}`],
  ],
);
