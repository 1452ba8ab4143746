import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { judge, type Outcome } from '../../soak/ledger.js';
import { Patience } from '../../soak/patience.js';
import { complaintOf, growthOf, type Sample, slopePerMinute } from '../../soak/resources.js';

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
  it('ends at the bound', () => {
    const patience = new Patience(1000);
    assert.equal(patience.isOver(500, 1500), false);
    assert.equal(patience.isOver(500, 1501), true);
  });

  it('does not count what is withheld, and begins anew behind it', () => {
    const patience = new Patience(1000);
    const hold = patience.hold(600);
    assert.equal(patience.isOver(500, 9000), false);
    patience.release(hold, 9000);
    assert.equal(patience.isOver(500, 10_000), false);
    assert.equal(patience.isOver(500, 10_001), true);
  });

  it('is that of everybody again who began to wait later', () => {
    const patience = new Patience(1000);
    patience.release(patience.hold(100), 200);
    assert.equal(patience.waited(300, 700), 400);
  });
});

describe('growth', () => {
  const samples = (kbAt: (minute: number) => number, descriptorsAt: (minute: number) => number): Sample[] =>
    Array.from({ length: 61 }, (_, minute) => ({
      atMs: minute * 60_000,
      residentKb: kbAt(minute),
      descriptors: descriptorsAt(minute),
    }));

  it('is the slope of the line through the points', () => {
    const points = [0, 1, 2].map((minute) => [minute * 60_000, 5 + 2 * minute] as const);
    assert.equal(slopePerMinute(points), 2);
    assert.equal(slopePerMinute([[0, 5]]), 0);
  });

  it('is no complaint where a heap only breathes', () => {
    const growth = growthOf(
      samples(
        (minute) => 50_000 + (minute % 7) * 1000,
        (minute) => 20 + (minute % 3),
      ),
    );
    assert.equal(complaintOf(growth), undefined);
  });

  it('of memory and of descriptors is told, also when it is slow', () => {
    assert.match(
      complaintOf(
        growthOf(
          samples(
            (minute) => 50_000 + 250 * minute,
            () => 20,
          ),
        ),
      ) ?? '',
      /^memory/,
    );
    assert.match(
      complaintOf(
        growthOf(
          samples(
            () => 50_000,
            (minute) => 20 + Math.floor(minute / 5),
          ),
        ),
      ) ?? '',
      /^descriptors/,
    );
  });

  it('of the beginning does not count', () => {
    const growth = growthOf(
      samples(
        (minute) => Math.min(minute, 15) * 10_000,
        () => 20,
      ),
    );
    assert.equal(complaintOf(growth), undefined);
  });
});
