import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { NEVER } from '../../../src/core/time.js';
import { type Deadline, Deadlines } from '../../../src/watchdog/deadlines.js';
import { FakeClock } from '../../support/fake-clock.js';

class One implements Deadline {
  dueAt = NEVER;
  place = 0;
  readonly due: (dueAt: number) => void;

  constructor(due: (dueAt: number) => void) {
    this.due = due;
  }
}

function scene() {
  const clock = new FakeClock();
  const came: (readonly [name: number, at: number])[] = [];
  const one = (name: number) => new One(() => came.push([name, clock.monotonicMs()]));
  return { clock, came, one, deadlines: new Deadlines(clock), begun: clock.monotonicMs() };
}

describe('the deadlines of all links', () => {
  it('come in their order and not early, however they were set, moved and taken back', () => {
    const { clock, came, one, deadlines, begun } = scene();
    const all = Array.from({ length: 150 }, (_none, name) => one(name));
    // A fixed sequence that jumps about.
    const moment = (name: number, turn: number): number => begun + 1 + ((name * 7919 + turn * 104_729) % 997);
    const expected = new Map<number, number>();
    for (const turn of [1, 2, 3]) {
      for (const [name, deadline] of all.entries()) {
        const at = (name + turn) % 5 === 0 ? NEVER : moment(name, turn);
        deadlines.set(deadline, at);
        expected.set(name, at);
      }
    }
    for (let step = 0; step < 1000; step += 1) clock.advance(1);
    const due = [...expected].filter(([, at]) => at !== NEVER);
    assert.deepEqual(
      [...came].sort(([a], [b]) => a - b),
      due.sort(([a], [b]) => a - b),
    );
    assert.deepEqual(
      came.map(([, at]) => at),
      came.map(([, at]) => at).sort((a, b) => a - b),
    );
    assert.ok(all.every(({ dueAt }) => dueAt === NEVER));
  });

  it('one that comes may set its next', () => {
    const { clock, deadlines, begun } = scene();
    const moments: number[] = [];
    const again: Deadline = {
      dueAt: NEVER,
      place: 0,
      due: (dueAt) => {
        moments.push(dueAt - begun);
        deadlines.set(again, dueAt + 10);
      },
    };
    deadlines.set(again, begun + 10);
    for (let step = 0; step < 40; step += 1) clock.advance(1);
    assert.deepEqual(moments, [10, 20, 30, 40]);
  });

  it('a thousand at once come in several goes', () => {
    const { clock, came, one, deadlines, begun } = scene();
    for (let name = 0; name < 1000; name += 1) deadlines.set(one(name), begun + 5);
    let goes = 0;
    const setTimer = clock.setTimer.bind(clock);
    clock.setTimer = (delayMs, fire) =>
      setTimer(delayMs, () => {
        goes += 1;
        fire();
      });
    clock.advance(5);
    for (let step = 0; step < 10; step += 1) clock.advance(1);
    assert.equal(came.length, 1000);
    assert.ok(goes >= 4, `${goes} goes`);
  });
});
