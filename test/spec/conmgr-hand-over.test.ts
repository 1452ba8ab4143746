/** docs/decisions/0035-hand-over.md: one conmgr process after the other, without a service manager. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync, statSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { StatusReport } from '../../src/core/control/protocol.js';
import { GOODBYE_REASONS } from '../../src/core/protocol/messages.js';
import { encodeCancelRequest } from '../../src/core/protocol/startup.js';
import {
  type ConmgrProcess,
  type ConmgrSettings,
  failedStart,
  type InstanceLines,
} from '../support/conmgr-process.js';
import { eventually } from '../support/eventually.js';
import { exchange } from '../support/exchange.js';
import { FirstPhaseClient } from '../support/first-phase-client.js';
import { freePort } from '../support/free-ports.js';
import { type GatewayScene, gatewayScenes } from '../support/gateway-scene.js';
import { bound, replace, served } from '../support/hand-over-scene.js';
import { longestPause, replaceMeasured } from '../support/measured-restart.js';
import { Pulse } from '../support/pulse.js';
import { RawDriver, SSL_REQUEST, startup } from '../support/raw-driver.js';
import { kindsOf } from '../support/scripted-set.js';
import { greeting } from '../support/scripted-sql-server.js';

const MB = 1024 * 1024;

const start = gatewayScenes();

/** What must be the same before and after. */
function lasting({ applications }: StatusReport): unknown {
  return applications.map(({ since, ...rest }) => rest);
}

describe('a conmgr that takes over', () => {
  it('has the sessions of both kinds, with their numbers and figures', async () => {
    const scene = await start(['serves']);
    const { conmgr } = scene.set;
    await served(scene);
    const app = await conmgr.bound({ app: 'shop' });
    const before = await bound(conmgr, 2);
    const next = await replace(conmgr);
    assert.deepEqual(await conmgr.running.exit, { code: 0, signal: null });
    assert.deepEqual(lasting(await next.status()), lasting(before));
    await conmgr.logged(/LOG: +handed over 2 application connections to the next process/);
    await next.logged(/LOG: +took over 2 sessions and 0 other connections from conmgr \d/);
    await next.stop('SIGTERM');
    assert.equal((await app.next('bye')).bye, 'stop');
  });

  it("holds the lock of the directory, whose control socket is its owner's only, and its process is the one in conmgr.pid", async () => {
    const { set } = await start(['serves']);
    const next = await replace(set.conmgr);
    const [pid, directory] = readFileSync(join(next.directory, 'conmgr.pid'), 'utf8').split('\n');
    assert.deepEqual([Number(pid), directory], [next.pid, next.directory]);
    assert.equal(statSync(join(next.directory, 'conmgr.sock')).mode & 0o777, 0o600);
    const { code, stderr } = await failedStart(next.directory);
    assert.equal(code, 1);
    assert.match(stderr, new RegExp(`PID ${next.pid}`));
  });

  it('tells the watchdogs a restart, and is the same conmgr with a new boot', async () => {
    const { set } = await start(['serves']);
    const [first] = set.watchdog(0).links;
    const coming = set.watchdog(0).nextLink();
    await replace(set.conmgr);
    const goodbye = await first!.waitFor('goodbye');
    assert.equal(GOODBYE_REASONS[goodbye.reason], 'restart');
    const [before, after] = [await first!.hello(), await (await coming).hello()];
    assert.equal(after.conmgrId, before.conmgrId);
    assert.notEqual(after.bootId, before.bootId);
  });

  it('goes on with every byte of sessions under load, three times, without a pause above 1 s', async () => {
    const scene = await start(['serves']);
    const pulses: Pulse[] = [];
    const apps = [];
    for (let i = 0; i < 20; i += 1) {
      const [driver, end] = await served(scene);
      end.socket.on('data', (chunk: Buffer) => end.socket.write(chunk));
      const question = randomBytes(3000 + 500 * i);
      pulses.push(
        new Pulse(async () => {
          const answer = await exchange(driver.socket, question, question.length);
          assert.ok(answer.equals(question));
        }),
      );
      apps.push(await scene.set.conmgr.bound());
    }
    let conmgr = scene.set.conmgr;
    for (let i = 0; i < 3; i += 1) {
      longestPause(pulses);
      const { next, allowedMs } = await replaceMeasured(conmgr, () => replace(conmgr));
      conmgr = next;
      const counts = pulses.map(({ count }) => count);
      await Promise.all(pulses.map((pulse, at) => pulse.until(() => pulse.count > counts[at]! + 5)));
      const longestMs = longestPause(pulses);
      assert.ok(longestMs < allowedMs, `${longestMs} ms, ${allowedMs} ms are allowed`);
    }
    for (const pulse of pulses) await pulse.stop();
    for (const app of apps) {
      // That the instance is not monitored for a moment is told, too.
      assert.deepEqual(new Set(kindsOf(app)), new Set(['hello', 'candidates', 'changed']));
      assert.ok(app.isOpen);
    }
  });

  it('goes on with 8 MB that are on their way in both directions', async () => {
    const scene = await start(['serves']);
    const [driver, end] = await served(scene);
    const before = driver.received.length;
    const [there, back] = [randomBytes(8 * MB), randomBytes(8 * MB)];
    end.socket.pause();
    driver.socket.pause();
    driver.send(there);
    end.socket.write(back);
    await scene.set.conmgr.until('much has been taken', ({ applications }) =>
      applications.some(
        ({ bytesFromApplication: up, bytesFromServer: down }) => up! > 100_000 && down! > 100_000,
      ),
    );
    await replace(scene.set.conmgr);
    end.socket.resume();
    driver.socket.resume();
    await eventually(() => end.log.length >= there.length && driver.log.length === before + back.length, {
      what: 'all has arrived',
      timeoutMs: 20_000,
    });
    assert.ok(end.said.equals(there));
    assert.ok(driver.received.subarray(before).equals(back));
  });

  it('tells aware sessions what changes from then on', async () => {
    const { set } = await start(['serves', 'serves']);
    const app = await set.conmgr.bound({ target: 'primary' }, 0);
    await bound(set.conmgr, 1);
    const next = await replace(set.conmgr);
    await next.linked();
    set.watchdog(0).tell({ state: 'down' });
    assert.equal((await app.next('down')).instance, 0);
  });

  it('serves who has connected while nobody accepted', async () => {
    const scene = await start(['serves']);
    const { conmgr } = scene.set;
    // Its goodbye is waited for: so long nobody accepts.
    scene.set.watchdog(0).acknowledges = false;
    const mark = conmgr.mark;
    const replacing = replace(conmgr);
    await conmgr.logged(/LOG: +received restart request/, mark);
    const [waiting] = [scene.drive(startup())];
    const app = conmgr.ask();
    await once(waiting.socket, 'connect');
    const next = await replacing;
    await waiting.until(greeting(scene.servers[0]!.key).length);
    assert.deepEqual(await app.offered(), [0]);
    await next.until('both are there', ({ applications }) => applications.length === 2);
    assert.deepEqual(conmgr.linesLike(/could not be handed over/), []);
  });

  it('goes on with openings: half a packet, and a server that has not answered yet', async () => {
    const scene = await start(['silent']);
    const packet = startup();
    const half = scene.drive(packet.subarray(0, 10));
    const asked = scene.drive(packet);
    await scene.servers[0]!.end();
    // The attempt at the silent server is given up with the process, and made anew.
    scene.servers[0]!.behaviour = 'serves';
    const next = await replace(scene.set.conmgr);
    half.send(packet.subarray(10));
    for (const driver of [half, asked]) {
      await driver.until(greeting(scene.servers[0]!.key).length);
    }
    await bound(next, 2);
  });

  it('hands CancelRequests on to the servers of sessions that it has taken over', async () => {
    const scene = await start(['serves']);
    await served(scene);
    await replace(scene.set.conmgr);
    await scene.drive(encodeCancelRequest(1, Buffer.from([1, 2, 3, 4]))).ended();
    assert.deepEqual(scene.servers[0]!.cancelled, [Buffer.from([1, 1, 2, 3, 4])]);
  });

  it('resets who was told N for want of a server, so that nothing is forwarded in plain text by surprise', async () => {
    const scene = await start([undefined], { resolve_wait: 0 });
    const driver = scene.drive(SSL_REQUEST);
    await driver.until(1);
    await replace(scene.set.conmgr);
    await driver.closed();
  });
});

describe('a changed configuration', () => {
  /** Writes a new conmgr.conf for the conmgr of a scene and has it replaced. */
  async function reconfigured(
    { set }: GatewayScene,
    settings: ConmgrSettings,
    instances: readonly InstanceLines[] = set.lines,
  ): Promise<ConmgrProcess> {
    set.conmgr.rewrite(instances, settings);
    return replace(set.conmgr);
  }

  it('with another port: that is served, the old one closed, and the sessions stay', async () => {
    const scene = await start(['serves']);
    const { conmgr } = scene.set;
    const [driver, end] = await served(scene);
    const app = await conmgr.bound();
    await bound(conmgr, 2);
    const port = await freePort();
    const next = await reconfigured(scene, { port });
    await assert.rejects(once(connect({ host: '127.0.0.1', port: conmgr.port }), 'connect'), {
      code: 'ECONNREFUSED',
    });
    assert.deepEqual(await FirstPhaseClient.start(port).offered(), [0]);
    driver.send(Buffer.from('still here'));
    await eventually(() => end.said.toString() === 'still here', { everyMs: 1, what: 'it arrives' });
    assert.ok(app.isOpen);
    const { port: shown, applications } = await next.status();
    assert.deepEqual([shown, applications[0]?.listener], [port, conmgr.port]);
  });

  it('with one more listener: both are served', async () => {
    const scene = await start(['serves']);
    const port = await freePort();
    await reconfigured(scene, { listener_port0: port, listener_target_session_attrs0: 'any' });
    for (const one of [port, scene.set.conmgr.port]) {
      const driver = new RawDriver(one, startup());
      await driver.until(greeting(scene.servers[0]!.key).length);
      driver.socket.destroy();
    }
  });

  it('without an instance: the sessions there stay, unwatched', async () => {
    const scene = await start(['serves', 'serves']);
    const { set } = scene;
    const [driver, end] = await served(scene);
    const other = await set.conmgr.bound({ target: 'standby' });
    const app = await set.conmgr.bound({ target: 'primary' });
    await set.conmgr.until(
      'all are bound',
      ({ applications }) =>
        applications.every(({ instance }) => instance !== null) && applications.length === 3,
    );
    const next = await reconfigured(scene, {}, set.lines.slice(0, 1));
    await next.until(
      'the session of the instance that is gone belongs to none',
      ({ applications, instances }) =>
        instances.length === 1 && applications.map(({ instance }) => instance).join() === '0,,0',
    );
    driver.send(Buffer.from('on'));
    await eventually(() => end.said.toString() === 'on', { everyMs: 1, what: 'it arrives' });
    assert.ok(other.isOpen && app.isOpen);
  });
});
