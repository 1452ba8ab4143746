import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import {
  drawView,
  EMPTY_MEMORY,
  EMPTY_VIEW,
  expireConflict,
  forgetCluster,
  type InstanceFacts,
  viewsDiffer,
  viewWakeAt,
  withRoundTrips,
} from '../../../../src/core/cluster/view.js';
import { HEALTH_PHASES } from '../../../../src/core/link/health.js';
import { HEALTH_MEANING } from '../../../../src/core/link/health-meaning.js';
import { attributeBits, hasAttribute, INSTANCE_STATES } from '../../../../src/core/protocol/attributes.js';
import { NEVER } from '../../../../src/core/time.js';
import { CLUSTER, facts, Gallery, OPTIONS, primary, standby, unheard, viewOf } from './members.js';

describe('the picture of an instance set', () => {
  it('shows the instance that claims to be primary, and its standbys', () => {
    const gallery = new Gallery();
    assert.deepEqual(gallery.draw(0, primary(0), standby(1)), ['primary undefined -> 0']);
    assert.equal(gallery.view.primary, 0);
    assert.deepEqual(
      gallery.view.members.map((one) => one.offered),
      [true, true],
    );
  });

  it('says nothing while nothing changes', () => {
    const gallery = new Gallery();
    gallery.draw(0, primary(0), standby(1));
    const before = gallery.view;
    assert.deepEqual(gallery.draw(1000, primary(0, { position: 9999n }), standby(1)), []);
    assert.equal(viewsDiffer(before, gallery.view), false);
  });

  it('follows a switch-over', () => {
    const gallery = new Gallery();
    gallery.draw(0, primary(0), standby(1));
    assert.deepEqual(gallery.draw(1, standby(0), standby(1)), ['primary 0 -> undefined']);
    assert.deepEqual(gallery.draw(2, standby(0), primary(1, { timeline: 2 })), ['primary undefined -> 1']);
  });

  it('offers an instance only while it is up, accepts connections, and is not known to be gone', () => {
    const offered = (one: InstanceFacts) => viewOf(one).members[0]?.offered;
    for (const health of HEALTH_PHASES)
      assert.equal(offered(primary(0, { health })), HEALTH_MEANING[health].offered, health);
    for (const state of INSTANCE_STATES) assert.equal(offered(primary(0, { state })), state === 'up', state);
    assert.equal(offered(primary(0, { bits: attributeBits('primary') })), false);
    assert.equal(offered(unheard(0)), false);
  });

  it('still offers an instance whose slots are all taken', () => {
    assert.equal(viewOf(facts(0, ['primary', 'full'])).members[0]?.offered, true);
  });

  it('names no primary while the primary does not accept connections', () => {
    assert.equal(viewOf(primary(0, { bits: attributeBits('primary') })).primary, undefined);
  });

  it('marks what is not monitored now as stale', () => {
    const stale = (one: InstanceFacts) => hasAttribute(viewOf(one).members[0]?.bits ?? 0, 'stale');
    assert.equal(stale(primary(0)), false);
    assert.equal(stale(primary(0, { dim: true })), true);
    for (const health of HEALTH_PHASES)
      assert.equal(stale(primary(0, { health })), HEALTH_MEANING[health].stale, health);
  });

  it('differs for an application when bits, state, offer or the primary differ, and not otherwise', () => {
    const base = viewOf(primary(0), standby(1));
    for (const other of [
      viewOf(primary(0)),
      viewOf(standby(0), primary(1)),
      viewOf(primary(0), standby(1, { bits: attributeBits('standby', 'readOnlyByRecovery') })),
      viewOf(primary(0), standby(1, { state: 'recovering' })),
      viewOf(primary(0), standby(2)),
    ])
      assert.equal(viewsDiffer(base, other), true);
    assert.equal(viewsDiffer(base, viewOf(primary(0), standby(1, { position: 5n, text: 'x' }))), false);
  });
});

describe('replication lag', () => {
  const lag = (...all: readonly InstanceFacts[]) => viewOf(...all).members.map((one) => one.lagBytes);

  it("is the primary's position less the standby's replay position, never negative", () => {
    assert.deepEqual(lag(primary(0, { position: 5000n }), standby(1, { position: 3000n })), [
      undefined,
      2000n,
    ]);
    assert.deepEqual(lag(primary(0, { position: 5000n }), standby(1, { position: 6000n })), [undefined, 0n]);
  });

  it('is unknown without a primary, without a position, and in another cluster', () => {
    assert.deepEqual(lag(standby(0), standby(1)), [undefined, undefined]);
    assert.deepEqual(lag(primary(0, { position: 0n }), standby(1)), [undefined, undefined]);
    assert.deepEqual(lag(primary(0), standby(1, { position: 0n })), [undefined, undefined]);
    assert.deepEqual(lag(primary(0), standby(1), standby(2, { systemIdentifier: 9n })), [
      undefined,
      0n,
      undefined,
    ]);
  });
});

describe('two primaries', () => {
  const OLD = primary(0, { timeline: 1 });
  const NEW = primary(1, { timeline: 2 });

  it('are never both offered for writing: the newer timeline wins, at once, and the conflict is told', () => {
    const gallery = new Gallery();
    gallery.draw(0, OLD, standby(1));
    assert.deepEqual(gallery.draw(1000, OLD, NEW), [
      'conflict 0 (timeline 1) with 1 (2), offered 1',
      'primary 0 -> 1',
    ]);
    assert.equal(gallery.member(0).conflict, true);
    assert.equal(hasAttribute(gallery.member(0).bits, 'conflict'), true);
  });

  it('the sessions of one that was up all along end when the conflict has lasted heartbeat_timeout, once', () => {
    const gallery = new Gallery();
    gallery.draw(0, OLD, standby(1));
    gallery.draw(1000, OLD, NEW);
    assert.equal(viewWakeAt(gallery.memory), 4000);
    assert.deepEqual(gallery.draw(3999, OLD, NEW), []);
    assert.deepEqual(gallery.draw(4000, OLD, NEW), ['expired 0 for 1']);
    assert.deepEqual(gallery.draw(9000, OLD, NEW), []);
    assert.equal(viewWakeAt(gallery.memory), NEVER);
  });

  it('the sessions of one that comes back on an old timeline end at once', () => {
    const gallery = new Gallery();
    gallery.draw(0, OLD, standby(1));
    gallery.draw(1000, { ...OLD, health: 'lost' }, NEW);
    assert.deepEqual(gallery.draw(9000, OLD, NEW), [
      'conflict 0 (timeline 1) with 1 (2), offered 1',
      'expired 0 for 1',
    ]);
    assert.equal(gallery.view.primary, 1);
  });

  it('a conflict that ends before heartbeat_timeout ends no session', () => {
    const gallery = new Gallery();
    gallery.draw(0, OLD, standby(1));
    gallery.draw(1000, OLD, NEW);
    assert.deepEqual(gallery.draw(2000, standby(0), NEW), ['ended 0']);
    assert.equal(viewWakeAt(gallery.memory), NEVER);
  });

  it('an operator ends the sessions at once', () => {
    const gallery = new Gallery();
    gallery.draw(0, OLD, standby(1));
    gallery.draw(1000, OLD, NEW);
    gallery.memory = expireConflict(gallery.memory, 0, 1500);
    assert.equal(viewWakeAt(gallery.memory), 1500);
    assert.deepEqual(gallery.draw(1500, OLD, NEW), ['expired 0 for 1']);
    assert.equal(viewWakeAt(gallery.memory), NEVER);
  });

  it('there is nothing to decide about an instance that is in no conflict', () => {
    const gallery = new Gallery();
    gallery.draw(0, OLD, standby(1));
    assert.equal(expireConflict(gallery.memory, 0, 10), gallery.memory);
  });

  it('on equal timelines the one known longer stays', () => {
    const gallery = new Gallery();
    gallery.draw(0, standby(0), primary(1));
    assert.deepEqual(gallery.draw(1000, primary(0), primary(1)), [
      'conflict 0 (timeline 1) with 1 (1), offered 1',
    ]);
    assert.equal(gallery.view.primary, 1);
  });

  it('seen together for the first time on equal timelines, the lower number is offered', () => {
    assert.equal(viewOf(primary(0), primary(1)).primary, 0);
  });

  it('on_conflict = keep stays with the one known longer although the other is newer', () => {
    const gallery = new Gallery({ ...OPTIONS, onConflict: 'keep' });
    gallery.draw(0, OLD, standby(1));
    assert.deepEqual(gallery.draw(1000, OLD, NEW), ['conflict 1 (timeline 2) with 0 (1), offered 0']);
    assert.equal(gallery.view.primary, 0);
    assert.deepEqual(gallery.draw(4000, OLD, NEW), ['expired 1 for 0']);
  });

  it('on_conflict = none offers neither, ends no session by itself, and does not wake for it', () => {
    const gallery = new Gallery({ ...OPTIONS, onConflict: 'none' });
    gallery.draw(0, OLD, standby(1));
    assert.deepEqual(gallery.draw(1000, OLD, NEW), [
      'conflict 0 (timeline 1) with 1 (2), offered undefined',
      'conflict 1 (timeline 2) with 0 (1), offered undefined',
      'primary 0 -> undefined',
    ]);
    assert.equal(viewWakeAt(gallery.memory), NEVER);
    assert.deepEqual(gallery.draw(100_000, OLD, NEW), []);
  });

  it('with on_conflict = none an operator still ends the sessions of the wrong one', () => {
    const gallery = new Gallery({ ...OPTIONS, onConflict: 'none' });
    gallery.draw(0, OLD, standby(1));
    gallery.draw(1000, OLD, NEW);
    gallery.memory = expireConflict(gallery.memory, 0, 2000);
    assert.deepEqual(gallery.draw(2000, OLD, NEW), ['expired 0 for undefined']);
    assert.equal(gallery.view.primary, undefined);
  });

  it('a change of the policy decides a conflict that goes on', () => {
    const gallery = new Gallery({ ...OPTIONS, onConflict: 'none' });
    gallery.draw(0, OLD, standby(1));
    gallery.draw(1000, OLD, NEW);
    gallery.options = OPTIONS;
    assert.deepEqual(gallery.draw(2000, OLD, NEW), ['ended 1', 'primary undefined -> 1']);
    assert.equal(viewWakeAt(gallery.memory), 4000);
  });

  it('of three, the newest is offered and both others stand in conflict', () => {
    const view = viewOf(OLD, NEW, primary(2, { timeline: 3 }));
    assert.equal(view.primary, 2);
    assert.deepEqual(
      view.members.map((one) => one.conflict),
      [true, true, false],
    );
  });
});

describe('a stale claim to be primary', () => {
  const stale = (number: number, timeline: number) => primary(number, { timeline, health: 'unmonitored' });

  it('is offered while no live instance claims to be primary', () => {
    assert.equal(viewOf(stale(0, 1), standby(1)).primary, 0);
  });

  it('gives way to a live claim on a newer timeline', () => {
    assert.equal(viewOf(stale(0, 1), primary(1, { timeline: 2 })).primary, 1);
  });

  it('keeps a live primary of an older timeline from being offered: nobody is then', () => {
    const gallery = new Gallery();
    gallery.draw(0, standby(0), primary(1, { timeline: 2 }));
    gallery.draw(1000, standby(0), stale(1, 2));
    assert.equal(gallery.view.primary, 1);
    assert.deepEqual(gallery.draw(2000, primary(0, { timeline: 1 }), stale(1, 2)), [
      'conflict 0 (timeline 1) with 1 (2), offered undefined',
      'conflict 1 (timeline 2) with 0 (1), offered undefined',
      'primary 1 -> undefined',
    ]);
    assert.deepEqual(gallery.draw(9000, primary(0, { timeline: 1 }), stale(1, 2)), []);
    assert.deepEqual(gallery.draw(9500, primary(0, { timeline: 1 }), primary(1, { timeline: 2 })), [
      'expired 0 for 1',
      'ended 1',
      'primary undefined -> 1',
    ]);
  });

  it('counts as stale too when the watchdog is there but cannot look into its instance', () => {
    const dim = primary(0, { dim: true });
    assert.equal(viewOf(dim, standby(1)).primary, 0);
    assert.equal(viewOf(dim, primary(1, { timeline: 2 })).primary, 1);
  });

  it('is no claim any more once the instance is lost, down or leaving', () => {
    for (const health of ['lost', 'down', 'leaving', 'unseen'] as const)
      assert.deepEqual(viewOf(primary(0, { health }), primary(1)).primary, 1);
  });
});

describe('instances of another cluster', () => {
  const other = (number: number, role: typeof primary = standby) => role(number, { systemIdentifier: 99n });

  it('are foreign beside the serving primary, told once, and never offered', () => {
    const gallery = new Gallery();
    assert.deepEqual(gallery.draw(0, primary(0), other(1)), [
      'foreign 1: 99 is not 71',
      'primary undefined -> 0',
    ]);
    assert.deepEqual([gallery.member(1).foreign, gallery.member(1).offered], [true, false]);
    assert.deepEqual(gallery.draw(1, primary(0), other(1)), []);
  });

  it('are those of the minority while no primary serves', () => {
    const view = viewOf(other(0), standby(1), standby(2));
    assert.deepEqual(
      view.members.map((one) => one.foreign),
      [true, false, false],
    );
  });

  it('do not become right because they claim to be primary', () => {
    const gallery = new Gallery();
    gallery.draw(0, primary(0), standby(1));
    gallery.draw(1, { ...primary(0), health: 'lost' }, other(1, primary));
    assert.equal(gallery.view.primary, undefined);
    assert.equal(gallery.member(1).foreign, true);
  });

  it('are found the same whichever link comes up first', () => {
    const late = [primary(0), standby(1), other(2, primary)];
    for (const order of [
      [0, 1, 2],
      [0, 2, 1],
      [1, 0, 2],
      [1, 2, 0],
      [2, 0, 1],
      [2, 1, 0],
    ]) {
      const gallery = new Gallery();
      const seen = new Set<number>();
      for (const number of order) {
        seen.add(number);
        gallery.draw(0, ...late.map((one) => (seen.has(one.number) ? one : unheard(one.number))));
      }
      assert.equal(gallery.view.primary, 0, order.join());
      assert.deepEqual(
        gallery.view.members.map((one) => one.foreign),
        [false, false, true],
        order.join(),
      );
    }
  });

  it('stand in no conflict with the primary', () => {
    assert.deepEqual(viewOf(primary(0), other(1, primary)).members[0]?.conflict, false);
  });

  it('are no question while identifiers are not known', () => {
    const view = viewOf(primary(0, { systemIdentifier: 0n }), standby(1));
    assert.ok(view.members.every((one) => !one.foreign));
  });

  it('the identity is learned afresh on request, as after pg_upgrade', () => {
    const gallery = new Gallery();
    gallery.draw(0, primary(0), standby(1));
    const upgraded = [other(0, primary), other(1)];
    gallery.draw(1, ...upgraded);
    assert.equal(gallery.view.primary, undefined);
    gallery.memory = forgetCluster(gallery.memory);
    assert.deepEqual(gallery.draw(2, ...upgraded), ['primary undefined -> 0']);
  });
});

/** Any state of knowledge about up to five instances. */
const anyFacts = (number: number): fc.Arbitrary<InstanceFacts> =>
  fc
    .record({
      health: fc.constantFrom(...HEALTH_PHASES),
      dim: fc.boolean(),
      heard: fc.boolean(),
      role: fc.constantFrom('primary', 'standby', undefined),
      readOnly: fc.boolean(),
      accepting: fc.boolean(),
      state: fc.constantFrom('up', 'up', 'up', ...INSTANCE_STATES),
      timeline: fc.integer({ min: 0, max: 3 }),
      systemIdentifier: fc.constantFrom(0n, CLUSTER, CLUSTER, CLUSTER, 99n),
    })
    .map(({ health, dim, heard, role, readOnly, accepting, ...rest }) => {
      if (!heard) return unheard(number, health);
      const bits = attributeBits(
        ...(accepting ? (['accepting'] as const) : []),
        ...(role === undefined ? [] : ([role] as const)),
        ...(role === 'standby' ? (['readOnlyByRecovery'] as const) : []),
        ...(readOnly ? (['readOnlyByDefault'] as const) : []),
      );
      return facts(number, [], { health, dim, bits, ...rest });
    });
const anySet = fc
  .integer({ min: 1, max: 5 })
  .chain((count) => fc.tuple(...Array.from({ length: count }, (_, number) => anyFacts(number))));
const anyHistory = fc.array(fc.record({ set: anySet, afterMs: fc.nat(5000) }), {
  minLength: 1,
  maxLength: 6,
});

describe('whatever is known, in whatever order it becomes known', () => {
  for (const onConflict of ['newest', 'keep', 'none'] as const) {
    it(`on_conflict = ${onConflict}: the primary is one that is offered, claims it, and is in no conflict`, () => {
      fc.assert(
        fc.property(anyHistory, (history) => {
          let memory = EMPTY_MEMORY;
          let view = EMPTY_VIEW;
          let now = 0;
          for (const { set, afterMs } of history) {
            now += afterMs;
            const drawn = drawView(memory, view, set, { onConflict, conflictMs: 3000 }, now);
            ({ memory, view } = drawn);
            const claims = view.members.filter(
              (one) =>
                hasAttribute(one.bits, 'primary') &&
                one.state === 'up' &&
                HEALTH_MEANING[one.health].offered &&
                !one.foreign,
            );
            const winner = view.members.find((one) => one.number === view.primary);
            if (winner !== undefined) {
              assert.ok(winner.offered && claims.includes(winner) && !winner.conflict && !winner.foreign);
              const others = claims.filter((one) => one !== winner);
              assert.ok(others.every((one) => one.conflict));
              if (onConflict === 'none') assert.equal(others.length, 0);
              if (onConflict === 'newest') assert.ok(others.every((one) => one.timeline <= winner.timeline));
              if (hasAttribute(winner.bits, 'stale'))
                assert.ok(others.every((one) => hasAttribute(one.bits, 'stale')));
            }
            assert.ok(view.members.every((one) => !(one.foreign && one.offered)));
            assert.ok(view.members.filter((one) => one.conflict).every((one) => claims.includes(one)));
            // What is due now is done now: nobody is woken in the past.
            assert.ok(viewWakeAt(memory) > now);
          }
        }),
        { numRuns: 1000 },
      );
    });
  }

  it('drawing the same facts again before anything is due changes nothing but round trips', () => {
    fc.assert(
      fc.property(anyHistory, (history) => {
        const gallery = new Gallery();
        let now = 0;
        for (const { set, afterMs } of history) {
          now += afterMs;
          gallery.draw(now, ...set);
          const seen = gallery.view;
          const memory = gallery.memory;
          const later = Math.min(now + 10_000, viewWakeAt(memory) - 1);
          const timed = set.map((one, at) => ({ ...one, rttMs: at }));
          assert.deepEqual(gallery.draw(later, ...timed), []);
          assert.deepEqual(gallery.view, withRoundTrips(seen, timed));
          assert.equal(viewsDiffer(seen, gallery.view), false);
          assert.deepEqual(gallery.memory, memory);
        }
      }),
    );
  });
});
