import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import {
  conmgrDescriptors,
  connectionsAllowed,
  heartbeatConnectionsAllowed,
  instanceDescriptors,
  watchdogDescriptors,
} from '../../../../src/core/config/descriptors.js';

const count = fc.nat({ max: 100_000 });

describe('a figure of descriptors', () => {
  it('is what its formula says', () => {
    fc.assert(
      fc.property(count, count, (a, b) => {
        for (const { figure, formula } of [
          conmgrDescriptors(a, b),
          instanceDescriptors(a, b),
          watchdogDescriptors(a),
        ]) {
          const [sum = '', result] = formula.replace(/[a-z_.]{2,}/g, '').split('=');
          const value = sum
            .split('+')
            .map((product) => product.split('x').reduce((total, factor) => total * Number(factor), 1))
            .reduce((total, part) => total + part, 0);
          assert.equal(value, figure, formula);
          assert.equal(Number(result), figure);
        }
      }),
    );
  });
});

describe('the number of connections that a limit allows', () => {
  it('is the largest that conmgr needs no more descriptors for', () => {
    fc.assert(
      fc.property(count, fc.nat({ max: 100 }), (limit, instances) => {
        const allowed = connectionsAllowed(limit, instances);
        if (allowed > 0) assert.equal(conmgrDescriptors(instances, allowed).figure, limit);
        else assert.ok(conmgrDescriptors(instances, 0).figure >= limit);
        assert.equal(connectionsAllowed(limit, instances, 2), Math.floor(allowed / 2));
      }),
    );
  });

  it('has no bound without a limit', () => {
    assert.equal(connectionsAllowed(Number.POSITIVE_INFINITY, 3), Number.POSITIVE_INFINITY);
  });

  it('is for the watchdog at least one link, so that the server side does not go dark', () => {
    assert.equal(heartbeatConnectionsAllowed(1024), 974);
    assert.equal(heartbeatConnectionsAllowed(20), 1);
  });
});
