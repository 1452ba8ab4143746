import assert from 'node:assert/strict';
import { beforeEach, describe, it } from 'node:test';
import { type Stranger, Strangers } from '../../../src/watchdog/strangers.js';

let dropped: string[];
let destroyed: string[];
let strangers: Strangers<Stranger>;

beforeEach(() => {
  dropped = [];
  destroyed = [];
  strangers = new Strangers(
    () => 6,
    ({ peer }) => dropped.push(peer),
  );
});

function stranger(peer: string, address = peer): Stranger {
  return { address, peer, destroy: () => void destroyed.push(peer) };
}

describe('connections that are no links', () => {
  it('of one address only four may be without HELLO: the oldest goes', () => {
    for (const peer of ['a1', 'a2', 'a3', 'a4', 'a5']) strangers.arrived(stranger(peer, 'a'));
    assert.deepEqual([dropped, destroyed], [['a1'], ['a1']]);
    assert.equal(strangers.waiting.length, 4);
  });

  it('of all addresses only so many: those that were answered go first, then the oldest', () => {
    const answered = stranger('answered');
    strangers.lingers(answered);
    for (const peer of ['b', 'c', 'd', 'e', 'f', 'g']) strangers.arrived(stranger(peer));
    assert.deepEqual([dropped, destroyed], [[], ['answered']]);
    strangers.arrived(stranger('h'));
    assert.deepEqual([dropped, destroyed], [['b'], ['answered', 'b']]);
  });

  it('a flood of refusals leaves no more than that', () => {
    for (let index = 0; index < 1000; index += 1) strangers.lingers(stranger(`x${index}`));
    assert.equal(destroyed.length, 994);
    assert.deepEqual(dropped, []);
  });

  it('one that has spoken or is gone takes no place', () => {
    const [spoke, gone] = [stranger('spoke'), stranger('gone')];
    strangers.arrived(spoke);
    strangers.arrived(gone);
    strangers.spoke(spoke);
    strangers.gone(gone);
    assert.deepEqual(strangers.waiting, []);
    for (const peer of ['b', 'c', 'd', 'e', 'f', 'g']) strangers.arrived(stranger(peer));
    assert.deepEqual(destroyed, []);
  });
});
