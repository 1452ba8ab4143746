import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { backgroundClock, systemClock } from '../../../src/io/clock.js';

const fired = (delayMs: number): Promise<number> => {
  const startMs = systemClock.monotonicMs();
  return new Promise((resolve) =>
    systemClock.setTimer(delayMs, () => resolve(systemClock.monotonicMs() - startMs)),
  );
};

describe('the system clock', () => {
  it('never fires a timer early', async () => {
    const delays = Array.from({ length: 60 }, (_, i) => 0.3 + i * 0.7);
    const waited = await Promise.all(delays.map(fired));
    delays.forEach((delayMs, i) => {
      assert.ok(waited[i]! >= delayMs, `${waited[i]} ms instead of ${delayMs} ms`);
    });
  });

  it('fires a timer of zero or less as soon as possible, but not synchronously', async () => {
    let early = true;
    await new Promise<void>((resolve) => {
      systemClock.setTimer(-5, () => {
        assert.equal(early, false);
        resolve();
      });
      early = false;
    });
  });

  it('does not fire at once when a delay is longer than setTimeout can take', async () => {
    const tooEarly: string[] = [];
    const long = systemClock.setTimer(2 ** 31, () => tooEarly.push('2^31 ms'));
    const never = systemClock.setTimer(Number.POSITIVE_INFINITY, () => tooEarly.push('never'));
    await fired(20);
    long.cancel();
    never.cancel();
    assert.deepEqual(tooEarly, []);
  });

  it('does not fire a cancelled timer, and cancelling one that has fired does nothing', async () => {
    let count = 0;
    const cancelled = systemClock.setTimer(1, () => {
      count += 100;
    });
    cancelled.cancel();
    const handle = await new Promise<{ cancel(): void }>((resolve) => {
      const timer = systemClock.setTimer(5, () => {
        count += 1;
        resolve(timer);
      });
    });
    handle.cancel();
    assert.equal(count, 1);
  });

  it('moves the monotonic clock forwards only and gives the wall clock in milliseconds since 1970', () => {
    const before = systemClock.monotonicMs();
    assert.ok(Math.abs(systemClock.wallMs() - Date.now()) < 1000);
    assert.ok(systemClock.monotonicMs() >= before);
  });

  it('lets the process end while only background timers are pending', async () => {
    const { getActiveResourcesInfo } = process as unknown as { getActiveResourcesInfo(): string[] };
    const pending = (): number =>
      getActiveResourcesInfo().filter((resource) => resource === 'Timeout').length;
    const before = pending();
    const background = backgroundClock.setTimer(60_000, () => {});
    assert.equal(pending(), before);
    const foreground = systemClock.setTimer(60_000, () => {});
    assert.equal(pending(), before + 1);
    background.cancel();
    foreground.cancel();
  });
});
