import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { eventually } from '../../support/eventually.js';

describe('eventually', () => {
  it('returns the first true result, whatever failed before', async () => {
    let calls = 0;
    const result = await eventually(
      () => {
        calls++;
        if (calls === 1) throw new Error('not yet');
        return calls < 3 ? undefined : { calls };
      },
      { everyMs: 1, what: 'three calls' },
    );
    assert.deepEqual(result, { calls: 3 });
  });

  it('gives up after the time allowed, with what was waited for and the last error', async () => {
    const cause = new Error('still not');
    await assert.rejects(
      eventually(() => Promise.reject(cause), { timeoutMs: 20, everyMs: 5, what: 'the impossible' }),
      (error: Error) => error.message === 'not within 20 ms: the impossible' && error.cause === cause,
    );
  });
});
