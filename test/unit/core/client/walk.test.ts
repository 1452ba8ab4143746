import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { HostEntry } from '../../../../src/core/client/host-list.js';
import {
  newWalk,
  stepsLeft,
  WALK,
  type WalkEffect,
  type WalkEvent,
  type WalkState,
} from '../../../../src/core/client/walk.js';
import { TARGETS, type TargetSessionAttrs } from '../../../../src/core/cluster/target-session.js';
import { step } from '../../../../src/core/fsm.js';
import { attributeBits } from '../../../../src/core/protocol/attributes.js';
import type { Candidate } from '../../../../src/core/protocol/first-phase.js';

const host = (name: string): HostEntry => ({ host: name, port: 27546, hostaddr: '' });
const candidate = (instance: number, role: 'primary' | 'standby' = 'primary'): Candidate => ({
  instance,
  port: 5432,
  bits: attributeBits('accepting', role),
  host: `db${instance}`,
  hostaddr: '',
});
const told = (...candidates: Candidate[]): WalkEvent => ({ type: 'told', candidates });
const SERVER: WalkEvent = { type: 'server' };
const FAILED: WalkEvent = { type: 'failed', wrongRole: false };
const WRONG_ROLE: WalkEvent = { type: 'failed', wrongRole: true };

/** A walk and what it did, in short: "ask h1", "ask h1 -2" without instance 2, "db1" for a connection. */
class Trail {
  readonly steps: string[] = [];
  readonly accepts: string[] = [];
  state: WalkState;

  constructor(names: string, target: TargetSessionAttrs = 'any') {
    this.state = newWalk(names.split(',').map(host), target);
    this.go({ type: 'begin' });
  }

  go(...events: WalkEvent[]): this {
    for (const event of events) {
      const { state, effects } = step(WALK, this.state, event, 0);
      this.state = state;
      for (const effect of effects) this.#note(effect);
    }
    return this;
  }

  #note(effect: WalkEffect): void {
    if (effect.type === 'ask') {
      this.steps.push(['ask', effect.host.host, ...effect.exclude.map((n) => `-${n}`)].join(' '));
    } else {
      this.steps.push(effect.endpoint.host);
      this.accepts.push(effect.accept);
    }
  }
}

describe('the walk over the host list', () => {
  it('tries the candidates in the order that conmgr gave', () => {
    const trail = new Trail('h1').go(told(candidate(2), candidate(1)), FAILED, { type: 'connected' });
    assert.deepEqual(trail.steps, ['ask h1', 'db2', 'db1']);
    assert.equal(trail.state.phase, 'found');
  });

  it('asks again without those that failed, then goes on to the next host', () => {
    const trail = new Trail('h1,h2')
      .go(told(candidate(1), candidate(2)), FAILED, FAILED)
      .go(told(candidate(3), candidate(1)), FAILED)
      .go(told(candidate(1)), FAILED);
    assert.deepEqual(trail.steps, [
      'ask h1',
      'db1',
      'db2',
      'ask h1 -1 -2',
      'db3',
      'ask h2',
      'db1',
      'ask h2 -1',
    ]);
  });

  it('goes on to the next host when one refuses or is not there', () => {
    const trail = new Trail('h1,h2').go(FAILED, told(candidate(1)));
    assert.deepEqual(trail.steps, ['ask h1', 'ask h2', 'db1']);
  });

  it('goes on to the next host when conmgr offers nothing, or nothing new', () => {
    const trail = new Trail('h1,h2').go(told());
    assert.deepEqual(trail.steps, ['ask h1', 'ask h2']);
    const again = new Trail('h1,h2').go(told(candidate(1)), FAILED, told(candidate(1)));
    assert.deepEqual(again.steps, ['ask h1', 'db1', 'ask h1 -1', 'ask h2']);
  });

  it('uses a host that is a server itself directly, and never asks it twice', () => {
    const trail = new Trail('h1,h2').go(SERVER, FAILED);
    assert.deepEqual(trail.steps, ['ask h1', 'h1', 'ask h2']);
  });

  it('ends when nothing is left', () => {
    assert.equal(new Trail('h1').go(FAILED).state.phase, 'exhausted');
    assert.equal(new Trail('h1').go(told()).state.phase, 'exhausted');
    assert.equal(new Trail('h1').go(SERVER, FAILED).state.phase, 'exhausted');
  });

  it('holds each server against target_session_attrs', () => {
    for (const target of TARGETS.filter((name) => name !== 'prefer-standby')) {
      assert.deepEqual(new Trail('h1', target).go(told(candidate(1))).accepts, [target]);
      assert.deepEqual(new Trail('h1', target).go(SERVER).accepts, [target]);
    }
  });

  it('prefer-standby: wants standbys first, and then takes what it passed over', () => {
    const trail = new Trail('h1,h2,h3', 'prefer-standby').go(
      SERVER,
      WRONG_ROLE,
      FAILED,
      SERVER,
      WRONG_ROLE,
      SERVER,
    );
    assert.deepEqual(trail.steps, ['ask h1', 'h1', 'ask h2', 'ask h3', 'h3', 'ask h1', 'h1']);
    assert.deepEqual(trail.accepts, ['standby', 'standby', 'any']);
  });

  it('prefer-standby: makes no second round when no host offered anything', () => {
    assert.equal(new Trail('h1,h2', 'prefer-standby').go(SERVER, FAILED, FAILED).state.phase, 'exhausted');
  });

  it('prefer-standby: believes a conmgr that offers the primary', () => {
    const trail = new Trail('h1', 'prefer-standby').go(told(candidate(1, 'standby'), candidate(2)), FAILED);
    assert.deepEqual(trail.accepts, ['standby', 'any']);
  });

  it('shares the time among what is left to try', () => {
    const trail = new Trail('h1,h2,h3');
    assert.equal(stepsLeft(trail.state), 3);
    trail.go(told(candidate(1), candidate(2), candidate(3)));
    assert.equal(stepsLeft(trail.state), 5);
    trail.go(FAILED, FAILED);
    assert.equal(stepsLeft(trail.state), 3);
  });

  it('ends, whatever the hosts answer, and never connects to an instance of one conmgr twice', () => {
    const answer: fc.Arbitrary<WalkEvent> = fc.oneof(
      fc
        .array(
          fc.tuple(fc.integer({ min: 1, max: 4 }), fc.constantFrom('primary' as const, 'standby' as const)),
        )
        .map((list) => told(...list.map(([instance, role]) => candidate(instance, role)))),
      fc.constantFrom<WalkEvent>(SERVER, FAILED),
    );
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 4 }),
        fc.constantFrom(...TARGETS),
        fc.infiniteStream(answer),
        fc.infiniteStream(fc.boolean()),
        (hosts, target, answers, roles) => {
          const trail = new Trail(Array.from({ length: hosts }, (_none, n) => `h${n}`).join(','), target);
          for (let steps = 0; trail.state.phase !== 'exhausted'; steps += 1) {
            assert.ok(steps < 200, trail.steps.join(', '));
            const wrongRole = Boolean(roles.next().value);
            const event = answers.next().value as WalkEvent;
            trail.go(trail.state.phase === 'asking' ? event : { type: 'failed', wrongRole });
          }
        },
      ),
    );
  });
});
