import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Course, complaintOf, floorOf, growthOf, slopePerMinute } from '../../soak/resources.js';

/** What a soak of an hour, or of `minutes`, measures of a process; each a function of the minute. */
interface Shape {
  readonly minutes?: number;
  readonly resident?: (minute: number) => number;
  readonly living?: (minute: number) => number;
  readonly descriptors?: (minute: number) => number;
}

function course({
  minutes = 60,
  resident = () => 70_000,
  living = () => 9000,
  descriptors = () => 30,
}: Shape): Course {
  const spread = (count: number) => Array.from({ length: count }, (_, at) => (at * minutes) / (count - 1));
  return {
    samples: spread(minutes * 30).map((minute) => ({
      atMs: minute * 60_000,
      residentKb: resident(minute),
      descriptors: descriptors(minute),
    })),
    living: spread(24).map((minute) => ({ atMs: minute * 60_000, kb: living(minute) })),
  };
}

const complaint = (shape: Shape): string => complaintOf(growthOf(course(shape))) ?? 'none';

/** Up by seven MiB and down again at once, as resident memory is between two collections. */
const breath =
  (everyMinutes: number) =>
  (minute: number): number =>
    7168 * ((minute % everyMinutes) / everyMinutes);
const PERIODS = [0.3, 1, 2.7, 4.1];

describe('the floor of a course', () => {
  it('is the least of each eighth of the time', () => {
    const points = Array.from({ length: 24 }, (_, at) => [at, 100 + at + (at % 3 === 1 ? -50 : 0)] as const);
    assert.deepEqual(
      floorOf(points).map(([at]) => at),
      [1, 4, 7, 10, 13, 16, 19, 22],
    );
  });

  it('rises by the median of the slopes between its points, whatever a single one says', () => {
    const points = [0, 1, 2, 3, 4].map((minute) => [minute * 60_000, 5 + 2 * minute] as const);
    assert.equal(slopePerMinute(points), 2);
    assert.equal(slopePerMinute([...points.slice(0, 4), [240_000, 5000]]), 2);
    assert.equal(slopePerMinute([[0, 5]]), 0);
  });
});

describe('growth of a process in an hour', () => {
  it('is none where memory only breathes, however slowly', () => {
    for (const period of PERIODS)
      assert.equal(complaint({ resident: (minute) => 60_000 + breath(period)(minute) }), 'none');
  });

  it('of 200 kB a minute is told where memory breathes', () => {
    for (const period of PERIODS) {
      const resident = (minute: number) => 60_000 + 200 * minute + breath(period)(minute);
      assert.match(complaint({ resident }), /^memory grows by (1[5-9]\d|2[0-4]\d) kB a minute$/);
    }
  });

  it('of 200 kB a minute of what lives is told even where resident memory hides it', () => {
    assert.match(complaint({ living: (minute) => 8000 + 200 * minute }), /^what lives grows by 200 kB/);
  });

  it('of 60 kB a minute of what lives is told where sessions come and go', () => {
    const living = (minute: number) => 8000 + 60 * minute + 300 * (Math.round(minute * 10) % 3);
    assert.match(complaint({ living }), /^what lives grows by [5-7]\d kB/);
  });

  it('is none where what lives has come and gone', () => {
    const living = (minute: number) => 8000 + (Math.round(minute * 10) % 3) * 800;
    assert.equal(complaint({ living }), 'none');
  });

  it('of its first third does not count', () => {
    assert.equal(complaint({ resident: (minute) => 50_000 + 1000 * Math.min(minute, 19) }), 'none');
    assert.equal(complaint({ living: (minute) => 5000 + 300 * Math.min(minute, 19) }), 'none');
  });

  it('of a descriptor in five minutes is told, and one that sessions take and give back is none', () => {
    const taken = (minute: number) => Math.round(minute * 30) % 7;
    assert.match(
      complaint({ descriptors: (minute) => 20 + Math.floor(minute / 5) + taken(minute) }),
      /^descriptors/,
    );
    assert.equal(complaint({ descriptors: (minute) => 20 + taken(minute) }), 'none');
  });
});

describe('growth of a process in some minutes', () => {
  it('of what is resident may be more, because the heap finds its size', () => {
    const resident = (minute: number) => 60_000 + 1150 * minute;
    assert.equal(complaint({ minutes: 9, resident }), 'none');
    assert.match(complaint({ minutes: 12, resident }), /^memory/);
  });
});
