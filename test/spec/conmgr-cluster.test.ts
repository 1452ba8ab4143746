import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import { attributeNames } from '../../src/core/protocol/attributes.js';
import { ConmgrProcess, type ConmgrSettings } from '../support/conmgr-process.js';
import { eventually } from '../support/eventually.js';
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

const promoted = (timeline: number) => ({ bits: PRIMARY.bits, timeline });

describe('a role change', () => {
  /** Instance 0 becomes a standby, instance 1 the primary; returns what sessions opened before were told. */
  async function switchover(
    settings: ConmgrSettings,
  ): Promise<Readonly<Record<'writer' | 'primary' | 'reader' | 'anybody', string | undefined>>> {
    const { conmgr, watchdogs } = await startSet([PRIMARY, STANDBY], settings);
    const apps = {
      writer: await conmgr.bound({ target: 'read-write' }),
      primary: await conmgr.bound({ target: 'primary' }),
      reader: await conmgr.bound({ target: 'standby' }),
      anybody: await conmgr.bound({ target: 'any' }, 0),
    };
    await conmgr.until('all are bound', ({ applications }) =>
      applications.every((one) => one.instance !== null),
    );
    watchdogs[0]!.tell({ bits: STANDBY.bits });
    watchdogs[1]!.tell(promoted(2));
    await conmgr.until('the other one is primary', ({ primary }) => primary === 1);
    // What comes after it says that nothing more is to come.
    for (const watchdog of watchdogs) watchdog.tell({ bits: watchdog.attributes.bits | 0x0100 });
    await conmgr.until('both have told', ({ instances }) => instances.every(({ full }) => full));
    const told: [string, string | undefined][] = [];
    for (const [name, app] of Object.entries(apps)) {
      await eventually(
        () =>
          app.messages.some(
            (one) =>
              one.kind === 'down' || (one.kind === 'changed' && attributeNames(one.bits).includes('full')),
          ),
        { what: `${name} has been told` },
      );
      const down = app.messages.find(({ kind }) => kind === 'down');
      told.push([name, down?.kind === 'down' ? `${down.action}: ${down.reason}` : undefined]);
    }
    return Object.fromEntries(told) as Awaited<ReturnType<typeof switchover>>;
  }

  it('evict_on_role_change = writers, the default, ends the sessions opened for primary or read-write', async () => {
    const dropped = 'drop: role no longer fits';
    assert.deepEqual(await switchover({}), {
      writer: dropped,
      primary: dropped,
      reader: undefined,
      anybody: undefined,
    });
  });

  it('evict_on_role_change = all also ends standby sessions on a promoted server', async () => {
    const dropped = 'drop: role no longer fits';
    assert.deepEqual(await switchover({ evict_on_role_change: 'all' }), {
      writer: dropped,
      primary: dropped,
      reader: dropped,
      anybody: undefined,
    });
  });

  it('evict_on_role_change = off ends none', async () => {
    assert.deepEqual(await switchover({ evict_on_role_change: 'off' }), {
      writer: undefined,
      primary: undefined,
      reader: undefined,
      anybody: undefined,
    });
  });

  it('default_transaction_read_only switched on ends read-write sessions, not primary ones', async () => {
    const { conmgr, watchdogs } = await startSet([PRIMARY]);
    const [writer, primary] = [
      await conmgr.bound({ target: 'read-write' }),
      await conmgr.bound({ target: 'primary' }),
    ];
    await conmgr.until('both are bound', ({ applications }) =>
      applications.every((one) => one.instance === 0),
    );
    watchdogs[0]!.tell({ bits: PRIMARY.bits | 0x0010 });
    assert.equal((await writer.next('down')).reason, 'role no longer fits');
    await primary.next('changed');
    assert.deepEqual(kindsOf(primary), ['hello', 'candidates', 'changed']);
  });

  it('a promotion is followed: from the moment it is told, the new primary is offered', async () => {
    const { conmgr, watchdogs } = await startSet([PRIMARY, STANDBY], { heartbeat_timeout: '2s' });
    watchdogs[0]!.tell({ state: 'down', bits: 0 });
    await conmgr.until('there is no primary', ({ primary }) => primary === null);
    assert.equal((await conmgr.ask({ target: 'primary' }).refusal()).sqlState, '57P03');
    const mark = conmgr.mark;
    watchdogs[1]!.tell(promoted(2));
    await conmgr.until('there is one', ({ primary }) => primary === 1);
    assert.deepEqual(await conmgr.ask({ target: 'primary' }).offered(), [1]);
    await conmgr.logged(/LOG: +primary is now instance 1 \(127\.0\.0\.1:\d+\) \(was none\)/, mark);
  });
});

describe('two primaries', () => {
  it('new sessions go to the higher timeline; the other is shown in conflict; a WARNING names both at once', async () => {
    const { conmgr, watchdogs, lines } = await startSet();
    const mark = conmgr.mark;
    watchdogs[1]!.tell(promoted(2));
    const { instances } = await conmgr.until('the newer one is primary', ({ primary }) => primary === 1);
    assert.deepEqual(
      instances.map(({ conflict }) => conflict),
      [true, false],
    );
    assert.deepEqual(await conmgr.ask({ target: 'primary' }).offered(), [1]);
    assert.deepEqual(await conmgr.ask({ target: 'read-write' }).offered(), [1]);
    const [line] = await conmgr.logged(/WARNING: +two primaries: .*/, mark);
    assert.ok(
      line.endsWith(
        `instance 0 (127.0.0.1:${lines[0]!.backendPort}) on timeline 1 beside ` +
          `instance 1 (127.0.0.1:${lines[1]!.backendPort}) on timeline 2`,
      ),
      line,
    );
  });

  it('sessions of the one that was up before are kept until the conflict has lasted heartbeat_timeout, then ended', async () => {
    const { conmgr, watchdogs } = await startSet([PRIMARY, STANDBY], { heartbeat_timeout: '1s' });
    const app = await conmgr.bound({ target: 'primary' });
    await conmgr.untilInstance(0, 'has it', ({ sessions }) => sessions === 1);
    watchdogs[1]!.tell(promoted(2));
    const toldMs = performance.now();
    const down = await app.next('down');
    const keptMs = down.atMs - toldMs;
    assert.ok(keptMs >= 950 && keptMs <= 1000 + EPS_MS, `ended after ${keptMs} ms`);
    assert.equal(down.reason, 'conflict with a newer primary');
    await conmgr.logged(
      /WARNING: +ended 1 sessions of instance 0 .* in conflict with another primary: instance 1/,
    );
  });

  it('a conflict that ends sooner ends no session', async () => {
    const { conmgr, watchdogs } = await startSet([PRIMARY, STANDBY], { heartbeat_timeout: '1s' });
    const app = await conmgr.bound({ target: 'primary' });
    watchdogs[1]!.tell(promoted(2));
    await conmgr.until('there is a conflict', ({ instances }) => instances[0]?.conflict === true);
    watchdogs[1]!.tell({ state: 'down', bits: 0 });
    await conmgr.until('it has ended', ({ primary, instances }) => primary === 0 && !instances[0]?.conflict);
    await conmgr.logged(/LOG: +instance 0 .* is no longer in conflict/);
    const beats = watchdogs[0]!.link.count('beat');
    await eventually(() => watchdogs[0]!.link.count('beat') > beats + 12, { what: 'a time-out passes' });
    assert.ok(!kindsOf(app).includes('down'));
  });

  it('an operator ends the sessions of the one in conflict at once, and only of one that is', async () => {
    const { conmgr, watchdogs } = await startSet([PRIMARY, STANDBY], { heartbeat_timeout: '30s' });
    const app = await conmgr.bound({ target: 'primary' });
    const early = await conmgr.control({ command: 'resolveConflict', instance: 0 });
    assert.ok(!early.ok);
    assert.match(early.error.message, /instance 0 is not in conflict/);
    watchdogs[1]!.tell(promoted(2));
    await conmgr.until('there is a conflict', ({ instances }) => instances[0]?.conflict === true);
    assert.deepEqual(await conmgr.control({ command: 'resolveConflict', instance: 0 }), {
      ok: true,
      accepted: 'resolveConflict',
    });
    assert.equal((await app.next('down')).reason, 'conflict with a newer primary');
  });

  it('an old primary that comes back is never offered for read-write, and ends nobody on the new one', async () => {
    const { conmgr, watchdogs } = await startSet([
      { ...PRIMARY, state: 'down', bits: 0 },
      { ...PRIMARY, timeline: 2 },
    ]);
    const app = await conmgr.bound({ target: 'primary' });
    watchdogs[0]!.tell({ ...PRIMARY, timeline: 1 });
    await conmgr.until('there is a conflict', ({ instances }) => instances[0]?.conflict === true);
    assert.equal((await conmgr.status()).primary, 1);
    for (let at = 0; at < 5; at += 1)
      assert.deepEqual(await conmgr.ask({ target: 'read-write' }).offered(), [1]);
    assert.deepEqual(await conmgr.ask({ target: 'any' }).offered(), [1]);
    assert.ok(!kindsOf(app).includes('down'));
  });

  it('equal timelines: the one known longer stays', async () => {
    const { conmgr, watchdogs } = await startSet();
    watchdogs[1]!.tell(promoted(1));
    const { primary } = await conmgr.until(
      'there is a conflict',
      ({ instances }) => instances[1]?.conflict === true,
    );
    assert.equal(primary, 0);
    assert.deepEqual(await conmgr.ask({ target: 'primary' }).offered(), [0]);
  });

  it('on_conflict = keep: the one known longer stays although the other is newer', async () => {
    const { conmgr, watchdogs } = await startSet([PRIMARY, STANDBY], { on_conflict: 'keep' });
    watchdogs[1]!.tell(promoted(2));
    const { primary } = await conmgr.until(
      'there is a conflict',
      ({ instances }) => instances[1]?.conflict === true,
    );
    assert.equal(primary, 0);
    assert.deepEqual(await conmgr.ask({ target: 'primary' }).offered(), [0]);
  });

  it('on_conflict = none: neither is offered, and no session is ended', async () => {
    const { conmgr, watchdogs } = await startSet([PRIMARY, STANDBY], {
      on_conflict: 'none',
      heartbeat_timeout: '500ms',
    });
    const app = await conmgr.bound({ target: 'primary' });
    watchdogs[1]!.tell(promoted(2));
    await conmgr.until('both are in conflict', ({ instances }) =>
      instances.every(({ conflict }) => conflict),
    );
    const refusal = await conmgr.ask({ target: 'primary' }).refusal();
    assert.match(refusal.detail, /Instance 0 .* in conflict.* Instance 1 .* in conflict/);
    await conmgr.logged(/WARNING: +two primaries/);
    const beats = watchdogs[0]!.link.count('beat');
    await eventually(() => watchdogs[0]!.link.count('beat') > beats + 8, { what: 'the time-out passes' });
    assert.ok(!kindsOf(app).includes('down'));
  });
});

describe('an instance of another cluster', () => {
  const foreign = { ...STANDBY, systemIdentifier: 4711n };

  it('is never offered and shown as foreign; an ERROR names both identifiers', async () => {
    const { conmgr } = await startSet([PRIMARY, STANDBY, foreign]);
    const { instances } = await conmgr.until(
      'it is known',
      (status) => status.instances[2]?.foreign === true,
    );
    assert.deepEqual(
      instances.map((one) => one.foreign),
      [false, false, true],
    );
    assert.deepEqual(await conmgr.ask({ target: 'standby' }).offered(), [1]);
    assert.deepEqual([...(await conmgr.ask().offered())].sort(), [0, 1]);
    await conmgr.logged(/ERROR: +instance 2 .* belongs to another cluster and is never offered/);
    await conmgr.logged(/DETAIL: +Its system identifier is 4711, that of the set is 7000000000000000001/);
  });

  it('without a primary the majority decides', async () => {
    const { conmgr } = await startSet([foreign, STANDBY, STANDBY]);
    await conmgr.until('it is known', ({ instances }) => instances[0]?.foreign === true);
    assert.deepEqual([...(await conmgr.ask().offered())].sort(), [1, 2]);
  });

  it('an instance that turns out to be another cluster later is refused', async () => {
    const { conmgr, watchdogs } = await startSet();
    watchdogs[1]!.tell({ systemIdentifier: 4711n });
    await conmgr.until('it is known', ({ instances }) => instances[1]?.foreign === true);
    assert.equal((await conmgr.ask({ target: 'standby' }).refusal()).sqlState, '57P03');
  });

  it('after pg_upgrade of the whole set the cluster is learned afresh on request', async () => {
    const { conmgr, watchdogs } = await startSet();
    for (const watchdog of watchdogs) watchdog.tell({ systemIdentifier: 4711n });
    await conmgr.until('all are foreign', ({ instances }) => instances.every((one) => one.foreign));
    assert.equal((await conmgr.ask().refusal()).sqlState, '57P03');
    await conmgr.reload({ forgetCluster: true });
    await conmgr.until('none is', ({ instances }) => instances.every((one) => !one.foreign));
    assert.deepEqual(await conmgr.ask({ target: 'primary' }).offered(), [0]);
  });

  it('and at every start', async () => {
    const { conmgr, watchdogs, lines } = await startSet();
    for (const watchdog of watchdogs) watchdog.tell({ systemIdentifier: 4711n });
    await conmgr.until('all are foreign', ({ instances }) => instances.every((one) => one.foreign));
    await conmgr.stop();
    const again = await ConmgrProcess.start({ instances: lines, directory: conmgr.directory });
    try {
      await again.linked();
      assert.deepEqual(await again.ask({ target: 'primary' }).offered(), [0]);
    } finally {
      await again.stop('SIGQUIT');
    }
  });
});
