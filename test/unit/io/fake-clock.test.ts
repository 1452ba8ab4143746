import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { FakeClock } from '../../support/fake-clock.js';

describe('the fake clock', () => {
  it('moves only when told', () => {
    const clock = new FakeClock(1000);
    assert.deepEqual([clock.monotonicMs(), clock.wallMs()], [0, 1000]);
    clock.advance(250);
    assert.deepEqual([clock.monotonicMs(), clock.wallMs()], [250, 1250]);
  });

  it('fires timers in the order of their moments, equal ones in the order of creation', () => {
    const clock = new FakeClock();
    const seen: string[] = [];
    const note = (name: string) => () => seen.push(`${name}@${clock.monotonicMs()}`);
    clock.setTimer(20, note('b'));
    clock.setTimer(10, note('a'));
    clock.setTimer(20, note('c'));
    clock.setTimer(31, note('late'));
    clock.advance(30);
    assert.deepEqual(seen, ['a@10', 'b@20', 'c@20']);
    assert.equal(clock.pending, 1);
    assert.equal(clock.nextDueMs, 31);
  });

  it('fires a timer set by a timer when it falls into the same span', () => {
    const clock = new FakeClock();
    const seen: number[] = [];
    const tick = (): void => {
      seen.push(clock.monotonicMs());
      clock.setTimer(10, tick);
    };
    clock.setTimer(10, tick);
    clock.advance(35);
    assert.deepEqual(seen, [10, 20, 30]);
  });

  it('never fires synchronously, not even for a delay of zero, and not after cancel', () => {
    const clock = new FakeClock();
    let count = 0;
    clock.setTimer(0, () => {
      count += 1;
    });
    clock
      .setTimer(0, () => {
        count += 10;
      })
      .cancel();
    assert.equal(count, 0);
    clock.advance(0);
    assert.equal(count, 1);
  });

  it('fires late, at the moment of waking, what became due during a stall', () => {
    const clock = new FakeClock();
    const seen: number[] = [];
    clock.setTimer(10, () => seen.push(clock.monotonicMs()));
    clock.stall(5000);
    assert.deepEqual(seen, []);
    clock.advance(0);
    assert.deepEqual(seen, [5000]);
  });

  it('keeps deadlines when somebody sets the wall clock', () => {
    const clock = new FakeClock(0);
    clock.jumpWall(-3_600_000);
    assert.deepEqual([clock.monotonicMs(), clock.wallMs()], [0, -3_600_000]);
  });
});
