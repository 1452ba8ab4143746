import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { decodeEnds, encodeEnds, MOST_ENDS } from '../../../../src/core/guard/local-ends.js';
import { formatAddress, parseTarget } from '../../../../src/core/guard/target.js';

const socket = (address: string, localPort: number) => {
  const target = parseTarget(address, 1);
  assert.ok(target);
  return { localAddress: target.bytes, localPort };
};

describe('the ends on this host of connections', () => {
  it('arrive as they were listed, target by target', () => {
    const port = fc.integer({ min: 1, max: 65_535 });
    const address = fc.oneof(fc.ipV4(), fc.ipV6()).filter((text) => parseTarget(text, 1) !== undefined);
    fc.assert(
      fc.property(
        fc.array(fc.array(fc.tuple(address, port), { maxLength: 8 }), { maxLength: 4 }),
        (lists) => {
          const sockets = lists.map((list) => list.map(([text, number]) => socket(text, number)));
          const { ends, left } = JSON.parse(JSON.stringify(encodeEnds(sockets))) as Record<string, unknown>;
          assert.equal(left, 0);
          const text = (list: readonly { address: string; port: number }[]) =>
            list.map((one) => `${one.address} ${one.port}`).sort();
          const sent = sockets.map((list) =>
            text(list.map((one) => ({ address: formatAddress(one.localAddress), port: one.localPort }))),
          );
          assert.deepEqual(decodeEnds(ends, lists.length)?.map(text), sent);
        },
      ),
    );
  });

  it('are bounded; what finds no room is counted', () => {
    const many = Array.from({ length: 5 }, (_, at) => socket('192.0.2.1', 1000 + at));
    const { ends, left } = encodeEnds([many.slice(0, 2), many], 4);
    assert.equal(left, 3);
    assert.deepEqual(
      decodeEnds(ends, 2)?.map((list) => list.length),
      [2, 2],
    );
  });

  it('fit into an answer, each with an address of its own', () => {
    const each = Array.from({ length: MOST_ENDS }, (_, at) =>
      socket(`2001:db8:ffff:ffff:ffff:ffff:${(at >> 8).toString(16)}:${(at & 255).toString(16)}`, 65_535),
    );
    assert.ok(JSON.stringify(encodeEnds([each])).length < 4 * 1024 * 1024);
  });

  it('are nothing where the answer is anything else', () => {
    for (const wrong of [undefined, {}, [], [1], [[1]], [[['x', 'AAE=']]], [[['192.0.2.1', 7]]], [[], []]]) {
      assert.equal(decodeEnds(wrong, 1), undefined, JSON.stringify(wrong));
    }
  });
});
