/**
 * How long an application waits for the answer where to go, and how many such answers one core gives.
 *
 * Beside it, in the same run: a TCP server in Node.js that does nothing but answer the same number of bytes, which is
 * what any program on this runtime pays for a connection; and a connection to PostgreSQL up to "ready for query",
 * which is what the application pays next in any case.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { encodeStartup } from '../src/core/protocol/startup.js';
import { freePort } from '../test/support/free-ports.js';
import { startPrimary } from '../test/support/postgres.js';
import { questionFor } from '../test/support/question.js';
import { ScriptedSet } from '../test/support/scripted-set.js';
import { PRIMARY, STANDBY } from '../test/support/scripted-watchdog.js';
import { cpuMs, ms, printBlock, Samples, shuffledRounds, times } from './figures.js';

const ROUNDS = 12;
const PER_ROUND = 250;
const BURST = 4000;
const AT_A_TIME = 32;

/** Connects, sends, waits until `isComplete`, and closes; the time from the call to the complete answer. */
function exchange(
  port: number,
  packet: Buffer,
  isComplete: (answer: Buffer) => boolean,
  host = '127.0.0.1',
): Promise<number> {
  return new Promise((resolve, reject) => {
    const begun = performance.now();
    const socket = connect(port, host);
    socket.setNoDelay(true);
    socket.write(packet);
    let answer: Buffer = Buffer.alloc(0);
    socket.on('error', reject);
    socket.on('data', (chunk: Buffer) => {
      answer = answer.length === 0 ? chunk : Buffer.concat([answer, chunk]);
      if (!isComplete(answer)) return;
      const took = performance.now() - begun;
      // A reset, so that tens of thousands of them do not use up the ports of this host.
      socket
        .removeAllListeners('error')
        .on('error', () => {})
        .resetAndDestroy();
      resolve(took);
    });
  });
}

async function burst(port: number, packet: Buffer, isComplete: (answer: Buffer) => boolean): Promise<void> {
  let left = BURST;
  const one = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      await exchange(port, packet, isComplete);
    }
  };
  await Promise.all(Array.from({ length: AT_A_TIME }, one));
}

const question = questionFor('read-write');
const set = await ScriptedSet.start([PRIMARY, STANDBY, STANDBY], {
  settings: { heartbeat_interval: '1s', heartbeat_timeout: '10s', log_min_messages: 'WARNING' },
});
const postgres = await startPrimary();
const startup = encodeStartup([
  ['user', 'postgres'],
  ['database', 'postgres'],
]);

// CANDIDATES is the second message.
const isAnswered = (answer: Buffer): boolean => {
  if (answer[0] !== 0x6d) throw new Error(`conmgr answered ${answer.toString('latin1')}`);
  const second = 1 + answer.readUInt32BE(1);
  return answer.length >= second + 5 && answer.length >= second + 1 + answer.readUInt32BE(second + 1);
};
const isReady = (answer: Buffer): boolean => answer.includes(Buffer.from('Z\0\0\0\x05I', 'latin1'));
const answerBytes = await new Promise<number>((resolve) => {
  const socket = connect(set.conmgr.port, '127.0.0.1');
  socket.write(question);
  socket.once('data', (chunk: Buffer) => {
    resolve(chunk.length);
    socket.destroy();
  });
});
const isEchoed = (answer: Buffer): boolean => answer.length >= answerBytes;

const echoPort = await freePort();
const echo = spawn(
  process.execPath,
  [
    '-e',
    `const answer = Buffer.alloc(${answerBytes}, 1);
     require('node:net').createServer((socket) => {
       socket.setNoDelay(true);
       socket.on('data', () => socket.write(answer)).on('error', () => {});
     }).listen({ port: ${echoPort}, host: '127.0.0.1', backlog: 4096 }, () => console.log('listening'));`,
  ],
  { stdio: ['ignore', 'pipe', 'inherit'] },
);
await once(echo.stdout, 'data');

try {
  const [conmgr, bare, server] = [new Samples(), new Samples(), new Samples()];
  const latency = (samples: Samples, port: number, packet: Buffer, done: (answer: Buffer) => boolean) => {
    return async (round: number): Promise<void> => {
      const count = samples === server ? PER_ROUND / 10 : PER_ROUND;
      for (let at = 0; at < count; at += 1) {
        const took = await exchange(port, packet, done);
        if (round > 0) samples.add(took);
      }
    };
  };
  await shuffledRounds(ROUNDS, [
    latency(conmgr, set.conmgr.port, question, isAnswered),
    latency(bare, echoPort, question, isEchoed),
    latency(server, postgres.port, startup, isReady),
  ]);

  const [conmgrRate, bareRate, conmgrCpu, bareCpu] = [
    new Samples(),
    new Samples(),
    new Samples(),
    new Samples(),
  ];
  const rate = (pid: number, wall: Samples, cpu: Samples, run: () => Promise<void>) => {
    return async (round: number): Promise<void> => {
      const [begun, before] = [performance.now(), cpuMs(pid)];
      await run();
      const [wallMs, usedMs] = [performance.now() - begun, cpuMs(pid) - before];
      if (round === 0) return;
      wall.add((BURST / wallMs) * 1000);
      cpu.add((BURST / usedMs) * 1000);
    };
  };
  await shuffledRounds(5, [
    rate(set.conmgr.pid, conmgrRate, conmgrCpu, () => burst(set.conmgr.port, question, isAnswered)),
    rate(echo.pid ?? 0, bareRate, bareCpu, () => burst(echoPort, question, isEchoed)),
  ]);

  const latencyRow = (name: string, samples: Samples): string[] => [
    name,
    ms(samples.median),
    ms(samples.p99),
    times(samples.median / bare.median),
  ];
  printBlock(
    'First phase: one question at a time, connection included',
    ['median', 'p99', 'median / bare'],
    [
      latencyRow('conmgr', conmgr),
      latencyRow('bare TCP server in Node.js, same bytes', bare),
      latencyRow('PostgreSQL, connection to "ready for query"', server),
    ],
    [
      ['median < 1 ms', conmgr.median < 1, ms(conmgr.median)],
      ['p99 < 5 ms', conmgr.p99 < 5, ms(conmgr.p99)],
    ],
  );
  const perSecond = (value: number): string => `${Math.round(value)}/s`;
  printBlock(
    `First phases per second, ${AT_A_TIME} at a time`,
    ['per second of its CPU', 'as seen by the asking process', 'CPU per answer / bare'],
    [
      [
        'conmgr',
        perSecond(conmgrCpu.median),
        perSecond(conmgrRate.median),
        times(bareCpu.median / conmgrCpu.median),
      ],
      ['bare TCP server in Node.js', perSecond(bareCpu.median), perSecond(bareRate.median), times(1)],
    ],
    [['>= 5,000 on one core', conmgrCpu.median >= 5000, perSecond(conmgrCpu.median)]],
  );
} finally {
  echo.kill('SIGKILL');
  await Promise.all([set.end(), postgres.end()]);
}
// Nothing keeps the process but sockets in their last moments.
process.exit(0);
