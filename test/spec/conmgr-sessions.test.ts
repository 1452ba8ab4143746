import assert from 'node:assert/strict';
import { userInfo } from 'node:os';
import { afterEach, describe, it } from 'node:test';
import { attributeNames } from '../../src/core/protocol/attributes.js';
import { encodeBound } from '../../src/core/protocol/first-phase.js';
import type { ConmgrSettings } from '../support/conmgr-process.js';
import { eventually } from '../support/eventually.js';
import type { FirstPhaseClient } from '../support/first-phase-client.js';
import { kindsOf, ScriptedSet } from '../support/scripted-set.js';
import { PRIMARY, STANDBY } from '../support/scripted-watchdog.js';

const EPS_MS = 500;

const sets: ScriptedSet[] = [];
afterEach(async () => {
  await Promise.all(sets.splice(0).map((set) => set.end()));
});

async function startSet(
  attributes: Parameters<typeof ScriptedSet.start>[0] = [PRIMARY, STANDBY],
  settings: ConmgrSettings = {},
): Promise<ScriptedSet> {
  const set = await ScriptedSet.start(attributes, { settings });
  sets.push(set);
  return set;
}

describe('max_connections', () => {
  it('a connection too many is refused with 57P03 that names the limit, and logged at LOG; it is not closed silently', async () => {
    const { conmgr } = await startSet([PRIMARY], { max_connections: 2 });
    const held = [await conmgr.bound(), await conmgr.bound()];
    const surplus = conmgr.ask();
    const refusal = await surplus.refusal();
    assert.equal(refusal.sqlState, '57P03');
    assert.match(refusal.message, /^conmgr: sorry, too many application connections already$/);
    assert.match(refusal.detail, /max_connections of conmgr is 2\./);
    await surplus.closed();
    await conmgr.logged(/LOG: +refused application connection: max_connections = 2 reached/);
    assert.ok(held.every(({ isOpen }) => isOpen));
    held[0]?.leave();
    await conmgr.until('one is left', ({ applications }) => applications.length === 1);
    assert.deepEqual(await conmgr.ask().offered(), [0]);
  });

  it('0, the default, is no limit', async () => {
    const { conmgr } = await startSet([PRIMARY]);
    const apps = Array.from({ length: 200 }, () => conmgr.ask());
    await Promise.all(apps.map((app) => app.candidates()));
    assert.equal((await conmgr.status()).applications.length, 200);
  });
});

describe('an application session', () => {
  it('is shown with its process, its user, what it asked for and where it went', async () => {
    const { conmgr } = await startSet();
    const beforeMs = Date.now();
    const app = await conmgr.bound({ target: 'standby', app: 'billing é' });
    const { applications, instances } = await conmgr.until(
      'it is bound',
      (status) => status.applications[0]?.instance === 1,
    );
    assert.equal(applications.length, 1);
    const { pid, program, user, application, target, mode, since } = applications[0]!;
    assert.deepEqual(
      { pid, user, application, target, mode },
      {
        pid: process.pid,
        user: userInfo().username,
        application: 'billing é',
        target: 'standby',
        mode: 'aware',
      },
    );
    assert.match(program ?? '', /node/i);
    assert.ok(since >= beforeMs - 1000 && since <= Date.now() + 1000);
    assert.deepEqual(
      instances.map(({ sessions }) => sessions),
      [0, 1],
    );
    app.leave();
  });

  for (const how of ['leave', 'vanish'] as const) {
    it(`is over when the application ${how === 'leave' ? 'says so' : 'resets its connection'}`, async () => {
      const { conmgr } = await startSet();
      const app = await conmgr.bound();
      await conmgr.until('it is there', ({ applications }) => applications.length === 1);
      app[how]();
      await conmgr.until('it is gone', ({ applications }) => applications.length === 0);
      assert.deepEqual(conmgr.linesLike(/closed application connection/), []);
    });
  }

  it('may say where it goes in the same packet as its question', async () => {
    const { conmgr } = await startSet();
    const behind = encodeBound({ kind: 'bound', instance: 1, address: '127.0.0.1', port: 1 });
    const app = conmgr.ask({ target: 'any' }, { behind });
    await app.candidates();
    await conmgr.untilInstance(1, 'has the session', ({ sessions }) => sessions === 1);
  });

  it('that breaks the protocol loses its own connection and no more', async () => {
    const { conmgr } = await startSet();
    const other = await conmgr.bound({ target: 'primary' });
    for (const bytes of [
      'Q\0\0\0\x0dSELECT 1;\0',
      'm\xff\xff\xff\xff',
      'm\0\0\0\x05\x81',
      '\x16\x03\x01\0\0',
    ]) {
      const app = await conmgr.bound({ target: 'primary' });
      app.send(Buffer.from(bytes, 'latin1'));
      await app.closed();
    }
    await conmgr.logged(/LOG: +closed application connection from 127\.0\.0\.1:\d+: /);
    await conmgr.until('one is left', ({ applications }) => applications.length === 1);
    assert.ok(other.isOpen);
  });

  it('is told of every change of its instance that it could see, and of no other', async () => {
    const { conmgr, ...set } = await startSet();
    const app = await conmgr.bound({ target: 'primary' });
    await conmgr.until('it is bound', ({ applications }) => applications[0]?.instance === 0);
    set.watchdogs[1]!.tell({ bits: STANDBY.bits | 0x0100 });
    set.watchdogs[0]!.tell({ position: 99n });
    await eventually(async () => (await conmgr.status()).instances[0]?.position === '0/63', {
      what: 'the position has arrived',
    });
    set.watchdogs[0]!.tell({ bits: PRIMARY.bits | 0x0100 });
    const changed = await app.next('changed');
    assert.equal(changed.instance, 0);
    assert.ok(attributeNames(changed.bits).includes('full'));
    assert.deepEqual(kindsOf(app), ['hello', 'candidates', 'changed']);
    const [hello] = app.messages;
    assert.ok(hello?.kind === 'hello' && changed.view > hello.view);
  });

  it('gets PING every heartbeat_interval if it asked for it, else none', async () => {
    const { conmgr } = await startSet();
    const [with1, without] = [await conmgr.bound({ ping: true }), await conmgr.bound({ ping: false })];
    const first = await with1.next('ping');
    await with1.next('ping');
    const third = await with1.next('ping');
    const spanMs = third.atMs - first.atMs;
    assert.ok(spanMs >= 150 && spanMs <= 200 + EPS_MS, `${spanMs} ms`);
    assert.deepEqual(kindsOf(without), ['hello', 'candidates']);
  });

  it('that does not read is closed when more than 64 kB wait for it, and memory stays flat', async () => {
    const { conmgr } = await startSet();
    const other = await conmgr.bound({ target: 'primary' });
    const app = await conmgr.bound({ target: 'primary' });
    const beforeKb = conmgr.residentKb;
    app.stopReading();
    // Each is answered: the instance is not in the configuration.
    const flood = Buffer.concat(
      Array.from({ length: 1000 }, () =>
        encodeBound({ kind: 'bound', instance: 999, address: '127.0.0.1', port: 1 }),
      ),
    );
    await eventually(
      async () => {
        app.send(flood);
        return (await conmgr.status()).applications.length === 1;
      },
      { what: 'it is closed', timeoutMs: 30_000 },
    );
    assert.ok(other.isOpen);
    assert.ok(conmgr.residentKb - beforeKb < 40_000, `${conmgr.residentKb - beforeKb} kB more`);
  });
});

describe('a session that comes back after a restart of conmgr', () => {
  it('is taken without candidates, is watched again once it has said where it goes, and told of a loss', async () => {
    const { conmgr, ...set } = await startSet();
    const app = conmgr.ask({ target: 'primary', attach: 0 });
    await app.next('hello');
    app.bind(0);
    await conmgr.untilInstance(0, 'has the session', ({ sessions }) => sessions === 1);
    assert.deepEqual(kindsOf(app), ['hello']);
    set.watchdogs[0]!.tell({ state: 'down', bits: 0 });
    const down = await app.next('down');
    assert.deepEqual([down.action, down.reason], ['drop', 'instance down']);
  });

  it('is taken while no instance is available', async () => {
    const { conmgr, ...set } = await startSet([PRIMARY]);
    set.watchdogs[0]!.tell({ bits: 0, state: 'starting' });
    await conmgr.until('there is no primary', ({ primary }) => primary === null);
    const app = conmgr.ask({ target: 'primary', attach: 0 });
    await app.next('hello');
    assert.ok(app.isOpen);
  });
});

describe('BOUND', () => {
  it('to an instance that was lost meanwhile is answered with DOWN at once', async () => {
    const { conmgr, ...set } = await startSet([PRIMARY, STANDBY], { heartbeat_timeout: '400ms' });
    const app = conmgr.ask({ target: 'primary' });
    await app.candidates();
    await set.watchdogs[0]!.refuse();
    set.watchdogs[0]!.link.silence();
    // It is already on its way there, so it is told of the loss, too.
    await app.next('down');
    app.bind(0);
    const down = await app.next('down');
    assert.deepEqual([down.instance, down.action], [0, 'drop']);
  });

  it('to an instance that is down is answered with DOWN at once', async () => {
    const { conmgr, ...set } = await startSet();
    set.watchdogs[0]!.tell({ state: 'down', bits: 0, text: 'crashed' });
    await conmgr.untilInstance(0, 'is down', ({ state }) => state === 'down');
    const app = conmgr.ask({ target: 'standby' });
    await app.candidates();
    app.bind(0);
    const down = await app.next('down');
    assert.deepEqual([down.action, down.reason, down.text], ['drop', 'instance down', 'crashed']);
  });

  it('to a server that is not what was asked for any more is answered with DOWN at once', async () => {
    const { conmgr } = await startSet();
    const app = conmgr.ask({ target: 'primary' });
    await app.candidates();
    app.bind(1);
    const down = await app.next('down');
    assert.deepEqual([down.instance, down.action, down.reason], [1, 'drop', 'role no longer fits']);
  });

  it('to an instance that conmgr does not know is answered with advice; the session goes on', async () => {
    const { conmgr } = await startSet();
    const app = conmgr.ask({ target: 'primary' });
    await app.candidates();
    app.bind(7);
    const down = await app.next('down');
    assert.deepEqual([down.instance, down.action], [7, 'advice']);
    assert.ok(app.isOpen);
  });
});

describe('telling a loss to many', () => {
  it('each of 1,000 sessions of the lost instance is told once, and the links beat on', async () => {
    const { conmgr, ...set } = await startSet([PRIMARY, STANDBY], { heartbeat_timeout: '2s' });
    const writers: FirstPhaseClient[] = [];
    for (let round = 0; round < 10; round += 1) {
      const apps = Array.from({ length: 100 }, () => conmgr.ask({ target: 'primary' }));
      await Promise.all(apps.map((app) => app.candidates()));
      for (const app of apps) app.bind(0);
      writers.push(...apps);
    }
    const reader = await conmgr.bound({ target: 'standby' });
    await conmgr.untilInstance(0, 'has all sessions', ({ sessions }) => sessions === 1000);
    const beats = set.watchdogs[1]!.link.count('beat');
    set.watchdogs[0]!.tell({ state: 'down', bits: 0 });
    await Promise.all(writers.map((app) => app.next('down')));
    await eventually(() => set.watchdogs[1]!.link.count('beat') > beats, { what: 'the other link beats' });
    for (const app of writers) assert.deepEqual(kindsOf(app), ['hello', 'candidates', 'down']);
    assert.deepEqual(kindsOf(reader), ['hello', 'candidates']);
    await conmgr.logged(/DETAIL: +1000 application sessions were told/);
    for (const app of writers) app.vanish();
  });
});
