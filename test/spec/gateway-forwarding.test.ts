import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { encodeCancelRequest } from '../../src/core/protocol/startup.js';
import { eventually } from '../support/eventually.js';
import { type GatewayScene, gatewayScene, gatewayScenes } from '../support/gateway-scene.js';
import { type RawDriver, SSL_REQUEST, startup } from '../support/raw-driver.js';
import { greeting, type ServerEnd } from '../support/scripted-sql-server.js';
import { PRIMARY, type ScriptedLink, STANDBY } from '../support/scripted-watchdog.js';

const EPS_MS = 500;
const MB = 1024 * 1024;

const start = gatewayScenes();

/** A driver that is served by instance 0, and its connection as that server has it. */
async function served({ drive, servers }: GatewayScene): Promise<[RawDriver, ServerEnd]> {
  const server = servers[0]!;
  const count = server.ends.length;
  const driver = drive(startup());
  await driver.until(greeting(server.key).length);
  return [driver, await server.end(count + 1)];
}

describe('bytes of a forwarded connection', () => {
  let scene: GatewayScene;
  before(async () => {
    scene = await gatewayScene(['serves']);
  });
  after(() => scene.end());

  it('all arrive, in their order, both ways at once', async () => {
    const [driver, end] = await served(scene);
    const before = driver.received.length;
    const [there, back] = [randomBytes(8 * MB), randomBytes(8 * MB)];
    driver.send(there);
    end.socket.write(back);
    await eventually(() => end.log.length >= there.length && driver.log.length === before + back.length, {
      what: 'all has arrived',
      timeoutMs: 20_000,
    });
    assert.ok(end.said.equals(there));
    assert.ok(driver.received.subarray(before).equals(back));
  });

  it('the end of one direction is passed on and the other goes on: the driver says first that it is done', async () => {
    const [driver, end] = await served(scene);
    const before = driver.received.length;
    end.endsWithTheOther = false;
    driver.socket.end('last words');
    await eventually(() => end.hasEnded, { what: 'the server hears the end' });
    assert.equal(end.said.toString(), 'last words');
    assert.equal(driver.hasEnded, false);
    end.socket.end('answer');
    assert.equal((await driver.ended()).subarray(before).toString(), 'answer');
    assert.equal(await driver.closed(), 'end');
    await eventually(() => end.closedBy === 'end', { what: 'the server has closed' });
  });

  it('the server says first that it is done: what the driver still has to say arrives', async () => {
    const [driver, end] = await served(scene);
    end.socket.end('bye');
    await driver.ended();
    assert.equal(end.hasEnded, false);
    driver.socket.end('late');
    await eventually(() => end.said.toString() === 'late' && end.hasEnded, { what: 'late words arrive' });
    assert.equal(await driver.closed(), 'end');
  });

  it('a reset of one end resets the other', async () => {
    const [driver, end] = await served(scene);
    driver.socket.resetAndDestroy();
    await eventually(() => end.closedBy === 'reset', { what: 'the server is reset' });
    const [other, otherEnd] = await served(scene);
    otherEnd.reset();
    assert.equal(await other.closed(), 'reset');
  });

  for (const [who, reader] of [
    ['driver', 'driver'],
    ['server', 'end'],
  ] as const) {
    it(`a ${who} that does not read stops the other end; conmgr holds at most 64 KiB for it`, async () => {
      const [driver, end] = await served(scene);
      const [slow, fast] = reader === 'driver' ? [driver.socket, end.socket] : [end.socket, driver.socket];
      slow.pause();
      const beforeKb = scene.set.conmgr.residentKb;
      const chunk = Buffer.alloc(MB, 1);
      let sent = 0;
      // What fits into the buffers of the kernel on the way is a few MB; then nothing moves any more.
      for (let at = 0; at < 64; at += 1) {
        fast.write(chunk);
        sent += chunk.length;
      }
      let stuckAt = -1;
      await eventually(
        () => {
          const still = fast.writableLength === stuckAt;
          stuckAt = fast.writableLength;
          return still && stuckAt > 0;
        },
        { everyMs: 200, what: 'nothing moves any more', timeoutMs: 20_000 },
      );
      assert.ok(fast.writableLength > sent / 4, `${fast.writableLength} octets are left of ${sent}`);
      const grownKb = scene.set.conmgr.residentKb - beforeKb;
      assert.ok(grownKb < 16_000, `${grownKb} kB more`);
      slow.resume();
      await eventually(() => fast.writableLength === 0, { what: 'it moves on', timeoutMs: 20_000 });
      driver.socket.destroy();
    });
  }

  it('are counted for each session and direction', async () => {
    const [driver, end] = await served(scene);
    driver.send(Buffer.alloc(1000));
    end.socket.write(Buffer.alloc(5000));
    const before = greeting(scene.servers[0]!.key).length;
    await driver.until(before + 5000);
    await eventually(() => end.said.length === 1000, { what: 'all is there' });
    const { applications } = await scene.set.conmgr.status();
    const shown = applications.find(({ bytesFromServer }) => bytesFromServer === before + 5000);
    assert.equal(shown?.bytesFromApplication, 1000);
    assert.equal(shown.mode, 'gateway');
  });
});

describe('a forwarded connection whose server is only no longer watched', () => {
  for (const [what, act] of [
    ['its watchdog is killed', (link: ScriptedLink) => link.reset()],
    ['its watchdog restarts', (link: ScriptedLink) => link.goodbye('restart', 5000)],
    ['its watchdog is stopped', (link: ScriptedLink) => link.goodbye('stop')],
  ] as const) {
    it(`${what}: it goes on, also beyond heartbeat_timeout, and new ones are served, as the server answers`, async () => {
      const scene = await start(['serves'], { heartbeat_timeout: '500ms' });
      const watchdog = scene.set.watchdog(0);
      const [driver] = await served(scene);
      await watchdog.refuse();
      act(watchdog.link);
      const { stale } = await scene.set.conmgr.untilInstance(0, 'is stale', (one) => one.stale);
      assert.ok(stale);
      const begunMs = performance.now();
      await eventually(() => performance.now() - begunMs > 800, { what: 'the time-out passes' });
      assert.equal(driver.closedBy, undefined);
      await scene.drive(startup()).until(greeting(scene.servers[0]!.key).length);
    });
  }

  it('is reset when its server does not answer either', async () => {
    const scene = await start(['serves'], { heartbeat_timeout: '500ms' });
    const [driver] = await served(scene);
    scene.servers[0]!.behaviour = 'silent';
    await scene.set.watchdog(0).refuse();
    scene.set.watchdog(0).link.reset();
    assert.equal(await driver.closed(), 'reset');
    await scene.set.conmgr.logged(/instance 0 .* is lost/);
  });
});

describe('a loss of the server of a forwarded connection', () => {
  it('resets both ends within 100 ms, and those of no other server', async () => {
    const scene = await start(['serves', 'serves'], { gateway_target_session_attrs: 'any' });
    const drivers = Array.from({ length: 20 }, () => scene.drive(startup()));
    await Promise.all(drivers.map((driver) => driver.until(1)));
    const sessionsOf = async (): Promise<number[]> =>
      (await scene.set.conmgr.status()).instances.map(({ sessions }) => sessions);
    const [first = 0, second = 0] = await sessionsOf();
    assert.equal(first + second, 20);
    const mark = scene.set.conmgr.mark;
    const begunMs = performance.now();
    scene.set.watchdog(0).tell({ state: 'down' });
    await eventually(() => drivers.filter(({ closedBy }) => closedBy === 'reset').length === first, {
      everyMs: 1,
      what: 'they are reset',
    });
    const tookMs = performance.now() - begunMs;
    assert.ok(tookMs < 100 + EPS_MS, `after ${tookMs} ms`);
    await eventually(() => scene.servers[0]!.ends.every(({ closedBy }) => closedBy === 'reset'), {
      what: 'the server learns it as well',
    });
    assert.deepEqual(await sessionsOf(), [0, second]);
    assert.equal(drivers.filter(({ closedBy }) => closedBy === undefined).length, second);
    await scene.set.conmgr.logged(/instance 0 .* is down/, mark);
  });

  it('of 500 sessions is told to all of them within 100 ms', async () => {
    const scene = await start(['serves']);
    const count = 500;
    const drivers = Array.from({ length: count }, () => scene.drive(startup()));
    await Promise.all(drivers.map((driver) => driver.until(1)));
    const begunMs = performance.now();
    scene.set.watchdog(0).tell({ state: 'down' });
    await Promise.all(drivers.map((driver) => driver.closed()));
    assert.equal(drivers.filter(({ closedBy }) => closedBy === 'reset').length, count);
    const lastMs = Math.max(...drivers.map(({ closedAtMs }) => closedAtMs)) - begunMs;
    assert.ok(lastMs < 100 + EPS_MS, `the last one after ${lastMs} ms`);
  });

  it('by silence of its host ends at heartbeat_timeout', async () => {
    const scene = await start(['serves'], { heartbeat_timeout: '500ms' });
    const [driver] = await served(scene);
    scene.servers[0]!.behaviour = 'silent';
    const begunMs = performance.now();
    scene.set.watchdog(0).link.silence();
    assert.equal(await driver.closed(), 'reset');
    const tookMs = performance.now() - begunMs;
    assert.ok(tookMs > 300 && tookMs < 500 + 100 + EPS_MS, `after ${tookMs} ms`);
  });

  it('a primary that becomes a standby: who came for writing is reset, by default', async () => {
    const scene = await start(['serves', 'serves']);
    const [writer] = await served(scene);
    const reader = scene.drive(startup('-c conmgr.target_session_attrs=any'));
    await reader.until(1);
    scene.set.watchdog(0).tell(STANDBY);
    assert.equal(await writer.closed(), 'reset');
    await scene.set.conmgr.logged(/ended 1 sessions of instance 0 .* whose role no longer fits/);
    assert.equal(reader.closedBy, undefined);
  });

  it('500 sessions of a primary that becomes a standby are reset within 100 ms', async () => {
    const scene = await start(['serves', 'serves']);
    const drivers = Array.from({ length: 500 }, () => scene.drive(startup()));
    await Promise.all(drivers.map((driver) => driver.until(1)));
    const begunMs = performance.now();
    scene.set.watchdog(0).tell(STANDBY);
    await Promise.all(drivers.map((driver) => driver.closed()));
    const lastMs = Math.max(...drivers.map(({ closedAtMs }) => closedAtMs)) - begunMs;
    assert.ok(lastMs < 100 + EPS_MS, `the last one after ${lastMs} ms`);
    assert.equal(drivers.filter(({ closedBy }) => closedBy === 'reset').length, 500);
  });

  it('evict_on_role_change = off leaves it alone', async () => {
    const scene = await start(['serves'], { evict_on_role_change: 'off' });
    const [driver] = await served(scene);
    scene.set.watchdog(0).tell(STANDBY);
    await scene.set.conmgr.untilInstance(0, 'is a standby', ({ role }) => role === 'standby');
    scene.set.watchdog(0).tell(PRIMARY);
    await scene.set.conmgr.untilInstance(0, 'is the primary', ({ role }) => role === 'primary');
    assert.equal(driver.closedBy, undefined);
  });

  it('evict_on_role_change = all also resets who came for a standby that is promoted', async () => {
    const scene = await start(['serves', 'serves'], {
      gateway_target_session_attrs: 'standby',
      evict_on_role_change: 'all',
    });
    const driver = scene.drive(startup());
    await driver.until(1);
    scene.set.watchdog(0).tell(STANDBY);
    scene.set.watchdog(1).tell({ ...PRIMARY, timeline: 2 });
    assert.equal(await driver.closed(), 'reset');
    await scene.set.conmgr.logged(/ended 1 sessions of instance 1 .* whose role no longer fits/);
  });

  it('of two primaries the newer serves at once; who is on the older is reset after heartbeat_timeout', async () => {
    const scene = await start(['serves', 'serves'], { heartbeat_timeout: '1s' });
    const [older] = await served(scene);
    scene.set.watchdog(1).tell({ ...PRIMARY, timeline: 2 });
    const begunMs = performance.now();
    await scene.set.conmgr.until('the newer is primary', ({ primary }) => primary === 1);
    const newer = scene.drive(startup());
    await newer.until(1);
    assert.equal(await older.closed(), 'reset');
    const keptMs = performance.now() - begunMs;
    assert.ok(keptMs >= 950 && keptMs <= 1000 + EPS_MS, `reset after ${keptMs} ms`);
    await scene.set.conmgr.logged(
      /WARNING: +ended 1 sessions of instance 0 .* in conflict with another primary: instance 1/,
    );
    assert.equal(newer.closedBy, undefined);
    assert.equal(scene.servers[1]!.ends.length, 1);
  });

  it('an operator settles a conflict: who is on the older is reset at once', async () => {
    const scene = await start(['serves', 'serves'], { heartbeat_timeout: '30s' });
    const [older] = await served(scene);
    scene.set.watchdog(1).tell({ ...PRIMARY, timeline: 2 });
    await scene.set.conmgr.until('there is a conflict', ({ instances }) => instances[0]?.conflict === true);
    assert.equal(older.closedBy, undefined);
    await scene.set.conmgr.control({ command: 'resolveConflict', instance: 0 });
    assert.equal(await older.closed(), 'reset');
  });

  it('an old primary that comes back on its old timeline serves nobody, and disturbs nobody', async () => {
    const scene = await start(['serves', 'serves']);
    scene.set.watchdog(0).tell({ state: 'down', bits: 0 });
    scene.set.watchdog(1).tell({ ...PRIMARY, timeline: 2 });
    await scene.set.conmgr.until('the other is primary', ({ primary }) => primary === 1);
    const before = scene.drive(startup());
    await before.until(1);
    scene.set.watchdog(0).tell({ ...PRIMARY, timeline: 1 });
    await scene.set.conmgr.until('there is a conflict', ({ instances }) => instances[0]?.conflict === true);
    const after = scene.drive(startup());
    await after.until(1);
    assert.deepEqual([before.closedBy, after.closedBy], [undefined, undefined]);
    assert.deepEqual([scene.servers[0]!.ends.length, scene.servers[1]!.ends.length], [0, 2]);
  });

  it('an instance of another cluster serves nobody, whatever its role', async () => {
    const scene = await start(['serves', 'serves'], { gateway_target_session_attrs: 'standby' });
    scene.set.watchdog(1).tell({ systemIdentifier: 4711n });
    await scene.set.conmgr.until('it is foreign', ({ instances }) => instances[1]?.foreign === true);
    assert.equal((await scene.drive(startup()).refusal()).get('C'), '57P03');
    assert.equal(scene.servers[1]!.ends.length, 0);
    await scene.set.conmgr.logged(/ERROR: +instance 1 .* belongs to another cluster/);
  });

  it('a fast stop of conmgr ends all of them', async () => {
    const scene = await start(['serves']);
    const [driver, end] = await served(scene);
    const { code } = await scene.set.conmgr.stop('SIGTERM');
    assert.equal(code, 0);
    await driver.ended();
    await eventually(() => end.closedBy !== undefined, { what: 'the server has closed' });
  });
});

describe("a CancelRequest on conmgr's port", () => {
  it('goes to the server that issued the key, and ends when that server has acted', async () => {
    const scene = await start(['serves', 'serves'], { gateway_target_session_attrs: 'any' });
    scene.servers.forEach((server, at) => {
      server!.key = Buffer.from([0, 0, 0, at + 1, 9, 9, 9, at + 1]);
    });
    const targets = ['primary', 'standby'].map((target) =>
      startup(`-c conmgr.target_session_attrs=${target}`),
    );
    for (const packet of targets) await scene.drive(packet).until(greeting(scene.servers[0]!.key).length);
    const canceller = scene.drive(encodeCancelRequest(2, Buffer.from([9, 9, 9, 2])));
    assert.equal((await canceller.ended()).length, 0);
    assert.deepEqual(
      scene.servers.map((server) => server!.cancelled.map((one) => one.toString('hex'))),
      [[], ['0209090902']],
    );
  });

  it("with a key that passed under TLS goes to the server of that driver's sessions", async () => {
    const scene = await start(['encrypts']);
    const driver = scene.drive(SSL_REQUEST);
    await driver.until(1);
    await scene.drive(encodeCancelRequest(7, Buffer.from([1, 2, 3, 4]))).ended();
    assert.deepEqual(scene.servers[0]!.cancelled, [Buffer.from([7, 1, 2, 3, 4])]);
  });

  it('that nobody has issued reaches no server', async () => {
    const scene = await start(['serves']);
    await served(scene);
    await scene.drive(encodeCancelRequest(7, Buffer.from([1, 2, 3, 4]))).ended();
    assert.deepEqual(scene.servers[0]!.cancelled, []);
    assert.equal(scene.servers[0]!.ends.length, 1);
  });
});

describe('limits', () => {
  it('max_connections counts forwarded connections as it counts others', async () => {
    const scene = await start(['serves'], { max_connections: 2 });
    await served(scene);
    await scene.set.conmgr.bound({ target: 'primary' });
    const error = await scene.drive(startup()).refusal();
    assert.deepEqual([error.get('C'), error.get('D')], ['57P03', 'max_connections of conmgr is 2.']);
  });

  it('no descriptor for the server: told as such to this one driver; the others stay, links and control socket too', async () => {
    const scene = await start(['serves'], {}, { openFiles: 60 });
    const drivers: RawDriver[] = [];
    while (drivers.length < 60) {
      const driver = scene.drive(startup());
      drivers.push(driver);
      await driver.until(1);
    }
    const isServed = ({ received }: RawDriver): boolean => received[0] === 0x52;
    const refused = drivers.filter((driver) => !isServed(driver));
    assert.ok(refused.length >= 35 && refused.length <= 50, `${refused.length} are refused`);
    for (const driver of refused) {
      const error = await driver.refusal();
      assert.equal(error.get('C'), '57P03');
      assert.match(error.get('M') ?? '', /^conmgr: out of file descriptors/);
    }
    assert.equal(
      drivers.filter((driver) => isServed(driver) && driver.closedBy === undefined).length,
      60 - refused.length,
    );
    const { descriptors, instances } = await scene.set.conmgr.status();
    assert.ok(descriptors.open <= descriptors.limit);
    assert.equal(instances[0]?.link.phase, 'up');
  });

  it('cancels that a server does not answer leave descriptors for links and control socket', async () => {
    const scene = await start(['encrypts'], {}, { openFiles: 60 });
    await scene.drive(SSL_REQUEST).until(1);
    scene.servers[0]!.behaviour = 'silent';
    const request = encodeCancelRequest(7, Buffer.from([1, 2, 3, 4]));
    const cancels = Array.from({ length: 60 }, () => scene.drive(request));
    await eventually(
      () => cancels.filter(({ hasEnded, closedBy }) => hasEnded || closedBy !== undefined).length >= 30,
      { what: 'those are ended for which there is no descriptor' },
    );
    const { descriptors, instances } = await scene.set.conmgr.status();
    assert.ok(descriptors.open < descriptors.limit, `${descriptors.open} of ${descriptors.limit}`);
    assert.equal(instances[0]?.link.phase, 'up');
    const held = cancels.filter(({ hasEnded, closedBy }) => !hasEnded && closedBy === undefined).length;
    assert.ok(scene.servers[0]!.ends.length <= 1 + held, 'one descriptor each');
  });

  it('1,000 connections that come and go leave nothing behind', async () => {
    const scene = await start(['serves']);
    const open = scene.set.conmgr.openDescriptors;
    for (let at = 0; at < 10; at += 1) {
      const drivers = Array.from({ length: 100 }, () => scene.drive(startup()));
      await Promise.all(drivers.map((driver) => driver.until(1)));
      for (const driver of drivers) driver.socket.destroy();
    }
    await scene.set.conmgr.untilInstance(0, 'has no sessions', ({ sessions }) => sessions === 0);
    await eventually(() => scene.set.conmgr.openDescriptors <= open, { what: 'their descriptors are free' });
  });
});
