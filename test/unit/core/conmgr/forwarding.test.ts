import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { ConmgrCore } from '../../../../src/core/conmgr/core.js';
import type { ConmgrEffect } from '../../../../src/core/conmgr/effects.js';
import { attributeBits } from '../../../../src/core/protocol/attributes.js';
import { configOf, kinds, linkedCore, PRIMARY, runOn, tell, WRITER } from './linked-core.js';

const STANDBY = { ...PRIMARY, bits: attributeBits('accepting', 'standby', 'readOnlyByRecovery') };

function primaryAndStandby(change: Partial<ReturnType<typeof configOf>> = {}): ConmgrCore {
  const core = linkedCore(0, 1);
  core.reconfigure({ ...configOf(0, 1), ...change }, 0);
  tell(core, 0, PRIMARY, 0);
  tell(core, 1, STANDBY, 0);
  return core;
}

/** Session and instance of each route. */
function routes(effects: readonly ConmgrEffect[]): readonly (readonly [number, number])[] {
  return effects.flatMap((effect) =>
    effect.do === 'route' ? [[effect.session, effect.place.instance] as const] : [],
  );
}

function refusals(effects: readonly ConmgrEffect[]): readonly string[] {
  return effects.flatMap((effect) => (effect.do === 'refuse' ? [effect.error.detail ?? ''] : []));
}

function forwarded(core: ConmgrCore, id: number, instance: number, target = 'any' as const): void {
  core.forward(id, target, '', 0);
  core.bound(id, instance, '127.0.0.1', 40_000 + id);
}

describe('a stock driver', () => {
  it('is routed by the rules that hold for an aware one: where the target fits, with the address of the link', () => {
    const core = primaryAndStandby();
    assert.deepEqual(routes(core.forward(1, 'read-write', 'app', 1)), [[1, 0]]);
    const [route] = core.forward(2, 'standby', 'app', 1);
    assert.ok(route?.do === 'route');
    assert.equal(route.place.hostaddr, '127.0.0.2');
    assert.equal(core.sessions.countOf(1), 1);
  });

  it('that is refused by one server gets the next that fits, and each only once', () => {
    const core = primaryAndStandby();
    const [first] = routes(core.forward(1, 'any', '', 1));
    const [second, ...others] = routes(core.routeFailed(1, first![1], 'connection refused', 2));
    assert.deepEqual([others, second?.[0]], [[], 1]);
    assert.notEqual(second![1], first![1]);
    const end = core.routeFailed(1, second![1], 'the database system is starting up', 3);
    assert.deepEqual(routes(end), []);
    const [detail = ''] = refusals(end);
    assert.match(detail, /Instance 0 \(.*\) was tried: .*\. Instance 1 \(.*\) was tried: /);
    assert.equal(core.sessions.size, 0);
  });

  it('an attempt that was given up, and fails afterwards, changes nothing', () => {
    const core = primaryAndStandby();
    core.forward(1, 'primary', '', 1);
    assert.deepEqual(kinds(core.routeFailed(1, 1, 'connection refused', 2)), ['changed']);
    core.bound(1, 0, '127.0.0.1', 1);
    assert.deepEqual(kinds(core.routeFailed(1, 0, 'connection refused', 2)), ['changed']);
    assert.equal(core.sessions.countOf(0), 1);
  });

  it('waits resolve_wait from its connection on when none fits or serves, and is routed when one does', () => {
    const core = primaryAndStandby({ resolveWaitMs: 10_000 });
    core.forward(1, 'primary', '', 1000);
    core.forward(2, 'primary', '', 2000);
    core.forward(3, 'primary', '', 3000);
    for (const id of [3, 1, 2]) assert.deepEqual(routes(core.routeFailed(id, 0, 'refused', 4000)), []);
    assert.deepEqual(
      [...core.sessions.waiting()].map(({ id }) => id),
      [1, 2, 3],
    );
    assert.deepEqual(kinds(core.wake(11_000)).filter((kind) => kind === 'refuse').length, 1);
    // The picture changes: what failed before may work now.
    const changed = tell(core, 0, { ...PRIMARY, timeline: 2 }, 11_500);
    assert.deepEqual(routes(changed), []);
    const down = tell(core, 0, { ...PRIMARY, state: 'down' }, 11_600);
    assert.deepEqual(routes(down), []);
    const back = tell(core, 0, PRIMARY, 11_700);
    assert.deepEqual(routes(back), [
      [2, 0],
      [3, 0],
    ]);
  });

  it('that names another target in plain text leaves the place that was chosen for it', () => {
    const core = primaryAndStandby();
    core.forward(1, 'read-write', '', 1);
    const effects = core.introduced(1, 'billing', 'standby', 2);
    assert.deepEqual(kinds(effects), ['hold', 'route', 'changed']);
    assert.deepEqual(routes(effects), [[1, 1]]);
    assert.deepEqual([core.sessions.countOf(0), core.sessions.countOf(1)], [0, 1]);
    assert.equal(core.sessions.get(1)?.ask.app, 'billing');
    assert.deepEqual(kinds(core.introduced(1, 'billing', 'standby', 3)), ['changed']);
  });

  it('counts for max_connections as an aware one does', () => {
    const core = primaryAndStandby({ maxConnections: 2 });
    core.forward(1, 'any', '', 1);
    core.ask(2, WRITER, 1);
    assert.ok(kinds(core.forward(3, 'any', '', 1)).includes('refuse'));
    assert.ok(kinds(core.ask(4, WRITER, 1)).includes('refuse'));
  });
});

describe('a loss', () => {
  it('resets what is forwarded to that server, tells who asked, and does both before anything else', () => {
    const core = primaryAndStandby();
    forwarded(core, 1, 0);
    forwarded(core, 2, 1);
    core.ask(3, WRITER, 0);
    core.bound(3, 0, '127.0.0.1', 3);
    const effects = tell(core, 0, { ...PRIMARY, state: 'down' }, 1);
    const [told, reset] = effects;
    assert.ok(told?.do === 'tell' && reset?.do === 'reset');
    assert.deepEqual([told.sessions, reset.sessions], [[3], [1]]);
    assert.deepEqual(effects.filter(({ do: kind }) => kind === 'reset').length, 1);
    assert.equal(core.sessions.countOf(1), 1);
  });

  it('by silence resets as well', () => {
    const core = primaryAndStandby();
    forwarded(core, 1, 0);
    const resets = runOn(core, 30_000).flatMap((effect) => (effect.do === 'reset' ? effect.sessions : []));
    assert.deepEqual(resets, [1]);
  });

  it('of the server that is being tried leads to the next one; nothing is reset', () => {
    const core = primaryAndStandby();
    const [[, tried]] = routes(core.forward(1, 'any', '', 1)) as [readonly [number, number]];
    const effects = tell(core, tried, { ...(tried === 0 ? PRIMARY : STANDBY), state: 'down' }, 2);
    assert.equal(effects[0]?.do, 'hold');
    assert.ok(!kinds(effects).includes('reset'));
    assert.deepEqual(routes(effects), [[1, 1 - tried]]);
  });

  it('with nobody to lead to is a refusal at once, or after resolve_wait', () => {
    const core = primaryAndStandby();
    core.forward(1, 'primary', '', 1);
    const effects = [...tell(core, 0, { ...PRIMARY, state: 'down' }, 2), ...core.wake(core.wakeAt())];
    assert.deepEqual(
      kinds(effects).filter((kind) => kind === 'hold' || kind === 'refuse'),
      ['hold', 'refuse'],
    );
  });
});

describe('a session whose server changes its role', () => {
  it('is reset when it was opened for writing, by the default of evict_on_role_change', () => {
    const core = primaryAndStandby();
    core.forward(1, 'read-write', '', 0);
    core.bound(1, 0, '127.0.0.1', 1);
    forwarded(core, 2, 0);
    const effects = tell(core, 0, STANDBY, 1);
    const resets = effects.flatMap((effect) => (effect.do === 'reset' ? effect.sessions : []));
    assert.deepEqual(resets, [1]);
  });

  it('between the choice and the first answer is reset as soon as it is served', () => {
    const core = primaryAndStandby();
    core.forward(1, 'read-write', '', 0);
    tell(core, 0, STANDBY, 1);
    assert.ok(kinds(core.bound(1, 0, '127.0.0.1', 1)).includes('reset'));
  });
});

describe('an instance that leaves the configuration', () => {
  it('keeps what is forwarded to it; what is not yet finds another place', () => {
    const core = primaryAndStandby();
    forwarded(core, 1, 0);
    core.forward(2, 'primary', '', 0);
    const effects = core.reconfigure(configOf(1), 1);
    assert.ok(!kinds(effects).includes('reset'));
    assert.deepEqual(
      effects.flatMap((effect) => (effect.do === 'hold' ? [effect.session] : [])),
      [2],
    );
    assert.equal(core.sessions.get(1)?.phase, 'bound');
  });
});

describe('a stop', () => {
  it('of mode smart waits for forwarded sessions, and ends with the last, refused or closed', () => {
    const core = primaryAndStandby();
    forwarded(core, 1, 0);
    core.forward(2, 'primary', '', 0);
    core.stop('smart', 1);
    core.routeFailed(2, 0, 'connection refused', 2);
    assert.equal(core.ending, false);
    core.closed(1, 3);
    assert.equal(core.ending, true);
  });

  it('refuses who comes, and who still waits', () => {
    const core = primaryAndStandby({ resolveWaitMs: 60_000 });
    core.forward(1, 'primary', '', 0);
    core.routeFailed(1, 0, 'connection refused', 1);
    assert.deepEqual(
      core.stop('fast', 2).flatMap((effect) => (effect.do === 'refuse' ? [effect.session] : [])),
      [1],
    );
    assert.ok(kinds(core.forward(2, 'any', '', 3)).includes('refuse'));
  });
});
