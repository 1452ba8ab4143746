import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { MessageSpec } from '../../../../src/core/messages/message.js';
import { RateLimiter, rateLimitKey } from '../../../../src/core/messages/rate-limit.js';
import { NEVER } from '../../../../src/core/time.js';

const SPEC: MessageSpec = { code: 'CM9999', level: 'LOG', text: 'x', cause: 'x', cure: 'x' };

describe('the limit on repeated messages', () => {
  it('lets the first pass at once, keeps back what follows, and reports the count and the last at the end of the window', () => {
    const limiter = new RateLimiter<string>();
    assert.equal(limiter.admit('k', 1000, 0, 'a'), true);
    assert.equal(limiter.admit('k', 1000, 1, 'b'), false);
    assert.equal(limiter.admit('k', 1000, 999, 'c'), false);
    assert.deepEqual(limiter.due(999), []);
    assert.equal(limiter.nextDueMs, 1000);
    assert.deepEqual(limiter.due(1000), [{ count: 2, windowMs: 1000, latest: 'c' }]);
  });

  it('opens the next window with a report, so that a storm gives one line a window', () => {
    const limiter = new RateLimiter<number>();
    let lines = 0;
    for (let now = 0; now < 10_000; now += 10) {
      lines += limiter.due(now).length;
      if (limiter.admit('k', 1000, now, now)) lines += 1;
    }
    assert.equal(lines, 10);
  });

  it('lets a message pass again once a window went by quietly, and then remembers nothing', () => {
    const limiter = new RateLimiter<string>();
    limiter.admit('k', 1000, 0, 'a');
    assert.deepEqual(limiter.due(1000), []);
    assert.equal(limiter.nextDueMs, NEVER);
    assert.equal(limiter.admit('k', 1000, 1001, 'b'), true);
  });

  it('counts a message that comes between the end of a window and its report into the report', () => {
    const limiter = new RateLimiter<string>();
    limiter.admit('k', 1000, 0, 'a');
    limiter.admit('k', 1000, 10, 'b');
    assert.equal(limiter.admit('k', 1000, 1500, 'c'), false);
    assert.deepEqual(limiter.due(1500), [{ count: 2, windowMs: 1000, latest: 'c' }]);
  });

  it('does not touch messages without a limit', () => {
    const limiter = new RateLimiter<string>();
    assert.ok([0, 0, 0].every((now) => limiter.admit('k', 0, now, 'a')));
    assert.equal(limiter.nextDueMs, NEVER);
  });

  it('reports everything kept back when the process ends', () => {
    const limiter = new RateLimiter<string>();
    limiter.admit('k', 60_000, 0, 'a');
    limiter.admit('k', 60_000, 1, 'b');
    assert.deepEqual(limiter.drain(), [{ count: 1, windowMs: 60_000, latest: 'b' }]);
    assert.deepEqual(limiter.drain(), []);
  });

  it('loses no message: what is written and what is counted make up what came', () => {
    const event = fc.record({ key: fc.constantFrom('a', 'b', 'c'), waitMs: fc.nat(700), look: fc.boolean() });
    fc.assert(
      fc.property(fc.array(event), (events) => {
        const limiter = new RateLimiter<null>();
        let seen = 0;
        let now = 0;
        for (const { key, waitMs, look } of events) {
          now += waitMs;
          if (look) for (const report of limiter.due(now)) seen += report.count;
          if (limiter.admit(key, 1000, now, null)) seen += 1;
        }
        for (const report of limiter.drain()) seen += report.count;
        assert.equal(seen, events.length);
      }),
    );
  });

  it('stays bounded when peers are made up: beyond some thousands of them they share one window per code', () => {
    const limiter = new RateLimiter<null>();
    let written = 0;
    for (let i = 0; i < 100_000; i += 1) {
      if (limiter.admit(rateLimitKey(SPEC, { peer: `10.0.${i}` }), 1000, 0, null)) written += 1;
    }
    assert.ok(written > 1000 && written < 3000, `${written} lines`);
  });
});

describe('what counts as the same message', () => {
  const key = (params: Parameters<typeof rateLimitKey>[1], code = SPEC.code): string =>
    rateLimitKey({ ...SPEC, code }, params);

  it('is told by code, instance, host, port and reason', () => {
    const keys = [
      key({}),
      key({}, 'CM9998'),
      key({ instance: 0 }),
      key({ instance: 1 }),
      key({ host: 'db1', port: 1 }),
      key({ host: 'db1', port: 2 }),
      key({ reason: 'timeout' }),
      key({ peer: '10.0.0.1' }),
    ];
    assert.equal(new Set(keys).size, keys.length);
  });

  it('is not told by what a peer can choose: numbers and quoted texts in the reason', () => {
    const lengths = [513, 600, 0xffff_ffff].map((n) => `frame length ${n} is not between 2 and 512`);
    assert.equal(new Set(lengths.map((reason) => key({ peer: '10.0.0.1', reason }))).size, 1);
    const values = ['a', 'b" c "d', '"', ''].map((value) => `invalid value: "${value}"; It must be 0 or 1.`);
    assert.equal(new Set(values.map((reason) => key({ peer: '10.0.0.1', reason }))).size, 1);
    assert.notEqual(
      key({ peer: '10.0.0.1', reason: lengths[0] }),
      key({ peer: '10.0.0.1', reason: values[0] }),
    );
  });

  it('is not told by the port of a client, which is another one with each connection', () => {
    assert.equal(key({ peer: '10.0.0.1:40001' }), key({ peer: '10.0.0.1:40002' }));
    assert.equal(key({ peer: '10.0.0.1', port: 40001 }), key({ peer: '10.0.0.1', port: 40002 }));
    assert.equal(key({ peer: '[::1]:40001' }), key({ peer: '[::1]:40002' }));
    assert.notEqual(key({ peer: '::1' }), key({ peer: '::2' }));
    assert.notEqual(key({ peer: '10.0.0.1:1' }), key({ peer: '10.0.0.2:1' }));
  });
});
