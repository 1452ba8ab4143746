import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { conmgrConfig, World } from '../support/simulation/world.js';

/** A life in short: links come up, an application attaches, the primary is cut off, a standby is promoted. */
function life(world: World): void {
  world.addServer('db1', 'primary');
  world.addServer('db2', 'standby');
  world.addConmgr('app1', conmgrConfig([1, 2]));
  world.timeline.advance(2000);
  if (world.conmgr('app1').alive) world.addApplication('s1', 'app1', 'read-write');
  world.timeline.advance(1000);
  world.network.path('app1', 'db1').state = 'drop';
  world.network.path('db1', 'app1').state = 'drop';
  world.timeline.advance(3000);
  world.server('db2').promote();
  world.timeline.advance(1000);
  world.server('db1').change('at once', (one) => Object.assign(one, { primary: false, timeline: 2 }));
  world.network.path('app1', 'db1').state = 'open';
  world.network.path('db1', 'app1').state = 'open';
  world.timeline.advance(4000);
}

/** How many events that life has. */
const EVENTS = (() => {
  const world = new World();
  life(world);
  return world.timeline.happened;
})();

/** Both links are up, db2 is the primary, db1 a standby, and nobody stands in conflict. */
function recovered(world: World): void {
  world.timeline.advance(8000);
  const { core } = world.conmgr('app1');
  assert.deepEqual(
    core.instances.map((instance) => [instance.link.phase, instance.health.phase]),
    [
      ['up', 'monitored'],
      ['up', 'monitored'],
    ],
  );
  assert.deepEqual(
    core.resolve('read-write').map(({ instance }) => instance),
    [2],
  );
  assert.deepEqual(
    core.resolve('standby').map(({ instance }) => instance),
    [1],
  );
  assert.ok(core.view.members.every((member) => !member.conflict));
}

/** Kills a process right after every single event of a life, and starts it half a second later. */
function interruptEverywhere(kill: (world: World) => void, start: (world: World) => void): void {
  for (let after = 1; after < EVENTS; after += 1) {
    const world = new World();
    world.timeline.interruptAfter(after, () => {
      kill(world);
      world.timeline.after(500, () => start(world));
    });
    try {
      life(world);
      recovered(world);
    } catch (error) {
      throw new Error(`interrupted after event ${after} of ${EVENTS}`, { cause: error });
    }
  }
}

describe(`a life interrupted after each of its ${EVENTS} events`, () => {
  it('is a life worth interrupting', () => {
    assert.ok(EVENTS > 100);
    const world = new World();
    life(world);
    recovered(world);
  });

  it('recovers when it was conmgr that was killed', () => {
    interruptEverywhere(
      (world) => world.conmgrs.get('app1')?.kill(),
      (world) => world.conmgrs.get('app1')?.start(),
    );
  });

  for (const name of ['db1', 'db2']) {
    it(`recovers when it was the watchdog of ${name} that was killed`, () => {
      interruptEverywhere(
        (world) => world.watchdogs.get(name)?.kill(),
        (world) => {
          const watchdog = world.watchdogs.get(name);
          if (watchdog?.alive === false) watchdog.start();
        },
      );
    });
  }
});
