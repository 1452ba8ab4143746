import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ConmgrCore } from '../../src/core/conmgr/core.js';
import type { ConmgrEffect } from '../../src/core/conmgr/effects.js';
import { NO_WISHES } from '../support/question.js';
import { conmgrConfig, World } from '../support/simulation/world.js';
import { attr, received, UP, welcome } from '../unit/core/link/link-states.js';

const TIMEOUT_MS = 3000;
const INTERVAL_MS = 1000;

/** A primary and a standby, a conmgr, and an application that writes; everything has been well for a while. */
function settled(seed = 1): World {
  const world = new World(seed);
  world.addServer('db1', 'primary');
  world.addServer('db2', 'standby');
  world.addConmgr('app1', conmgrConfig([1, 2]));
  world.timeline.advance(8000);
  world.addApplication('s1', 'app1', 'read-write');
  world.timeline.advance(2000);
  assert.equal(world.application('s1').instance, 'db1');
  return world;
}

const noted = (world: World, text: string): number =>
  world.notes.filter(({ what }) => what.includes(text)).length;

/** Moments within an interval at which a fault may strike. */
const MOMENTS = Array.from({ length: 12 }, (_, index) => index * 83 + 7);

describe('promise: bounded detection', () => {
  it('a server that dies silently is told between heartbeat_timeout less an interval and heartbeat_timeout', () => {
    const delays = MOMENTS.map((moment) => {
      const world = settled();
      world.timeline.advance(moment);
      const fault = world.now;
      world.network.setDark('db1', true);
      world.timeline.advance(TIMEOUT_MS + 1000);
      return (world.application('s1').toldAt ?? Number.POSITIVE_INFINITY) - fault;
    });
    assert.ok(Math.min(...delays) >= TIMEOUT_MS - INTERVAL_MS - 10, `${Math.min(...delays)} ms at the least`);
    assert.ok(Math.max(...delays) <= TIMEOUT_MS + 10, `${Math.max(...delays)} ms at the most`);
  });

  it('an application host that dies silently loses its sessions within the same bounds', () => {
    const delays = MOMENTS.map((moment) => {
      const world = settled();
      world.timeline.advance(moment);
      const fault = world.now;
      world.network.setDark('app1', true);
      world.conmgr('app1').process.kill();
      world.timeline.advance(TIMEOUT_MS + 1000);
      return (world.application('s1').endedAt ?? Number.POSITIVE_INFINITY) - fault;
    });
    assert.ok(Math.min(...delays) >= TIMEOUT_MS - INTERVAL_MS - 10);
    assert.ok(Math.max(...delays) <= TIMEOUT_MS + 10);
  });

  it('a crashed instance on a living host is told within 100 ms', () => {
    for (const moment of MOMENTS) {
      const world = settled();
      world.timeline.advance(moment);
      const fault = world.now;
      world.server('db1').die();
      world.timeline.advance(100);
      assert.ok((world.application('s1').toldAt ?? Number.POSITIVE_INFINITY) - fault <= 100);
    }
  });
});

describe('promise: losing the control plane never ends a healthy session', () => {
  for (const reason of ['stop', 'restart'] as const) {
    it(`a watchdog that says goodbye (${reason}) at any moment and stays away for a minute`, () => {
      for (const moment of MOMENTS) {
        const world = settled();
        world.timeline.advance(moment);
        world.watchdog('db1').stop(reason);
        world.timeline.advance(60_000);
        world.watchdog('db1').start();
        world.timeline.advance(10_000);
        assert.equal(world.application('s1').instance, 'db1');
        assert.equal(world.application('s1').toldAt, undefined);
      }
    });
  }

  it('a watchdog that crashes at any moment and is started again', () => {
    for (const moment of MOMENTS) {
      const world = settled();
      world.timeline.advance(moment);
      world.watchdog('db1').kill();
      world.timeline.advance(2000);
      world.watchdog('db1').start();
      world.timeline.advance(20_000);
      assert.equal(world.application('s1').instance, 'db1');
      assert.equal(noted(world, 'ended sessions'), 0);
    }
  });
});

describe('promise: no false alarms of our own making', () => {
  for (const seconds of [1, 2.9, 3.1, 4, 10, 60]) {
    it(`a conmgr that was stopped for ${seconds} s reports no server lost that kept beating`, () => {
      for (const moment of MOMENTS) {
        const world = settled();
        world.timeline.advance(moment);
        world.conmgr('app1').process.stop();
        world.timeline.advance(seconds * 1000);
        world.conmgr('app1').process.goOn();
        world.timeline.advance(20_000);
        assert.equal(noted(world, 'is lost'), 0);
      }
    });
    it(`a watchdog that was stopped for ${seconds} s ends no session of a conmgr that kept beating`, () => {
      for (const moment of MOMENTS) {
        const world = settled();
        world.timeline.advance(moment);
        world.watchdog('db1').process.stop();
        world.timeline.advance(seconds * 1000);
        world.watchdog('db1').process.goOn();
        world.timeline.advance(20_000);
        assert.equal(noted(world, 'ended sessions'), 0);
      }
    });
    it(`a conmgr that only probes and was stopped for ${seconds} s asks again before it calls a postmaster dead`, () => {
      for (const moment of MOMENTS) {
        const world = settled();
        world.watchdog('db1').kill();
        world.timeline.advance(2000 + moment);
        world.conmgr('app1').process.stop();
        world.timeline.advance(seconds * 1000);
        world.conmgr('app1').process.goOn();
        world.timeline.advance(20_000);
        assert.equal(noted(world, 'is lost'), 0);
      }
    });
  }
});

describe('promise: planned work is lossless', () => {
  it('conmgr is restarted at any moment', () => {
    for (const moment of MOMENTS) {
      const world = settled();
      world.timeline.advance(moment);
      world.conmgr('app1').stop('restart');
      world.timeline.advance(800);
      world.conmgr('app1').start();
      world.timeline.advance(20_000);
      assert.equal(world.application('s1').instance, 'db1');
      assert.equal(noted(world, 'ended sessions'), 0);
      assert.equal(world.conmgr('app1').core.sessions.countOf(1), 1);
    }
  });

  it('both ends are restarted, in either order, one shortly after the other', () => {
    for (const [first, second] of [
      ['conmgr', 'watchdog'],
      ['watchdog', 'conmgr'],
    ] as const) {
      const world = settled();
      const steps = {
        conmgr: {
          stop: () => world.conmgr('app1').stop('restart'),
          start: () => world.conmgr('app1').start(),
        },
        watchdog: {
          stop: () => world.watchdog('db1').stop('restart'),
          start: () => world.watchdog('db1').start(),
        },
      };
      steps[first].stop();
      world.timeline.advance(300);
      steps[second].stop();
      world.timeline.advance(600);
      steps[first].start();
      world.timeline.advance(300);
      steps[second].start();
      world.timeline.advance(20_000);
      assert.equal(world.application('s1').instance, 'db1');
      assert.equal(noted(world, 'ended sessions'), 0);
    }
  });
});

describe('what the core asks its shell to do', () => {
  const identity = { conmgrId: '11'.repeat(16), bootId: '22'.repeat(16), software: 'c', label: 'l' };
  const ask = NO_WISHES;

  /** A core with one instance that is up, and as many bound sessions. */
  function coreWith(sessions: number): ConmgrCore {
    const core = new ConmgrCore(conmgrConfig([1]), { identity, random: () => 0 });
    core.start(0);
    core.link(1, { type: 'resolved', addresses: ['10.0.0.1'] }, 0);
    core.link(1, { type: 'connected' }, 0);
    core.link(1, received(welcome()), 0);
    core.link(1, received(attr(UP)), 0);
    for (let id = 1; id <= sessions; id += 1) {
      core.ask(id, ask, 1);
      core.bound(id, 1, '10.0.1.1', 40_000 + id);
    }
    return core;
  }

  const losses: Readonly<Record<string, (core: ConmgrCore) => readonly ConmgrEffect[]>> = {
    'the link is silent': (core) => {
      for (let now = core.wakeAt(); ; now = core.wakeAt()) {
        const effects = core.wake(now);
        if (effects.some((effect) => effect.do === 'tell')) return effects;
      }
    },
    'the watchdog says that the instance is down': (core) =>
      core.link(1, received(attr({ ...UP, version: 2, state: 'down', bits: 0 })), 100),
    'the link closed and the postmaster does not answer': (core) => {
      core.link(1, { type: 'closed', text: 'reset' }, 100);
      return core.probed(1, false, 'refused', 110);
    },
  };

  for (const [what, lose] of Object.entries(losses)) {
    it(`a loss is told to all sessions before anything else is done: ${what}`, () => {
      const effects = lose(coreWith(5000));
      const [first] = effects;
      assert.equal(first?.do, 'tell');
      assert.equal(first.sessions.length, 5000);
      assert.equal(first.messages[0]?.kind, 'down');
      assert.equal(effects.filter((effect) => effect.do === 'tell').length, 1);
    });
  }

  it('it is never woken for nothing: what is due is done, and the next wake-up lies ahead', () => {
    const core = coreWith(3);
    for (let count = 0, now = core.wakeAt(); count < 200; count += 1, now = core.wakeAt()) {
      core.wake(now);
      // One wake-up may serve link, health and picture one after the other, but not without end.
      for (let again = 0; core.wakeAt() <= now; again += 1) {
        assert.ok(again < 3, `woken again and again at ${now}`);
        core.wake(now);
      }
    }
  });
});
