import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { editDistance, nearestName } from '../../../../src/core/config/nearest.js';

describe('the nearest name', () => {
  const names = ['port', 'heartbeat_interval', 'heartbeat_timeout', 'max_lag', 'guard'];
  const cases: readonly (readonly [string, string | undefined])[] = [
    ['prot', 'port'],
    ['ports', 'port'],
    ['heartbeat_intervall', 'heartbeat_interval'],
    ['heart_beat_timeout', 'heartbeat_timeout'],
    ['heartbeattimeout', 'heartbeat_timeout'],
    ['maxlag', 'max_lag'],
    ['gaurd', 'guard'],
    ['shared_buffers', undefined],
    ['', undefined],
    ['x'.repeat(65), undefined],
  ];
  for (const [name, expected] of cases) {
    it(`to "${name.slice(0, 20)}" is ${expected ?? 'none'}`, () =>
      assert.equal(nearestName(name, names), expected));
  }

  it('is the name itself when it is known', () => {
    for (const name of names) assert.equal(nearestName(name, names), name);
  });

  it('goes by a distance: zero only for the same text, the same in both directions, one for one edit', () => {
    const word = fc.string({ unit: fc.constantFrom(...'abc'), maxLength: 8 });
    fc.assert(
      fc.property(word, word, fc.nat({ max: 8 }), (a, b, at) => {
        assert.equal(editDistance(a, b) === 0, a === b);
        assert.equal(editDistance(a, b), editDistance(b, a));
        const cut = Math.min(at, a.length);
        assert.equal(editDistance(a, `${a.slice(0, cut)}x${a.slice(cut)}`), 1);
        const [first = '', second = ''] = [a.charAt(cut), a.charAt(cut + 1)];
        if (first !== second && second !== '') {
          assert.equal(editDistance(a, a.slice(0, cut) + second + first + a.slice(cut + 2)), 1);
        }
      }),
    );
  });
});
