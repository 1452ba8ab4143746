/** Peers that speak something else, slowly, or lie: rows 36, 37, 38 and 45. */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { sendRaw } from '../support/first-phase-client.js';
import { HeartbeatPeer } from '../support/heartbeat-peer.js';
import { isRunning } from '../support/processes.js';
import { type Application, nowMs } from './harness/application.js';
import { CONMGR_PORT, type Scene, WATCHDOG_PORT } from './harness/scene.js';
import { TIMING } from './harness/timing.js';
import { row, type Trial } from './harness/trial.js';

const STRANGERS = 100_000;
const AT_A_TIME = 200;

/** First octets of what may come to the wrong port. */
const WORDS: readonly (() => Buffer)[] = [
  () => randomBytes(1 + Math.floor(Math.random() * 200)),
  () => Buffer.from('GET / HTTP/1.1\r\nHost: db1\r\n\r\n'),
  // A ClientHello of TLS 1.2 without more than its beginning.
  () => Buffer.concat([Buffer.from('16030100f8010000f40303', 'hex'), randomBytes(241)]),
  () => Buffer.from('SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n'),
];

function residentMb(pid: number): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1]) / 1024;
}

function unharmed(trial: Trial, scene: Scene, app: Application): void {
  trial.never('sessions told of a loss', app.events('lost').length);
  trial.never('sessions ended by a watchdog', scene.endedSessions());
}

it(
  ...row(36, async (trial) => {
    const scene = await trial.scene();
    const app = await scene.app({ target: 'primary' });
    const pids = [scene.conmgr.pid, scene.primary.watchdog.running.pid] as const;
    const ports = [
      { host: '127.0.0.1', port: CONMGR_PORT },
      { host: scene.primary.host.address, port: WATCHDOG_PORT },
    ];
    const visit = async (count: number): Promise<number> => {
      let left = count;
      let worstMs = 0;
      const visitor = async (): Promise<void> => {
        while (left > 0) {
          left -= 1;
          const { host, port } = ports[left % ports.length]!;
          const words = WORDS[Math.floor(left / ports.length) % WORDS.length]!;
          const { lastedMs } = await sendRaw(port, [words()], { host });
          worstMs = Math.max(worstMs, lastedMs);
        }
      };
      await Promise.all(Array.from({ length: AT_A_TIME }, visitor));
      return worstMs;
    };
    await visit(STRANGERS / 10);
    trial.load(await app.load());
    const before = pids.map(residentMb);
    const lateness = scene.lateness();
    trial.took('stranger closed', await visit(STRANGERS), lateness);
    const [conmgr = 0, watchdog = 0] = pids.map((pid, at) => residentMb(pid) - before[at]!);
    trial.amount('growth of memory of conmgr', conmgr);
    trial.amount('growth of memory of the watchdog', watchdog);
    await app.load();
    trial.never('programs that ended', pids.filter((pid) => !isRunning(pid)).length);
    unharmed(trial, scene, app);
  }),
);

it(
  ...row(37, async (trial) => {
    const scene = await trial.scene();
    const app = await scene.app({ target: 'primary' });
    trial.load(await app.load());
    const lateness = scene.lateness();
    const { address } = scene.primary.host;
    const slow = Array.from({ length: 8 }, () => Buffer.from([0]));
    const open = [
      ...Array.from({ length: 40 }, () => sendRaw(CONMGR_PORT, [])),
      ...Array.from({ length: 40 }, () => sendRaw(CONMGR_PORT, slow, { everyMs: 1000 })),
      ...Array.from({ length: 20 }, () => sendRaw(WATCHDOG_PORT, [], { host: address })),
      ...Array.from({ length: 20 }, () => sendRaw(WATCHDOG_PORT, slow, { host: address, everyMs: 1000 })),
    ];
    await delay(200);
    for (let round = 0; round < 10; round += 1) {
      const askedMs = nowMs();
      const client = scene.conmgr.ask({ target: 'primary' });
      await client.candidates();
      trial.took('real client served', nowMs() - askedMs, lateness);
      client.vanish();
      await delay(100);
    }
    const peer = await HeartbeatPeer.connect({ host: address, port: WATCHDOG_PORT });
    await peer.goodbye('released');
    for (const { lastedMs } of await Promise.all(open)) {
      trial.took('half-open connection closed', lastedMs, lateness);
    }
    await app.load();
    unharmed(trial, scene, app);
  }),
);

it(
  ...row(38, async (trial) => {
    const scene = await trial.scene();
    const app = await scene.app({ target: 'primary' });
    trial.load(await app.load());
    const { pid } = scene.primary.watchdog.running;
    const { address: host } = scene.primary.host;
    const before = residentMb(pid);
    // The header of a frame: length of what follows, type 1 (HELLO), flags.
    const frame = (length: number, body: Buffer): Buffer => {
      const head = Buffer.alloc(8);
      head.writeUInt32BE(length >>> 0);
      head.writeUInt16BE(1, 4);
      return Buffer.concat([head, body]);
    };
    const tlv = Buffer.from('0001000101', 'hex');
    const lies = [
      frame(0xff_ff_ff_ff, randomBytes(1000)),
      frame(0x7f_ff_ff_ff, Buffer.alloc(0)),
      frame(48, Buffer.concat([randomBytes(40), Buffer.from('0001ffff', 'hex')])),
      frame(tlv.length * 10_000, Buffer.concat(Array.from({ length: 10_000 }, () => tlv))),
    ];
    const lateness = scene.lateness();
    for (let round = 0; round < 50; round += 1) {
      const ends = await Promise.all(lies.map((bytes) => sendRaw(WATCHDOG_PORT, [bytes], { host })));
      for (const { lastedMs } of ends) trial.took('connection closed', lastedMs, lateness);
      if (round % 10 === 0) {
        // A peer whose numbers wrap costs itself its link at most.
        const peer = await HeartbeatPeer.connect({ host, port: WATCHDOG_PORT });
        await peer.prove();
        for (const seq of [0xff_ff_ff_fe, 0xff_ff_ff_ff, 0, 1]) {
          peer.send({ name: 'beat', seq, echoSeq: 0xff_ff_ff_ff, echoDelayUs: 0, attrVersion: 0 });
        }
        await peer.end();
      }
    }
    trial.amount('growth of memory of the watchdog', residentMb(pid) - before);
    trial.never('programs that ended', isRunning(pid) ? 0 : 1);
    await delay(TIMING.G + 1000);
    await app.load();
    unharmed(trial, scene, app);
  }),
);

it(
  ...row(45, async (trial) => {
    // No conmgr of the address, whose life would save its sessions.
    const scene = await trial.scene({ withConmgr: false });
    const { host } = scene.primary;
    const held = await Promise.all([1, 2, 3, 4, 5].map(() => scene.session()));
    trial.load(await scene.sessionsAt(scene.primary, scene.network.app1.address));
    const options = { host: host.address, port: WATCHDOG_PORT, intervalMs: 200, timeoutMs: 1000 };
    for (let round = 0; round < 20; round += 1) {
      // Says nothing; says HELLO and no more; says HELLO and falls silent; speaks TLS with a secret of its own.
      await (await HeartbeatPeer.open(options)).end();
      const halfway = await HeartbeatPeer.open(options);
      halfway.hello();
      await halfway.end();
      const silent = await HeartbeatPeer.open(options);
      silent.hello();
      await silent.next('welcome');
      if (round % 2 === 0) await silent.end();
      const stranger = connect({ host: host.address, port: WATCHDOG_PORT });
      stranger.on('error', () => {});
      stranger.end(randomBytes(100));
      await HeartbeatPeer.open({ ...options, secret: 'not the right one, and long enough' }).then(
        (peer) => peer.end(),
        () => {},
      );
    }
    await delay(TIMING.T + TIMING.G + 1000);
    trial.never('sessions ended by a watchdog', scene.endedSessions());
    const left = await scene.sessionsAt(scene.primary, scene.network.app1.address);
    trial.never('sessions that are gone', held.length - left);
    await Promise.all(held.map((client) => client.end()));
  }),
);
