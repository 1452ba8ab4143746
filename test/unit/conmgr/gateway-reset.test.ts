import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { it } from 'node:test';
import { quietGateway } from '../../support/quiet-gateway.js';

it('servers are reset a few in a turn, in their order, and count as open until then', async () => {
  const gateway = quietGateway();
  const reset: number[] = [];
  const server = (number: number): Socket =>
    ({
      connecting: false,
      resetAndDestroy: () => reset.push(number),
      destroy: () => {},
    }) as unknown as Socket;
  gateway.servers = 51;
  for (let number = 0; number < 50; number += 1) gateway.resetLater(server(number));
  assert.deepEqual(reset, [], 'not before the applications of this turn');
  const counts: number[] = [];
  while (gateway.servers > 1) {
    await new Promise(setImmediate);
    counts.push(reset.length);
    assert.equal(gateway.servers, 51 - reset.length);
  }
  assert.ok(counts.length >= 3 && counts[0]! <= 20, `${counts}`);
  assert.deepEqual(
    reset,
    Array.from({ length: 50 }, (_, number) => number),
  );
  gateway.resetLater(server(50));
  await new Promise(setImmediate);
  assert.equal(reset.length, 51, 'and again later');
});
