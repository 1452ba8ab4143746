import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import {
  type ChoiceInput,
  chooseInstances,
  describeMember,
  mustEvict,
} from '../../../../src/core/cluster/choice.js';
import { TARGETS, type TargetSessionAttrs } from '../../../../src/core/cluster/target-session.js';
import type { ClusterView, InstanceFacts, Member } from '../../../../src/core/cluster/view.js';
import { HEALTH_PHASES } from '../../../../src/core/link/health.js';
import { attributeBits } from '../../../../src/core/protocol/attributes.js';
import { facts, primary, standby, unheard, viewOf } from './members.js';

const INPUT: ChoiceInput = {
  target: 'any',
  prefer: [],
  exclude: [],
  loadBalance: 'random',
  maxLagBytes: 0,
  sessionsOf: () => 0,
  random: () => 0,
  turn: 0,
};

/** Numbers of the chosen instances, best first. */
function chosen(view: ClusterView, input: Partial<ChoiceInput>): readonly number[] {
  return chooseInstances(view, { ...INPUT, ...input }).map((member) => member.number);
}

/** Which server libpq would stay connected to (PostgreSQL documentation, 34.1.2): not in hot standby, read-only. */
const LIBPQ: Readonly<Record<TargetSessionAttrs, (hotStandby: boolean, readOnly: boolean) => boolean>> = {
  any: () => true,
  'read-write': (hotStandby, readOnly) => !hotStandby && !readOnly,
  'read-only': (hotStandby, readOnly) => hotStandby || readOnly,
  primary: (hotStandby) => !hotStandby,
  standby: (hotStandby) => hotStandby,
  'prefer-standby': () => true,
};
const WRITERS: readonly TargetSessionAttrs[] = ['read-write', 'primary'];

interface Traits {
  readonly hotStandby: boolean;
  readonly readOnly: boolean;
  readonly offered: boolean;
  readonly conflict: boolean;
  readonly stale: boolean;
}

function memberOf(number: number, traits: Traits, change: Partial<Member> = {}): Member {
  const [base] = viewOf(
    facts(number, traits.hotStandby ? ['standby', 'readOnlyByRecovery'] : ['primary']),
  ).members;
  assert.ok(base);
  const bits = attributeBits(
    'accepting',
    ...(traits.hotStandby ? (['standby', 'readOnlyByRecovery'] as const) : (['primary'] as const)),
    ...(traits.readOnly ? (['readOnlyByDefault'] as const) : []),
    ...(traits.conflict ? (['conflict'] as const) : []),
    ...(traits.stale ? (['stale'] as const) : []),
  );
  return { ...base, bits, conflict: traits.conflict, offered: traits.offered, ...change };
}

const BOTH = [false, true];

describe('who fits', () => {
  for (const target of TARGETS) {
    it(`${target}: as libpq would keep the connection, of those that are offered`, () => {
      for (const hotStandby of BOTH)
        for (const readOnly of BOTH)
          for (const offered of BOTH)
            for (const conflict of BOTH)
              for (const stale of BOTH) {
                const traits = { hotStandby, readOnly, offered, conflict, stale };
                const member = memberOf(4, traits);
                const isPrimary = !hotStandby && offered && !conflict;
                const view = { members: [member], primary: isPrimary ? 4 : undefined };
                const fits =
                  offered && LIBPQ[target](hotStandby, readOnly) && (!WRITERS.includes(target) || isPrimary);
                assert.deepEqual(chosen(view, { target }), fits ? [4] : [], JSON.stringify(traits));
              }
    });
  }

  it('nobody in a foreign cluster, gone, not up, or not accepting', () => {
    for (const target of TARGETS) {
      const view = viewOf(
        primary(0, { health: 'lost' }),
        primary(1, { state: 'starting' }),
        primary(2, { bits: attributeBits('primary') }),
        unheard(3),
      );
      assert.deepEqual(chosen(view, { target }), [], target);
      assert.deepEqual(
        chosen(viewOf(primary(0), standby(1), standby(2, { systemIdentifier: 5n })), { target }).includes(2),
        false,
      );
    }
  });
});

describe('at most one instance is offered for writing', () => {
  const anyTraits = fc.record({
    hotStandby: fc.boolean(),
    readOnly: fc.boolean(),
    offered: fc.boolean(),
    conflict: fc.boolean(),
    stale: fc.boolean(),
    health: fc.constantFrom(...HEALTH_PHASES),
    lagBytes: fc.option(fc.bigInt({ min: 0n, max: 1000n }), { nil: undefined }),
    rttMs: fc.option(fc.integer({ min: 0, max: 50 }), { nil: undefined }),
  });
  const anyInput = fc.record({
    target: fc.constantFrom(...TARGETS),
    prefer: fc.array(fc.nat(6), { maxLength: 3 }),
    exclude: fc.array(fc.nat(6), { maxLength: 3 }),
    loadBalance: fc.constantFrom('random', 'round-robin', 'least-connections', 'nearest'),
    maxLagBytes: fc.constantFrom(0, 500),
    turn: fc.nat(),
    seed: fc.array(fc.double({ min: 0, max: 0.999, noNaN: true }), { minLength: 8, maxLength: 8 }),
    sessions: fc.array(fc.nat(9), { minLength: 8, maxLength: 8 }),
  });

  it('and for the rest everybody who fits, each once, whatever is known and asked', () => {
    fc.assert(
      fc.property(fc.array(anyTraits, { maxLength: 6 }), anyInput, (all, input) => {
        const members = all.map(({ health, lagBytes, rttMs, ...traits }, number) =>
          memberOf(number, traits, { health, lagBytes, rttMs }),
        );
        const first = members.find(
          (one, number) => one.offered && !one.conflict && !(all[number]?.hotStandby ?? true),
        );
        const view = { members, primary: first?.number };
        let draws = 0;
        const numbers = chosen(view, {
          ...(input as Omit<typeof input, 'seed' | 'sessions'> & Pick<ChoiceInput, 'loadBalance'>),
          random: () => input.seed[draws++ % 8] ?? 0,
          sessionsOf: (number) => input.sessions[number % 8] ?? 0,
        });
        assert.equal(new Set(numbers).size, numbers.length);
        for (const number of numbers) {
          const traits = all[number]!;
          assert.ok(traits.offered && LIBPQ[input.target](traits.hotStandby, traits.readOnly));
        }
        if (WRITERS.includes(input.target)) {
          assert.ok(numbers.length <= 1);
          if (numbers.length === 1) assert.equal(numbers[0], view.primary);
          return;
        }
        const fitting = all.filter((one) => one.offered && LIBPQ[input.target](one.hotStandby, one.readOnly));
        assert.equal(numbers.length === 0, fitting.length === 0);
        // Only the last resorts may be missing.
        const good = all.flatMap((one, number) =>
          one.offered &&
          LIBPQ[input.target](one.hotStandby, one.readOnly) &&
          !one.conflict &&
          !(one.hotStandby && input.maxLagBytes > 0 && (one.lagBytes ?? 0n) > 500n)
            ? [number]
            : [],
        );
        for (const number of good) assert.ok(numbers.includes(number));
      }),
      { numRuns: 2000 },
    );
  });
});

describe('the order of those who fit', () => {
  const SET = viewOf(primary(0), standby(1), standby(2));

  it('prefer-standby: standbys first, then the primary', () => {
    assert.deepEqual(chosen(SET, { target: 'prefer-standby' }), [1, 2, 0]);
    assert.deepEqual(chosen(viewOf(primary(0)), { target: 'prefer-standby' }), [0]);
  });

  it('monitored instances before stale ones', () => {
    const view = viewOf(primary(0), standby(1, { health: 'unmonitored' }), standby(2));
    assert.deepEqual(chosen(view, { target: 'standby' }), [2, 1]);
  });

  it('wished ones before others, in the order of the wish', () => {
    assert.deepEqual(chosen(SET, { target: 'any', prefer: [2, 0] }), [2, 0, 1]);
    assert.deepEqual(chosen(SET, { target: 'standby', prefer: [0, 9, 2] }), [2, 1]);
  });

  it('a wish does not make a primary out of a standby', () => {
    assert.deepEqual(chosen(SET, { target: 'primary', prefer: [2] }), [0]);
  });

  it('those that just failed come last, but they come', () => {
    assert.deepEqual(chosen(SET, { target: 'any', exclude: [0, 1] }), [2, 0, 1]);
    assert.deepEqual(chosen(SET, { target: 'read-write', exclude: [0] }), [0]);
  });
});

describe('load_balance', () => {
  const SET = viewOf(primary(0), standby(1), standby(2), standby(3));

  it('random: follows the numbers drawn', () => {
    const draws = [0.9, 0.1, 0.5];
    const random = () => draws.shift() ?? 0;
    assert.deepEqual(chosen(SET, { target: 'standby', random }), [2, 3, 1]);
  });

  it('round-robin: equals take turns evenly, also beside an instance that is not their equal', () => {
    const count = new Map<number, number>();
    for (let turn = 0; turn < 30; turn += 1) {
      const [first = -1] = chosen(SET, { target: 'prefer-standby', loadBalance: 'round-robin', turn });
      count.set(first, (count.get(first) ?? 0) + 1);
    }
    assert.deepEqual([...count].sort(), [
      [1, 10],
      [2, 10],
      [3, 10],
    ]);
  });

  it('round-robin: the alternatives follow in their order', () => {
    assert.deepEqual(chosen(SET, { target: 'standby', loadBalance: 'round-robin', turn: 1 }), [2, 3, 1]);
  });

  it('least-connections: the one with the fewest sessions first', () => {
    const sessionsOf = (number: number) => [9, 5, 1, 3][number] ?? 0;
    assert.deepEqual(
      chosen(SET, { target: 'standby', loadBalance: 'least-connections', sessionsOf }),
      [2, 3, 1],
    );
  });

  it('nearest: the shortest round trip of the heartbeat first, an unmeasured one last', () => {
    const view = {
      ...SET,
      members: SET.members.map((one, index) => ({ ...one, rttMs: [1, 8, undefined, 0.3][index] })),
    };
    assert.deepEqual(chosen(view, { target: 'standby', loadBalance: 'nearest' }), [3, 1, 2]);
  });

  it('comes after what matters more: a stale or unwished instance does not win by it', () => {
    const sessionsOf = (number: number) => (number === 1 ? 0 : 100);
    const view = viewOf(primary(0), standby(1, { health: 'grace' }), standby(2));
    assert.deepEqual(
      chosen(view, { target: 'standby', loadBalance: 'least-connections', sessionsOf }),
      [2, 1],
    );
  });
});

describe('max_lag', () => {
  const SET = viewOf(
    primary(0, { position: 10_000n }),
    standby(1, { position: 9_900n }),
    standby(2, { position: 1_000n }),
  );

  it('a standby that is further behind is not offered while another fits', () => {
    assert.deepEqual(chosen(SET, { target: 'standby', maxLagBytes: 1000 }), [1]);
    assert.deepEqual(chosen(SET, { target: 'any', maxLagBytes: 1000 }), [0, 1]);
    assert.deepEqual(chosen(SET, { target: 'prefer-standby', maxLagBytes: 50 }), [0]);
  });

  it('it is offered when nothing else fits, or when what fits has just failed', () => {
    assert.deepEqual(chosen(SET, { target: 'standby', maxLagBytes: 50 }), [1, 2]);
    assert.deepEqual(chosen(SET, { target: 'standby', maxLagBytes: 1000, exclude: [1] }), [2, 1]);
  });

  it('exactly the limit is within it, and 0 is no limit', () => {
    assert.deepEqual(chosen(SET, { target: 'standby', maxLagBytes: 9000 }), [1, 2]);
    assert.deepEqual(chosen(SET, { target: 'standby', maxLagBytes: 8999 }), [1]);
    assert.deepEqual(chosen(SET, { target: 'standby' }), [1, 2]);
  });

  it('an unknown lag is not held against a standby', () => {
    const view = viewOf(standby(1), standby(2));
    assert.deepEqual(chosen(view, { target: 'standby', maxLagBytes: 1 }), [1, 2]);
  });
});

describe('an instance in conflict', () => {
  const SET = viewOf(primary(0), primary(1, { timeline: 2 }), standby(2, { timeline: 2 }));

  it('is never offered for primary and read-write, and for the rest only when nothing else is', () => {
    assert.deepEqual(chosen(SET, { target: 'read-write' }), [1]);
    assert.deepEqual(chosen(SET, { target: 'primary', exclude: [1] }), [1]);
    assert.deepEqual(chosen(SET, { target: 'any' }), [1, 2]);
    assert.deepEqual(chosen(SET, { target: 'any', exclude: [1, 2] }), [0, 1, 2]);
  });
});

describe('evict_on_role_change', () => {
  const member = (...all: readonly InstanceFacts[]) => viewOf(...all).members[0]!;
  const PRIMARY = member(primary(0));
  const STANDBY = member(standby(0));
  const evicted = (one: Member, policy: 'off' | 'writers' | 'all') =>
    TARGETS.filter((target) => mustEvict(one, target, policy));

  it('writers: ends sessions opened for writing on what is a standby now', () => {
    assert.deepEqual(evicted(STANDBY, 'writers'), ['read-write', 'primary']);
    assert.deepEqual(evicted(PRIMARY, 'writers'), []);
  });

  it('all: ends standby and read-only sessions on a promoted server too', () => {
    assert.deepEqual(evicted(PRIMARY, 'all'), ['read-only', 'standby']);
    assert.deepEqual(evicted(STANDBY, 'all'), ['read-write', 'primary']);
  });

  it('off: ends none', () => {
    assert.deepEqual([...evicted(STANDBY, 'off'), ...evicted(PRIMARY, 'off')], []);
  });

  it('a primary that became read-only by default is no place for read-write', () => {
    assert.deepEqual(evicted(member(facts(0, ['primary', 'readOnlyByDefault'])), 'writers'), ['read-write']);
  });

  it('nobody is ended by what is stale, not up, or not known', () => {
    for (const one of [
      member(standby(0, { health: 'unmonitored' })),
      member(standby(0, { dim: true })),
      member(standby(0, { state: 'starting' })),
      member(facts(0, [])),
      member(unheard(0)),
    ])
      assert.deepEqual(evicted(one, 'all'), []);
  });
});

describe('what is known of an instance, in words', () => {
  const said = (...all: readonly InstanceFacts[]) => describeMember(viewOf(...all).members[0]!, 'db1:5432');

  it('says state and role', () => {
    assert.equal(said(primary(0)), 'Instance 0 (db1:5432): up, primary.');
    assert.equal(said(standby(0)), 'Instance 0 (db1:5432): up, standby.');
  });

  it('says why it is not offered', () => {
    assert.equal(said(primary(0, { health: 'lost' })), 'Instance 0 (db1:5432): lost.');
    assert.equal(said(unheard(0)), 'Instance 0 (db1:5432): not yet seen.');
    assert.match(said(primary(0, { health: 'unmonitored' })), /not monitored now/);
    assert.match(said(primary(0, { bits: attributeBits('primary') })), /not accepting connections/);
    assert.match(said(facts(0, ['primary', 'readOnlyByDefault'])), /read-only by default/);
    assert.match(said(primary(0), primary(1, { timeline: 2 })), /in conflict with another primary/);
    assert.match(said(standby(0, { systemIdentifier: 9n }), primary(1)), /belongs to another cluster/);
    assert.match(said(primary(0, { state: 'starting', text: 'in recovery since 9:30' })), /since 9:30/);
  });
});
