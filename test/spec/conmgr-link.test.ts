import assert from 'node:assert/strict';
import { connect, type Socket } from 'node:net';
import { afterEach, describe, it } from 'node:test';
import { ConmgrProcess, type ConmgrSettings } from '../support/conmgr-process.js';
import { eventually } from '../support/eventually.js';
import { freePort } from '../support/free-ports.js';
import { conmgrFor, endScene, ends, watchdog } from '../support/link-scene.js';
import { Relay } from '../support/relay.js';
import { startCommand } from '../support/running.js';
import { ScriptedPostmaster } from '../support/scripted-postmaster.js';
import { type ScriptedWatchdog, STANDBY } from '../support/scripted-watchdog.js';

const EPS_MS = 500;

afterEach(endScene);

describe('a heartbeat link', () => {
  it('begins with who calls and how the link is timed; the identity outlives a restart, the boot id does not', async () => {
    const scripted = await watchdog();
    const conmgr = await conmgrFor([scripted], { heartbeat_interval: '150ms', heartbeat_timeout: 3 });
    const hello = await (await scripted.nextLink(0)).hello();
    assert.deepEqual([hello.intervalMs, hello.timeoutMs], [150, 3000]);
    assert.deepEqual([hello.versionMin, hello.versionMax, hello.systemIdentifier], [1, 1, 0n]);
    assert.match(hello.software, /^conmgr \d/);
    assert.ok(hello.label.endsWith(`:${conmgr.directory}`));
    await conmgr.stop();
    const again = await ConmgrProcess.start({
      directory: conmgr.directory,
      instances: [{ backendPort: await freePort(), watchdogPort: scripted.port }],
    });
    ends.push(() => again.stop('SIGQUIT'));
    const second = await (await scripted.nextLink(1)).hello();
    assert.equal(second.conmgrId, hello.conmgrId);
    assert.notEqual(second.bootId, hello.bootId);
  });

  it('carries a packet every heartbeat_interval, whatever else flows', async () => {
    const scripted = await watchdog();
    const conmgr = await conmgrFor([scripted]);
    const link = await scripted.nextLink(0);
    await conmgr.linked();
    const asking = { on: true };
    const load = (async () => {
      while (asking.on) {
        const app = conmgr.ask({ target: 'primary' });
        await app.candidates();
        app.leave();
      }
    })();
    const beats = () => link.received.filter(({ message }) => message.name === 'beat');
    await eventually(() => beats().length >= 12, { what: 'twelve beats have come' });
    asking.on = false;
    await load;
    const gaps = beats()
      .slice(1)
      .map(({ atMs }, at) => atMs - beats()[at]!.atMs);
    const meanMs = gaps.reduce((sum, gap) => sum + gap, 0) / gaps.length;
    assert.ok(Math.abs(meanMs - 100) < 15, `every ${meanMs} ms`);
    assert.ok(Math.max(...gaps) < 100 + EPS_MS, `gaps ${gaps.map(Math.round).join(' ')}`);
  });

  it('lives by any complete packet, not by beats alone', async () => {
    const scripted = await watchdog();
    const conmgr = await conmgrFor([scripted], { heartbeat_timeout: '400ms' });
    const app = await conmgr.bound({ target: 'primary' }).catch(async () => {
      await conmgr.linked();
      return conmgr.bound({ target: 'primary' });
    });
    scripted.link.silence();
    for (let position = 1n; position <= 8n; position += 1n) {
      scripted.tell({ position });
      const beats = scripted.link.count('beat');
      await eventually(() => scripted.link.count('beat') > beats, { what: 'conmgr beats' });
    }
    assert.deepEqual(
      app.messages.map(({ kind }) => kind),
      ['hello', 'candidates'],
    );
    assert.ok(scripted.link.open);
    assert.equal(scripted.links.length, 1);
  });

  it('measures the round trip', async () => {
    const scripted = await watchdog();
    const conmgr = await conmgrFor([scripted]);
    await scripted.nextLink(0);
    await eventually(async () => (await conmgr.status()).instances[0]?.link.rttMs !== null, {
      what: 'the round trip is known',
    });
    const { link } = (await conmgr.status()).instances[0]!;
    assert.ok(link.rttMs! > 0 && link.rttMs! < 100, `${link.rttMs} ms`);
    assert.ok(link.lastPacketAgeMs! >= 0 && link.lastPacketAgeMs! < 1000);
  });

  it('an attempt is cut off after heartbeat_connect_timeout when the first packet is not answered; the next comes after heartbeat_connect_interval', async () => {
    const scripted = await watchdog({ greeting: 'silence' });
    // A busy machine shows events late, so "not before" is counted from the start of conmgr.
    const begunMs = performance.now();
    const conmgr = await conmgrFor([scripted], {
      heartbeat_connect_timeout: '300ms',
      heartbeat_connect_interval: '200ms',
    });
    const first = await scripted.nextLink(0);
    const greetedMs = first.received[0]!.atMs;
    await first.closed;
    const cutMs = performance.now();
    assert.ok(cutMs - begunMs >= 300, `cut off ${cutMs - begunMs} ms after the start`);
    assert.ok(cutMs - greetedMs <= 300 + EPS_MS, `cut off after ${cutMs - greetedMs} ms`);
    const second = await scripted.nextLink(1);
    const againMs = second.received[0]!.atMs;
    assert.ok(againMs - begunMs >= 500, `tried again ${againMs - begunMs} ms after the start`);
    assert.ok(againMs - cutMs <= 200 + EPS_MS, `tried again after ${againMs - cutMs} ms`);
    await conmgr.logged(
      /WARNING: +could not set up link to instance 0 .*: watchdog did not answer the first packet/,
    );
  });

  it('an attempt is cut off after heartbeat_connect_timeout when TCP does not connect', async () => {
    const port = await freePort();
    // A listener that does not accept: once its queue is full, connecting hangs.
    const stopped = startCommand(process.execPath, [
      '-e',
      `require('node:net').createServer().listen({ port: ${port}, host: '127.0.0.1', backlog: 1 }, () => {
        console.log('listening'); process.kill(process.pid, 'SIGSTOP'); });`,
    ]);
    ends.push(() => stopped.stop('SIGKILL'));
    await stopped.waitForLine(/listening/);
    const fillers: Socket[] = [];
    ends.push(() => {
      for (const socket of fillers) socket.destroy();
    });
    await eventually(
      () => {
        fillers.push(connect(port, '127.0.0.1').on('error', () => {}));
        return fillers.length > 4 && fillers.slice(-5, -1).some(({ connecting }) => connecting);
      },
      { what: 'the queue is full' },
    );
    const other = await watchdog({ attributes: STANDBY });
    const conmgr = await conmgrFor([{ backendPort: await freePort(), watchdogPort: port }, other], {
      heartbeat_connect_timeout: '300ms',
    });
    await conmgr.logged(/WARNING: +could not set up link to instance 0 .*: connection attempt timed out/);
    await conmgr.untilInstance(1, 'is up', ({ link }) => link.phase === 'up');
  });

  it('a failure is logged once while its cause stays the same, and the recovery is logged', async () => {
    const scripted = await watchdog({ greeting: 'close' });
    const conmgr = await conmgrFor([scripted], { heartbeat_connect_interval: '50ms' });
    await eventually(() => scripted.links.length >= 5, { what: 'five attempts' });
    assert.equal(conmgr.linesLike(/could not set up link|still cannot/).length, 1);
    scripted.greeting = 'welcome';
    await conmgr.logged(/LOG: +link to instance 0 .* is up/);
    await conmgr.logged(/LOG: +link to instance 0 .* is back after \d+\.\d s and \d+ failed attempts/);
  });

  it('a failure with another cause is logged anew', async () => {
    const scripted = await watchdog({ greeting: 'close' });
    const conmgr = await conmgrFor([scripted]);
    await conmgr.logged(/could not set up link/);
    scripted.greeting = { raw: Buffer.from('SSH-2.0-OpenSSH_9.2\r\n') };
    await conmgr.logged(/could not set up link .*: frame length \d+ is not between/);
    scripted.greeting = { reject: 'limit', text: 'too many heartbeat connections' };
    await conmgr.logged(/ERROR: +watchdog of instance 0 .* refused the link: too many heartbeat connections/);
  });

  it('a refusal that names a pause is obeyed: no attempt before it has passed', async () => {
    const scripted = await watchdog({ greeting: { reject: 'limit', retryAfterMs: 700 } });
    await conmgrFor([scripted], { heartbeat_connect_interval: '50ms' });
    const first = await scripted.nextLink(0);
    const second = await scripted.nextLink(1);
    const pauseMs = second.received[0]!.atMs - first.received[0]!.atMs;
    assert.ok(pauseMs >= 690 && pauseMs <= 700 + EPS_MS, `${pauseMs} ms`);
  });

  it('a length field of 4 GB ends the link before anything is buffered', async () => {
    const scripted = await watchdog();
    const conmgr = await conmgrFor([scripted]);
    await conmgr.linked();
    const beforeKb = conmgr.residentKb;
    scripted.link.sendRaw(Buffer.from('ffffffff0500', 'hex'));
    await scripted.link.closed;
    await scripted.nextLink(1);
    assert.ok(conmgr.residentKb - beforeKb < 20_000);
  });

  it('a message of an unknown type is skipped, unless it says that it must be understood', async () => {
    const scripted = await watchdog();
    const conmgr = await conmgrFor([scripted]);
    await conmgr.linked();
    scripted.link.sendRaw(Buffer.from('00000002c800', 'hex'));
    const beats = scripted.link.count('beat');
    await eventually(() => scripted.link.count('beat') > beats + 1, { what: 'conmgr beats' });
    assert.ok(scripted.link.open);
    scripted.link.sendRaw(Buffer.from('00000002c801', 'hex'));
    await scripted.link.closed;
  });

  it('the loss of one link leaves the others alone', async () => {
    const [one, two] = [await watchdog(), await watchdog({ attributes: STANDBY })];
    const conmgr = await conmgrFor([one, two], { heartbeat_timeout: '400ms' });
    await conmgr.linked();
    one.link.silence();
    await conmgr.untilInstance(0, 'is lost', ({ health }) => health === 'lost');
    const { link, health } = (await conmgr.status()).instances[1]!;
    assert.deepEqual([link.phase, health], ['up', 'monitored']);
    assert.equal(two.links.length, 1);
  });
});

describe('a conmgr that was itself away', () => {
  it('reads what has arrived before it declares a peer dead: no loss when the watchdog kept beating', async () => {
    const scripted = await watchdog();
    const conmgr = await conmgrFor([scripted], { heartbeat_timeout: '400ms' });
    await conmgr.linked();
    const app = await conmgr.bound({ target: 'primary' });
    for (let round = 0; round < 3; round += 1) {
      process.kill(conmgr.pid, 'SIGSTOP');
      const sent = scripted.link.beatsSent;
      await eventually(() => scripted.link.beatsSent >= sent + 8, { what: 'eight beats are sent' });
      process.kill(conmgr.pid, 'SIGCONT');
      const beats = scripted.link.count('beat');
      await eventually(() => scripted.link.count('beat') > beats + 5, { what: 'conmgr beats again' });
    }
    assert.deepEqual(
      app.messages.map(({ kind }) => kind),
      ['hello', 'candidates'],
    );
    assert.equal(scripted.links.length, 1);
    assert.deepEqual(conmgr.linesLike(/is lost/), []);
  });

  it('a peer that fell silent meanwhile is given the time by which conmgr was late, once, then lost', async () => {
    const scripted = await watchdog();
    const conmgr = await conmgrFor([scripted], { heartbeat_timeout: '400ms' });
    await conmgr.linked();
    const app = await conmgr.bound({ target: 'primary' });
    process.kill(conmgr.pid, 'SIGSTOP');
    const sent = scripted.link.beatsSent;
    await eventually(() => scripted.link.beatsSent >= sent + 2, { what: 'two beats are sent' });
    scripted.link.silence();
    const silentMs = performance.now();
    await eventually(() => performance.now() - silentMs > 800, { what: 'twice the time-out has passed' });
    process.kill(conmgr.pid, 'SIGCONT');
    const resumedMs = performance.now();
    const down = await app.next('down');
    assert.equal(down.reason, 'heartbeat timeout');
    const tookMs = down.atMs - resumedMs;
    assert.ok(tookMs <= 400 + 400 + EPS_MS, `told ${tookMs} ms after it woke`);
    assert.equal(app.messages.filter(({ kind }) => kind === 'down').length, 1);
  });

  it('a postmaster that answered meanwhile is not taken for dead', async () => {
    const scripted = await watchdog();
    const postmaster = await ScriptedPostmaster.start();
    ends.push(() => postmaster.stop());
    const conmgr = await conmgrFor([{ backendPort: postmaster.port, watchdogPort: scripted.port }], {
      heartbeat_timeout: '400ms',
    });
    await conmgr.linked();
    const app = await conmgr.bound({ target: 'primary' });
    await scripted.refuse();
    scripted.link.close();
    await conmgr.untilInstance(0, 'is unmonitored', ({ health }) => health === 'unmonitored');
    process.kill(conmgr.pid, 'SIGSTOP');
    const stoppedMs = performance.now();
    await eventually(() => performance.now() - stoppedMs > 1000, {
      what: 'more than the time-out has passed',
    });
    process.kill(conmgr.pid, 'SIGCONT');
    await postmaster.nextProbe();
    await postmaster.nextProbe();
    await postmaster.nextProbe();
    assert.deepEqual(
      app.messages.filter(({ kind }) => kind === 'down'),
      [],
    );
    assert.equal((await conmgr.status()).instances[0]?.health, 'unmonitored');
  });
});

describe('a broken network under a link', () => {
  async function behindRelay(
    settings: ConmgrSettings,
  ): Promise<{ conmgr: ConmgrProcess; scripted: ScriptedWatchdog; relay: Relay }> {
    const scripted = await watchdog();
    const relay = await Relay.start({ host: scripted.host, port: scripted.port });
    ends.push(() => relay.close());
    const conmgr = await conmgrFor([{ backendPort: await freePort(), watchdogPort: relay.port }], settings);
    await conmgr.linked();
    return { conmgr, scripted, relay };
  }

  it('silence shorter than the time-out is no event', async () => {
    const { conmgr, scripted, relay } = await behindRelay({ heartbeat_timeout: '1500ms' });
    const app = await conmgr.bound({ target: 'primary' });
    relay.pause();
    const sent = scripted.link.beatsSent;
    await eventually(() => scripted.link.beatsSent >= sent + 6, { what: 'six beats are held up' });
    relay.resume();
    const beats = scripted.link.count('beat');
    await eventually(() => scripted.link.count('beat') > beats + 3, { what: 'beats flow again' });
    assert.deepEqual(
      app.messages.map(({ kind }) => kind),
      ['hello', 'candidates'],
    );
    assert.equal(scripted.links.length, 1);
  });

  it('a cable cut towards conmgr only is a loss at conmgr', async () => {
    const { conmgr, relay } = await behindRelay({ heartbeat_timeout: '400ms' });
    const app = await conmgr.bound({ target: 'primary' });
    relay.pause('toClient');
    assert.equal((await app.next('down')).reason, 'heartbeat timeout');
  });

  it('a steady delay of several intervals is no event: beats keep their spacing', async () => {
    const { conmgr, scripted, relay } = await behindRelay({ heartbeat_timeout: '1500ms' });
    const app = await conmgr.bound({ target: 'primary' });
    relay.delay(300);
    const beats = scripted.link.count('beat');
    await eventually(() => scripted.link.count('beat') > beats + 12, { what: 'beats flow' });
    assert.deepEqual(
      app.messages.map(({ kind }) => kind),
      ['hello', 'candidates'],
    );
    assert.equal(scripted.links.length, 1);
  });

  it('frames cut into single bytes are understood', async () => {
    const scripted = await watchdog();
    const relay = await Relay.start({ host: scripted.host, port: scripted.port });
    ends.push(() => relay.close());
    relay.chop(1);
    const conmgr = await conmgrFor([{ backendPort: await freePort(), watchdogPort: relay.port }]);
    await conmgr.linked();
    assert.equal(scripted.links.length, 1);
  });
});
