import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import net from 'node:net';
import { after, before, describe, it } from 'node:test';
import { REJECT_CODES, type RejectCode } from '../../src/core/protocol/messages.js';
import { eventually } from '../support/eventually.js';
import { HeartbeatPeer, newId } from '../support/heartbeat-peer.js';
import { type Server, startPrimary } from '../support/postgres.js';
import { isThere, sessionFrom } from '../support/sql-client.js';
import { TestWatchdog } from '../support/watchdog.js';

let server: Server;
let watchdog: TestWatchdog;

before(async () => {
  server = await startPrimary({ listen: 'localhost' });
});
after(async () => {
  await server?.end();
});

async function start(settings: Readonly<Record<string, string>> = {}): Promise<void> {
  const defaults = { max_heartbeat_connections: '', allowed_clients: '', restart_grace: '2s' };
  watchdog = await TestWatchdog.start(server, { settings: { ...defaults, ...settings } });
}

async function refusal(
  options: Parameters<TestWatchdog['open']>[0],
): Promise<[code: RejectCode, text: string]> {
  const peer = await watchdog.open(options);
  peer.hello();
  const { code, text } = await peer.next('reject');
  await peer.closed;
  return [REJECT_CODES[code] ?? 'other', text];
}

describe('links', () => {
  before(() => start());
  after(() => watchdog.stop());

  it('localhost is listened on for both families', async () => {
    const six = await watchdog.connect({ host: '::1' }).catch((error: NodeJS.ErrnoException) => error);
    if (six instanceof HeartbeatPeer) await six.end();
    else assert.equal(six.code, 'EADDRNOTAVAIL', 'only a machine without IPv6 has no such listener');
    const four = await watchdog.connect();
    await four.end();
  });

  it('WELCOME is followed by attributes and a BEAT right away, and repeats the timing of HELLO', async () => {
    const peer = await watchdog.connect({ intervalMs: 700, timeoutMs: 2100 });
    await peer.next('beat', () => true, { timeoutMs: 300 });
    const names = peer.arrivals.slice(0, 3).map(({ message }) => message.name);
    assert.deepEqual(names, ['welcome', 'attr', 'beat']);
    const { intervalMs, timeoutMs, restartGraceMs } = peer.welcome;
    assert.deepEqual([intervalMs, timeoutMs, restartGraceMs], [700, 2100, 2000]);
    await peer.end();
  });

  it('each link is beaten at its own interval and judged by its own time-out', async () => {
    const [fast, slow] = await Promise.all([
      watchdog.connect({ intervalMs: 60, timeoutMs: 300 }),
      watchdog.connect({ intervalMs: 400, timeoutMs: 1500 }),
    ]);
    const begun = performance.now();
    fast.fallSilent();
    slow.fallSilent();
    const [first, second] = await Promise.all([fast.closed, slow.closed]);
    const beats = (peer: HeartbeatPeer): number =>
      peer.arrivals.filter(({ message, at }) => message.name === 'beat' && at > begun).length;
    assert.ok(first.at - begun > 150 && first.at - begun < 1000, `${first.at - begun}`);
    assert.ok(second.at - begun > 1000 && second.at - begun < 2500, `${second.at - begun}`);
    assert.ok(beats(fast) >= 3 && beats(slow) <= 4, `${beats(fast)} and ${beats(slow)} beats`);
  });

  it('new timing after a reload of the conmgr holds at once', async () => {
    const peer = await watchdog.connect({ intervalMs: 5000, timeoutMs: 20_000 });
    peer.send({ name: 'retime', intervalMs: 50, timeoutMs: 200 });
    const from = peer.arrivals.length;
    await peer.next('beat', () => true, { from, timeoutMs: 1000 });
    const status = (await watchdog.status()).links.find((link) => link.conmgrId === peer.conmgrId);
    assert.deepEqual([status?.intervalMs, status?.timeoutMs], [50, 200]);
    await peer.end();
  });

  it('every refusal names its reason', async () => {
    await eventually(async () => (await watchdog.status()).instance.systemIdentifier !== '0', {
      what: 'known',
    });
    const version = await refusal({ hello: { versionMin: 7, versionMax: 9 } });
    assert.deepEqual(version, ['version', 'this watchdog speaks protocol versions 1 to 1, not 7 to 9']);
    assert.equal((await refusal({ intervalMs: 49 }))[0], 'bounds');
    assert.equal((await refusal({ timeoutMs: 0 }))[0], 'bounds');
    assert.equal((await refusal({ systemIdentifier: 1n }))[0], 'wrongCluster');
  });

  it('the same conmgr, started anew, takes the place of its old link and nothing is ended', async () => {
    const conmgrId = newId();
    const session = await sessionFrom(server, '127.0.0.9');
    const first = await watchdog.connect({ conmgrId, localAddress: '127.0.0.9' });
    await first.prove();
    const second = await watchdog.connect({ conmgrId, localAddress: '127.0.0.9' });
    await first.closed;
    await watchdog.line(/conmgr test:peer at 127\.0\.0\.9:\d+ was replaced by a new one/);
    const { links, losses } = await watchdog.status();
    assert.equal(links.filter((link) => link.conmgrId === conmgrId).length, 1);
    assert.deepEqual(
      losses.filter((loss) => loss.conmgrId === conmgrId),
      [],
    );
    assert.ok(await isThere(server, session.pid));
    await Promise.all([second.goodbye('restart'), session.client.end()]);
  });

  it('whatever is not a conmgr is closed at once, or after three seconds when it says nothing', async () => {
    for (const bytes of [
      'GET / HTTP/1.0\r\n\r\n',
      'SSH-2.0-OpenSSH_9.2\r\n',
      '\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03',
    ]) {
      const peer = await watchdog.open();
      peer.write(Buffer.from(bytes, 'latin1'));
      await peer.closed;
    }
    await watchdog.line(/closed connection from 127\.0\.0\.1:\d+: frame length/);
    const silent = await watchdog.open({ localAddress: '127.0.0.7' });
    const begun = performance.now();
    await silent.closed;
    const ms = performance.now() - begun;
    assert.ok(ms > 2500 && ms < 4500, `closed after ${Math.round(ms)} ms`);
  });

  it('connections without HELLO are bounded and keep no conmgr out', async () => {
    // The oldest are reset, some before their connect call has returned.
    const held = await Promise.allSettled(
      Array.from({ length: 40 }, () => watchdog.open({ localAddress: '127.0.0.8' })),
    );
    const begun = performance.now();
    const peer = await watchdog.connect({ localAddress: '127.0.0.8' });
    assert.ok(performance.now() - begun < 1000);
    await watchdog.line(/too many connections wait for their first packet/);
    await peer.end();
    await Promise.all(held.map((one) => (one.status === 'fulfilled' ? one.value.end() : undefined)));
  });

  it('a watchdog that was stopped for longer than the time-out ends nothing when it goes on', async () => {
    const session = await sessionFrom(server, '127.0.0.6');
    const peer = await watchdog.connect({ localAddress: '127.0.0.6', intervalMs: 100, timeoutMs: 600 });
    await peer.prove();
    watchdog.running.kill('SIGSTOP');
    const stoppedAt = performance.now();
    await eventually(() => performance.now() - stoppedAt > 1500, { what: 'time passes', everyMs: 50 });
    const from = peer.arrivals.length;
    watchdog.running.kill('SIGCONT');
    await peer.next('beat', () => true, { from });
    await peer.prove(5);
    const { links } = await watchdog.status();
    assert.ok(
      links.some((link) => link.conmgrId === peer.conmgrId),
      'the link is still up',
    );
    assert.ok(await isThere(server, session.pid));
    await Promise.all([peer.goodbye('restart'), session.client.end()]);
  });
});

describe('limits', () => {
  after(() => watchdog.stop());

  it('over max_heartbeat_connections a link is refused with a time to come back, and logged', async () => {
    await start({ max_heartbeat_connections: '1' });
    const first = await watchdog.connect();
    const peer = await watchdog.open();
    peer.hello();
    const { code, retryAfterMs, text } = await peer.next('reject');
    assert.equal(REJECT_CODES[code], 'limit');
    assert.ok(retryAfterMs >= 1000);
    assert.match(text, /limit of 1 heartbeat connections/);
    await watchdog.line(/LOG: {2}refused heartbeat link from .*limit of 1/);
    // The one that is connected may come back however full it is.
    const again = await watchdog.connect({ conmgrId: first.conmgrId });
    await again.end();
    await watchdog.stop();
  });

  it('who is not in allowed_clients is refused before it takes any place, and a reload lets it in', async () => {
    await start({ allowed_clients: '10.0.0.0/8', max_heartbeat_connections: '' });
    assert.deepEqual(await refusal({}), ['notAllowed', '127.0.0.1 is not in watchdog.allowed_clients']);
    await server.append({ 'watchdog.allowed_clients': '10.0.0.0/8, 127.0.0.0/8' });
    watchdog.running.kill('SIGHUP');
    await watchdog.line(/LOG: {2}reloaded settings: watchdog\.allowed_clients/);
    const peer = await watchdog.connect();
    await peer.end();
  });

  it('who is refused and does not close holds no descriptors of the watchdog', async () => {
    await watchdog.stop();
    await start({ allowed_clients: '10.0.0.0/8' });
    const open = (): number => readdirSync(`/proc/${watchdog.running.pid}/fd`).length;
    // With both SQL connections and perhaps a probe.
    await watchdog.line(/LOG: {2}instance is up/);
    const before = open();
    const sockets = Array.from({ length: 300 }, () =>
      net
        .connect({ port: watchdog.port, host: '127.0.0.1', allowHalfOpen: true })
        .on('error', () => {})
        .resume(),
    );
    const talk = setInterval(() => {
      for (const socket of sockets) if (socket.writable) socket.write('x');
    }, 100);
    try {
      await eventually(() => sockets.every((socket) => !socket.connecting), { what: 'all are connected' });
      assert.ok(open() < before + 60, `${open()} open, ${before} before`);
      await eventually(() => open() <= before + 4, { what: 'all are closed', timeoutMs: 4000 });
    } finally {
      clearInterval(talk);
      for (const socket of sockets) socket.destroy();
    }
  });
});
