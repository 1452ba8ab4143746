import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  count,
  formatBytes,
  formatMoment,
  formatPeriod,
  formatRoundTrip,
  formatServerVersion,
  formatSpan,
} from '../../../../src/core/ctl/amounts.js';

function table<Value>(
  name: string,
  format: (value: Value) => string,
  rows: readonly (readonly [Value, string])[],
) {
  describe(name, () => {
    for (const [value, text] of rows)
      it(`shows ${value} as "${text}"`, () => assert.equal(format(value), text));
  });
}

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

table('formatSpan', formatSpan, [
  [-5, '0.0 s'],
  [0, '0.0 s'],
  [440, '0.4 s'],
  [9949, '9.9 s'],
  [9950, '10 s'],
  [59_499, '59 s'],
  [59_500, '1 min'],
  [3 * MINUTE + 5000, '3 min 5 s'],
  [HOUR - 1, '1 h'],
  [5 * HOUR + 12 * MINUTE, '5 h 12 min'],
  [DAY, '1 d'],
  [3 * DAY + 4 * HOUR + MINUTE, '3 d 4 h'],
]);

table('formatPeriod', formatPeriod, [
  [200, '200 ms'],
  [1500, '1500 ms'],
  [10_000, '10 s'],
]);

table('formatRoundTrip', formatRoundTrip, [
  [0.4, '0.40 ms'],
  [9.994, '9.99 ms'],
  [9.996, '10.0 ms'],
  [99.94, '99.9 ms'],
  [99.96, '100 ms'],
  [1234.5, '1235 ms'],
]);

table('formatBytes', formatBytes, [
  [0n, '0 B'],
  [1023n, '1023 B'],
  [1024n, '1.0 kB'],
  [16n * 1024n, '16 kB'],
  [1_048_575n, '1.0 MB'],
  [1_288_490_189n, '1.2 GB'],
  [2n ** 60n, '1024 PB'],
]);

table('formatServerVersion', formatServerVersion, [
  [170_010, '17.10'],
  [100_000, '10.0'],
  [90_624, '9.6.24'],
]);

describe('formatMoment', () => {
  const now = Date.UTC(2026, 10, 21, 0, 30);
  const utc = () => 0;

  it('shows the time of day of today', () => {
    assert.equal(formatMoment(now - 61_000, now, utc), '00:28:59');
  });

  it('shows the date of another day', () => {
    assert.equal(formatMoment(now - HOUR, now, utc), '2026-11-20 23:30');
  });

  it('counts days in the time zone of the reader', () => {
    assert.equal(
      formatMoment(now - HOUR, now, () => 2 * HOUR),
      '01:30:00',
    );
  });

  it('uses the offset that held at the moment', () => {
    const summer = Date.UTC(2026, 6, 1, 12);
    const zone = (at: number) => (at < Date.UTC(2026, 9, 25) ? 2 * HOUR : HOUR);
    assert.equal(formatMoment(summer, now, zone), '2026-07-01 14:00');
  });
});

describe('count', () => {
  it('knows singular and plural', () => {
    assert.equal(count(0, 'link'), '0 links');
    assert.equal(count(1, 'link'), '1 link');
    assert.equal(count(2, 'link'), '2 links');
  });
});
