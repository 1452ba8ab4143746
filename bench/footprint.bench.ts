/**
 * What conmgr costs the application host: memory and CPU time at rest with three instances, memory with 10,000
 * attached applications, and how long a start takes.
 *
 * Beside it, in the same run: a Node.js process with nothing but a timer, which is what the runtime alone costs.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { conmgrConf, launchConmgr } from '../test/support/conmgr-process.js';
import { DatagramReceiver } from '../test/support/datagram-receiver.js';
import { freePort } from '../test/support/free-ports.js';
import { ScriptedSet } from '../test/support/scripted-set.js';
import { PRIMARY, STANDBY } from '../test/support/scripted-watchdog.js';
import { temporaryDirectory } from '../test/support/tree.js';
import { Attached } from './attached.js';
import { cpuMs, mb, ms, printBlock, residentMb, Samples, shuffledRounds, times } from './figures.js';

const REST_MS = 30_000;
const MANY = 10_000;
const STARTS = 15;

const percent = (usedMs: number, spanMs: number): number => (usedMs / spanMs) * 100;
const share = (value: number): string => `${value.toFixed(2)} % of a core`;

interface Cost {
  readonly memory: number;
  readonly cpu: number;
}

/** What a process costs over a while in which nothing happens. */
async function atRest(pid: number, restMs: number): Promise<Cost> {
  const before = cpuMs(pid);
  const begun = performance.now();
  await delay(restMs);
  return { cpu: percent(cpuMs(pid) - before, performance.now() - begun), memory: residentMb(pid) };
}

async function bareProcess(): Promise<ChildProcess> {
  const bare = spawn(process.execPath, ['-e', "setInterval(() => {}, 1000); console.log('ready');"], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(bare.stdout, 'data');
  return bare;
}

/** Starts conmgr and returns how long it took to READY=1. */
async function startUp(): Promise<number> {
  const directory = temporaryDirectory();
  const instances = await Promise.all(
    [0, 1, 2].map(async () => ({ backendPort: await freePort(), watchdogPort: await freePort() })),
  );
  writeFileSync(join(directory, 'conmgr.conf'), conmgrConf(instances, { port: await freePort() }));
  const path = join(directory, 'notify');
  const systemd = new DatagramReceiver(path);
  const begun = performance.now();
  const running = launchConmgr(directory, { env: { NOTIFY_SOCKET: path } });
  while (!/^READY=1$/m.test(await systemd.nextText()));
  const took = performance.now() - begun;
  systemd.close();
  await running.stop('SIGKILL');
  return took;
}

const [conmgrStarts, bareStarts] = [new Samples(), new Samples()];
await shuffledRounds(STARTS, [
  async (round) => {
    const took = await startUp();
    if (round > 0) conmgrStarts.add(took);
  },
  async (round) => {
    const begun = performance.now();
    const bare = await bareProcess();
    const took = performance.now() - begun;
    bare.kill('SIGKILL');
    if (round > 0) bareStarts.add(took);
  },
]);

const standing = (heartbeat: Record<string, string | undefined>) =>
  ScriptedSet.start([PRIMARY, STANDBY, STANDBY], {
    settings: { log_min_messages: 'WARNING', ...heartbeat },
  });
const [byDefault, fast, bare] = await Promise.all([
  standing({ heartbeat_interval: undefined, heartbeat_timeout: undefined }),
  standing({ heartbeat_interval: '1s', heartbeat_timeout: '3s' }),
  bareProcess(),
]);
const [atDefault, atOneSecond, runtime] = await Promise.all([
  atRest(byDefault.conmgr.pid, REST_MS),
  atRest(fast.conmgr.pid, REST_MS),
  atRest(bare.pid ?? 0, REST_MS),
]);
bare.kill('SIGKILL');
await fast.end();

const { conmgr } = byDefault;
const attached = await Attached.to(conmgr.port, MANY, 'any', 0);
await conmgr.until('all are attached', ({ instances }) => instances[0]?.sessions === MANY, 60_000);
const held = await atRest(conmgr.pid, 10_000);
attached.detach();
await byDefault.end();

const row = (name: string, { memory, cpu }: Cost): string[] => [
  name,
  mb(memory),
  share(cpu),
  times(memory / runtime.memory),
];
printBlock(
  `conmgr with 3 instances after ${REST_MS / 1000} s`,
  ['resident memory', 'CPU', 'memory / bare'],
  [
    row('heartbeat 10 s, no application', atDefault),
    row('heartbeat 1 s, no application', atOneSecond),
    row(`heartbeat 10 s, ${MANY} applications attached`, held),
    row('bare Node.js with a timer', runtime),
  ],
  [
    ['under 70 MB', atDefault.memory < 70, mb(atDefault.memory)],
    ['under 0.5 % of a core', atDefault.cpu < 0.5, share(atDefault.cpu)],
    [`${MANY} sessions under 200 MB`, held.memory < 200, mb(held.memory)],
  ],
);
printBlock(
  'A start of conmgr, to READY=1',
  ['median', 'most', '/ bare'],
  [
    ['conmgr', ms(conmgrStarts.median), ms(conmgrStarts.max), times(conmgrStarts.median / bareStarts.median)],
    ['bare Node.js, to its first line', ms(bareStarts.median), ms(bareStarts.max), times(1)],
  ],
  [['under 200 ms', conmgrStarts.median < 200, ms(conmgrStarts.median)]],
);
process.exit(0);
