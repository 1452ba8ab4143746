import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { attributeNames } from '../../src/core/protocol/attributes.js';
import { ConmgrProcess, type ConmgrSettings } from '../support/conmgr-process.js';
import type { FirstPhaseClient } from '../support/first-phase-client.js';
import { ScriptedPostmaster } from '../support/scripted-postmaster.js';
import { ScriptedWatchdog, STANDBY } from '../support/scripted-watchdog.js';

/** What a busy machine may add to a bound. */
const EPS_MS = 500;

/** A primary and a standby, scripted, and a conmgr that is linked to both. */
interface Scene {
  readonly primary: ScriptedWatchdog;
  readonly standby: ScriptedWatchdog;
  readonly postmaster: ScriptedPostmaster;
  readonly conmgr: ConmgrProcess;
}

let ends: (() => unknown)[] = [];
beforeEach(() => {
  ends = [];
});
afterEach(async () => {
  for (const end of ends.reverse()) await end();
});

async function scene(settings: ConmgrSettings = {}): Promise<Scene> {
  const [primary, standby, postmaster] = await Promise.all([
    ScriptedWatchdog.start(),
    ScriptedWatchdog.start({ attributes: STANDBY }),
    ScriptedPostmaster.start(),
  ]);
  ends.push(
    () => primary.stop(),
    () => standby.stop(),
    () => postmaster.stop(),
  );
  const conmgr = await ConmgrProcess.start({
    instances: [
      { backendPort: postmaster.port, watchdogPort: primary.port },
      { backendPort: standby.port, watchdogPort: standby.port },
    ],
    settings,
  });
  ends.push(() => conmgr.stop('SIGQUIT'));
  await conmgr.linked();
  return { primary, standby, postmaster, conmgr };
}

/** That an application hears nothing of a loss is known once it hears of something that happened later. */
async function assertUndisturbed(app: FirstPhaseClient, { primary }: Pick<Scene, 'primary'>): Promise<void> {
  const { timeline } = primary.attributes;
  primary.tell({ bits: primary.attributes.bits ^ 0x0100, timeline });
  await app.next('changed');
  assert.deepEqual(
    app.messages.filter(({ kind }) => kind === 'down'),
    [],
  );
  assert.ok(app.isOpen);
}

describe('what a loss means', () => {
  it('no packet for heartbeat_timeout: the sessions are ended within heartbeat_timeout + eps, not before it', async () => {
    const { primary, conmgr } = await scene({ heartbeat_timeout: '400ms' });
    const app = await conmgr.bound({ target: 'primary' });
    await conmgr.untilInstance(0, 'has a session', ({ sessions }) => sessions === 1);
    primary.link.silence();
    const silentMs = performance.now();
    const down = await app.next('down');
    assert.equal(down.reason, 'heartbeat timeout');
    assert.equal(down.action, 'drop');
    assert.equal(down.instance, 0);
    const tookMs = down.atMs - silentMs;
    assert.ok(tookMs <= 400 + EPS_MS, `told after ${tookMs} ms`);
    assert.ok(tookMs >= 400 - 100 - 20, `told after ${tookMs} ms`);
    await conmgr.logged(/WARNING: +instance 0 \(.*\) is lost: heartbeat timeout/);
    await conmgr.logged(/DETAIL: +no packet for \d+ ms; 1 application sessions were told/);
  });

  it('no packet for heartbeat_timeout: the postmaster is not asked first', async () => {
    const { primary, conmgr, postmaster } = await scene({ heartbeat_timeout: '400ms' });
    const app = await conmgr.bound({ target: 'primary' });
    const before = postmaster.probes.length;
    primary.link.silence();
    await app.next('down');
    assert.equal(postmaster.probes.length, before);
  });

  it('instance down: the sessions are ended at once, with the reason the watchdog gave', async () => {
    const { primary, conmgr } = await scene();
    const app = await conmgr.bound({ target: 'primary' });
    primary.tell({ state: 'down', bits: 0, text: 'postmaster is gone' });
    const toldMs = performance.now();
    const down = await app.next('down');
    assert.deepEqual([down.reason, down.text], ['instance down', 'postmaster is gone']);
    assert.ok(down.atMs - toldMs < 100 + EPS_MS);
    const instance = await conmgr.untilInstance(0, 'is down', ({ state }) => state === 'down');
    assert.equal(instance.health, 'down');
    assert.equal(instance.link.phase, 'up');
    await conmgr.logged(/WARNING: +instance 0 .* is down: postmaster is gone/);
  });

  for (const how of ['close', 'reset'] as const) {
    it(`link ${how === 'close' ? 'closed by FIN' : 'reset'} without goodbye: the postmaster answers, so sessions stay, attributes are stale, WARNING`, async () => {
      const { primary, conmgr, postmaster } = await scene();
      const app = await conmgr.bound({ target: 'primary' });
      const probed = postmaster.nextProbe();
      await primary.refuse();
      primary.link[how]();
      await probed;
      const instance = await conmgr.untilInstance(
        0,
        'is unmonitored',
        ({ health }) => health === 'unmonitored',
      );
      assert.deepEqual([instance.stale, instance.state, instance.role], [true, 'up', 'primary']);
      await conmgr.logged(/WARNING: +instance 0 .* is not monitored/);
      assert.ok(postmaster.wasAskedPolitely);
      const [candidate] = await conmgr.ask({ target: 'primary' }).candidates();
      assert.equal(candidate?.instance, 0);
      assert.ok(attributeNames(candidate.bits).includes('stale'));
      await primary.accept();
      await conmgr.untilInstance(0, 'is monitored again', ({ health }) => health === 'monitored');
      await assertUndisturbed(app, { primary });
    });
  }

  it('link closed, the postmaster answers, but a watchdog of another cluster is in its place: not offered, sessions are told', async () => {
    const { primary, conmgr, postmaster } = await scene();
    const app = await conmgr.bound({ target: 'primary' });
    const probed = postmaster.nextProbe();
    primary.greeting = { reject: 'wrongCluster', text: 'this instance belongs to another cluster' };
    primary.link.reset();
    await probed;
    const down = await app.next('down');
    assert.deepEqual([down.reason, down.text], ['instance down', 'this instance belongs to another cluster']);
    assert.equal((await conmgr.ask({ target: 'primary' }).refusal()).sqlState, '57P03');
    assert.deepEqual(await conmgr.ask({ target: 'any' }).offered(), [1]);
    primary.greeting = 'welcome';
    await conmgr.untilInstance(0, 'is monitored again', ({ health }) => health === 'monitored');
    assert.deepEqual(await conmgr.ask({ target: 'primary' }).offered(), [0]);
  });

  it('link closed without goodbye: the postmaster is gone, so sessions are ended at once', async () => {
    const { primary, conmgr, postmaster } = await scene();
    const app = await conmgr.bound({ target: 'primary' });
    postmaster.stop();
    await primary.refuse();
    primary.link.close();
    const closedMs = performance.now();
    const down = await app.next('down');
    assert.equal(down.reason, 'link closed');
    assert.ok(down.atMs - closedMs < 200 + EPS_MS);
  });

  it('link closed without goodbye: the postmaster does not answer within 1 s, so sessions are ended', async () => {
    const { primary, conmgr, postmaster } = await scene();
    const app = await conmgr.bound({ target: 'primary' });
    postmaster.behaviour = 'silent';
    await primary.refuse();
    primary.link.close();
    const closedMs = performance.now();
    const down = await app.next('down');
    const tookMs = down.atMs - closedMs;
    assert.ok(tookMs >= 980 && tookMs <= 1000 + EPS_MS, `told after ${tookMs} ms`);
    assert.equal(down.reason, 'link closed');
  });

  it('a violation of the protocol ends the link, not the sessions', async () => {
    const { primary, conmgr } = await scene();
    const app = await conmgr.bound({ target: 'primary' });
    const before = primary.links.length;
    primary.link.sendRaw(Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n'));
    const next = await primary.nextLink(before);
    assert.ok(next.open);
    await conmgr.untilInstance(0, 'is monitored', ({ health }) => health === 'monitored');
    await assertUndisturbed(app, { primary });
  });

  it('while a link is down and the postmaster answers, it is probed every heartbeat_interval; heartbeat_timeout without an answer ends the sessions', async () => {
    const { primary, conmgr, postmaster } = await scene({ heartbeat_timeout: '600ms' });
    const app = await conmgr.bound({ target: 'primary' });
    await primary.refuse();
    primary.link.close();
    await conmgr.untilInstance(0, 'is unmonitored', ({ health }) => health === 'unmonitored');
    await postmaster.nextProbe();
    await postmaster.nextProbe();
    assert.deepEqual(
      app.messages.filter(({ kind }) => kind === 'down'),
      [],
    );
    postmaster.behaviour = 'silent';
    const frozenMs = performance.now();
    const down = await app.next('down');
    const tookMs = down.atMs - frozenMs;
    assert.equal(down.reason, 'heartbeat timeout');
    assert.ok(tookMs >= 600 - 120 && tookMs <= 600 + EPS_MS, `told after ${tookMs} ms`);
  });

  it('goodbye, restarting: sessions stay, attributes are stale until the link is back', async () => {
    const { primary, conmgr } = await scene();
    const app = await conmgr.bound({ target: 'primary' });
    await primary.refuse();
    primary.link.goodbye('restart', 5000, 'upgrade');
    await primary.link.waitFor('goodbyeAck');
    const instance = await conmgr.untilInstance(0, 'is in grace', ({ health }) => health === 'grace');
    assert.equal(instance.stale, true);
    await conmgr.logged(/LOG: +watchdog of instance 0 .* restarts; sessions stay for 5000 ms/);
    await primary.accept();
    const back = await conmgr.untilInstance(0, 'is monitored', ({ health }) => health === 'monitored');
    assert.equal(back.stale, false);
    await assertUndisturbed(app, { primary });
  });

  it('goodbye, restarting: after the grace the postmaster decides', async () => {
    const { primary, conmgr, postmaster } = await scene();
    const app = await conmgr.bound({ target: 'primary' });
    await primary.refuse();
    primary.link.goodbye('restart', 300);
    // The grace is short, so a look at the status could miss it; the log does not.
    await conmgr.logged(/watchdog of instance 0 .* restarts; sessions stay for 300 ms/);
    await conmgr.untilInstance(0, 'is unmonitored', ({ health }) => health === 'unmonitored');
    assert.ok(postmaster.probes.length > 0);
    assert.deepEqual(
      app.messages.filter(({ kind }) => kind === 'down'),
      [],
    );
  });

  it('goodbye, stopping: sessions stay while the postmaster answers; WARNING that the instance is not monitored', async () => {
    const { primary, conmgr } = await scene();
    const app = await conmgr.bound({ target: 'primary' });
    await primary.refuse();
    primary.link.goodbye('stop', 0, 'stopped by administrator');
    await conmgr.logged(/WARNING: +instance 0 .* is not monitored: stopped by administrator/);
    assert.deepEqual(
      app.messages.filter(({ kind }) => kind === 'down'),
      [],
    );
    assert.deepEqual(await conmgr.ask({ target: 'primary' }).offered(), [0]);
  });

  it('goodbye, stopping: ended when the postmaster does not answer', async () => {
    const { primary, conmgr, postmaster } = await scene();
    const app = await conmgr.bound({ target: 'primary' });
    postmaster.stop();
    await primary.refuse();
    primary.link.goodbye('stop');
    assert.equal((await app.next('down')).reason, 'link closed');
  });

  it('goodbye, host shutdown: not offered from now on; sessions are ended when the postmaster stops answering', async () => {
    const { primary, conmgr, postmaster } = await scene();
    const app = await conmgr.bound({ target: 'primary' });
    await primary.refuse();
    primary.link.goodbye('hostShutdown');
    await conmgr.untilInstance(0, 'is leaving', ({ health }) => health === 'leaving');
    const refusal = await conmgr.ask({ target: 'primary' }).refusal();
    assert.equal(refusal.sqlState, '57P03');
    assert.match(refusal.detail, /Instance 0 \(.*\): shutting down\./);
    await postmaster.nextProbe();
    assert.deepEqual(
      app.messages.filter(({ kind }) => kind === 'down'),
      [],
    );
    postmaster.stop();
    const stoppedMs = performance.now();
    const down = await app.next('down');
    assert.equal(down.reason, 'instance shutting down');
    assert.ok(down.atMs - stoppedMs < 250 + EPS_MS);
  });

  it('only the sessions of the lost instance are told', async () => {
    const { primary, conmgr, standby } = await scene();
    const [writer, reader] = [
      await conmgr.bound({ target: 'primary' }),
      await conmgr.bound({ target: 'standby' }),
    ];
    primary.tell({ state: 'down', bits: 0 });
    await writer.next('down');
    standby.tell({ timeline: 2, bits: standby.attributes.bits ^ 0x0100 });
    await reader.next('changed');
    assert.deepEqual(
      reader.messages.filter(({ kind }) => kind === 'down'),
      [],
    );
  });

  it('a lost instance whose link comes back is offered again, and that is logged', async () => {
    const { primary, conmgr } = await scene({ heartbeat_timeout: '400ms' });
    const mark = conmgr.mark;
    primary.link.silence();
    await conmgr.untilInstance(0, 'is lost', ({ health }) => health === 'lost');
    await conmgr.untilInstance(0, 'is monitored', ({ health }) => health === 'monitored');
    await conmgr.logged(/LOG: +instance 0 .* is back/, mark);
    assert.deepEqual(await conmgr.ask({ target: 'primary' }).offered(), [0]);
  });

  it('a stale primary is offered only while no live instance claims to be primary', async () => {
    const { primary, conmgr, standby } = await scene();
    await primary.refuse();
    primary.link.close();
    await conmgr.untilInstance(0, 'is unmonitored', ({ health }) => health === 'unmonitored');
    assert.deepEqual(await conmgr.ask({ target: 'primary' }).offered(), [0]);
    standby.tell({ bits: primary.attributes.bits, timeline: 2 });
    await conmgr.until('the other is primary', (status) => status.primary === 1);
    assert.deepEqual(await conmgr.ask({ target: 'primary' }).offered(), [1]);
  });

  it('a watchdog that cannot look into its instance ends nothing: the last attributes stay, marked stale', async () => {
    const { primary, conmgr } = await scene();
    const app = await conmgr.bound({ target: 'primary' });
    primary.tell({ state: 'unknown', bits: 0, text: 'password authentication failed' });
    await conmgr.logged(/WARNING: +watchdog of instance 0 .* cannot look into the instance: password/);
    const { stale, role, health } = (await conmgr.status()).instances[0]!;
    assert.deepEqual([stale, role, health], [true, 'primary', 'monitored']);
    assert.deepEqual(await conmgr.ask({ target: 'primary' }).offered(), [0]);
    primary.tell({ ...primary.attributes, state: 'up', bits: 3, text: '' });
    await assertUndisturbed(app, { primary });
  });
});
