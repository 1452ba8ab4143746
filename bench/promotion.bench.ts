/**
 * From the return of pg_promote() to the moment applications know the new primary: with the file events of the
 * watchdog, and without them, by its regular look at the instance alone.
 *
 * Beside it, in the same run: an application that tries the hosts of its list one after the other until one of them
 * takes writes, as a driver with several hosts does, and pauses between two walks.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { ConmgrProcess } from '../test/support/conmgr-process.js';
import { FirstPhaseClient } from '../test/support/first-phase-client.js';
import { type Server, startPair } from '../test/support/postgres.js';
import { temporaryDirectory } from '../test/support/tree.js';
import { TestWatchdog } from '../test/support/watchdog.js';
import { ms, printBlock, Samples, shuffledRounds } from './figures.js';

const ROUNDS = 7;
const CHECK_INTERVAL_MS = 1000;
const WALK_PAUSES_MS = [100, 1000] as const;

/** Takes the file events away from a watchdog, below it. */
const withoutFileEvents = join(temporaryDirectory(), 'no-watch.cjs');
writeFileSync(
  withoutFileEvents,
  "require('node:fs').watch = () => { throw new Error('no watches left'); };\n",
);

type Servers = readonly [primary: Server, standby: Server];

/** A pair of its own for each promotion; returns how long after pg_promote() had returned the new primary was known. */
async function promotion(
  prepare: (
    servers: Servers,
  ) => Promise<{ readonly wait: () => Promise<number>; readonly end: () => Promise<unknown> }>,
): Promise<number> {
  const pair = await startPair({ listen: ['127.0.0.1', '127.0.0.2'] });
  try {
    const { wait, end } = await prepare([pair.primary, pair.standby]);
    try {
      await pair.primary.stop('immediate');
      const session = await pair.standby.connect({ host: pair.standby.socketDir });
      const seen = wait();
      // Awaited below; until then an error of something else comes first.
      seen.catch(() => {});
      await session.query('select pg_promote(true, 60)');
      const returnedAt = performance.now();
      const seenAt = await seen;
      await session.end();
      return seenAt - returnedAt;
    } finally {
      await end();
    }
  } finally {
    await pair.end();
  }
}

const seenByConmgr = (env?: NodeJS.ProcessEnv) => async (servers: Servers) => {
  const settings = { check_attr_interval: String(CHECK_INTERVAL_MS) };
  const watchdogs = await Promise.all(
    servers.map((server) => TestWatchdog.start(server, env === undefined ? { settings } : { settings, env })),
  );
  const conmgr = await ConmgrProcess.start({
    instances: servers.map(({ host, port }, at) => ({
      host,
      backendPort: port,
      watchdogPort: watchdogs[at]!.port,
    })),
    settings: {
      heartbeat_interval: '1s',
      heartbeat_timeout: '10s',
      resolve_wait: '60s',
      log_min_messages: 'WARNING',
    },
  });
  await conmgr.linked();
  return {
    wait: async () => {
      // Waits in conmgr until there is a primary; it is answered the moment conmgr knows one.
      await conmgr.until('there is no primary', ({ primary }) => primary === null);
      const app = FirstPhaseClient.start(conmgr.port, { target: 'read-write' });
      const { candidates, atMs } = await app.next('candidates', 60_000);
      if (candidates[0]?.instance !== 1) throw new Error('conmgr offers the wrong instance');
      app.leave();
      return atMs;
    },
    end: () => Promise.all([conmgr, ...watchdogs].map((one) => one.stop('SIGKILL'))),
  };
};

/** An application with a list of hosts and no help. */
async function walk(servers: Servers, pauseMs: number): Promise<number> {
  for (;;) {
    for (const { host, port } of servers) {
      const client = new pg.Client({ host, port, user: 'postgres', database: 'postgres' });
      client.on('error', () => {});
      try {
        await client.connect();
        const { rows } = await client.query<{ transaction_read_only: string }>('show transaction_read_only');
        if (rows[0]?.transaction_read_only === 'off') return performance.now();
      } catch {
        // The next host.
      } finally {
        await client.end().catch(() => {});
      }
    }
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
  }
}

const [withEvents, without] = [new Samples(), new Samples()];
const walking = WALK_PAUSES_MS.map((pauseMs) => ({ pauseMs, samples: new Samples() }));
const contestant =
  (samples: Samples, prepare: Parameters<typeof promotion>[0]) =>
  async (round: number): Promise<void> => {
    const took = await promotion(prepare);
    if (round > 0) samples.add(took);
  };
await shuffledRounds(ROUNDS, [
  contestant(withEvents, seenByConmgr()),
  contestant(without, seenByConmgr({ NODE_OPTIONS: `--require=${withoutFileEvents}` })),
  ...walking.map(({ pauseMs, samples }) =>
    contestant(samples, async (servers) => ({ wait: () => walk(servers, pauseMs), end: async () => {} })),
  ),
]);

const slowWalk = walking.at(-1)!;
const row = (name: string, samples: Samples): string[] => [
  name,
  ms(samples.median),
  ms(samples.min),
  ms(samples.max),
  ms(slowWalk.samples.median - samples.median),
];
printBlock(
  `A promotion: from the return of pg_promote() to the knowledge of the new primary (below 0: known before it returns)`,
  ['median', 'least', 'most', `sooner than a walk every ${slowWalk.pauseMs} ms`],
  [
    row('conmgr, file events', withEvents),
    row(`conmgr, no file events, check_attr_interval ${CHECK_INTERVAL_MS} ms`, without),
    ...walking.map(({ pauseMs, samples }) => row(`a walk over the hosts every ${pauseMs} ms`, samples)),
  ],
  [
    ['with file events within 50 ms', withEvents.median <= 50, ms(withEvents.median)],
    [
      'without them within check_attr_interval + 50 ms',
      without.max <= CHECK_INTERVAL_MS + 50,
      `at most ${ms(without.max)}`,
    ],
  ],
);
process.exit(0);
