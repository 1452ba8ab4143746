import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { judge, type Outcome } from '../../soak/ledger.js';
import { Patience } from '../../soak/patience.js';
import { isTooLong, judged } from '../../soak/waits.js';

describe('the account of a soak', () => {
  const account = (name: string, outcomes: Readonly<Record<number, Outcome>>) => ({
    name,
    outcomes: new Map(Object.entries(outcomes).map(([id, outcome]) => [Number(id), outcome])),
  });
  const accounts = [account('w1', { 1: 'acknowledged', 2: 'unknown', 3: 'unknown', 4: 'failed' })];

  it('an element that was acknowledged is in the table; one that is unknown may be', () => {
    assert.deepEqual(judge(accounts, new Map([['w1', new Set([1, 3])]])), {
      counts: { acknowledged: 1, unknown: 2, failed: 1 },
      lost: [],
      ghosts: [],
      arrived: 1,
    });
  });

  it('an acknowledged one that is missing is lost', () => {
    assert.deepEqual(judge(accounts, new Map()).lost, ['w1 1']);
  });

  it('one that failed, and one that nobody sent, have no place in the table', () => {
    assert.deepEqual(judge(accounts, new Map([['w1', new Set([1, 4, 5])]])).ghosts, ['w1 4', 'w1 5']);
  });
});

describe('the patience of applications', () => {
  const MOST_MS = 1000;

  it('counts from the beginning of the wait', () => {
    assert.equal(new Patience(MOST_MS).waited(500, 1501), 1001);
  });

  it('does not count what is withheld, and begins anew behind it', () => {
    const patience = new Patience(MOST_MS);
    const hold = patience.hold('standby away', 600);
    assert.equal(patience.waited(500, 9000), 0);
    patience.release(hold, 9000);
    assert.equal(patience.waited(500, 10_000), 1000);
  });

  it('is that of everybody again who began to wait later', () => {
    const patience = new Patience(MOST_MS);
    patience.release(patience.hold('standby away', 100), 200);
    assert.equal(patience.waited(300, 700), 400);
  });

  it('is shorter for whom a reason does not excuse', () => {
    const patience = new Patience(MOST_MS);
    patience.release(patience.hold('standby away', 600), 9000);
    assert.equal(patience.waited(500, 10_000, ['conmgr frozen']), 9500);
  });
});

describe('a wait', () => {
  const judgeOf = (starved: number) => {
    const patience = new Patience(1000);
    patience.release(patience.hold('standby away', 600), 9000);
    return { patience, starvedMs: () => starved };
  };
  const waiting = (...seen: string[]) => ({ since: 500, what: 'query' as const, seen: new Set(seen) });

  it('of a commit that was seen to wait for the standby is not too long while that is away', () => {
    const wait = judged(judgeOf(0), 'w1', waiting('ClientRead', 'SyncRep'), 9500, true);
    assert.deepEqual(wait, {
      who: 'w1',
      what: 'query',
      ms: 9000,
      inVainMs: 500,
      starvedMs: 0,
      seen: ['ClientRead', 'SyncRep'],
    });
    assert.equal(isTooLong(wait, 1000), false);
  });

  it('of which nobody saw that is too long, once it has ended', () => {
    const judge = judgeOf(0);
    assert.equal(isTooLong(judged(judge, 'w1', waiting('ClientRead'), 8000, false), 1000), false);
    assert.equal(isTooLong(judged(judge, 'w1', waiting('ClientRead'), 8000, true), 1000), true);
  });

  it('is not too long by what it had to wait for a processor', () => {
    const [long, longer] = [10_700, 10_701].map((now) =>
      judged(judgeOf(700), 'w1', waiting('SyncRep'), now, true),
    );
    assert.equal(isTooLong(long!, 1000), false);
    assert.equal(isTooLong(longer!, 1000), true);
  });
});
