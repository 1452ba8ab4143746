import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { commonValidity, judgeValidity } from '../../../../src/core/config/validity.js';

const DAY = 24 * 60 * 60 * 1000;
const year = { fromMs: 0, toMs: 365 * DAY };

describe('a certificate', () => {
  it('is nothing to speak of while 30 days are left', () => {
    assert.equal(judgeValidity(year, 0), undefined);
    assert.equal(judgeValidity(year, 335 * DAY), undefined);
  });

  it('expires soon when fewer are left, and the last whole day counts', () => {
    assert.deepEqual(judgeValidity(year, 335 * DAY + 1), { is: 'expiring', days: 29 });
    assert.deepEqual(judgeValidity(year, 365 * DAY), { is: 'expiring', days: 0 });
  });

  it('of a short time expires soon when less than a third of it is left', () => {
    const week = { fromMs: 0, toMs: 6 * DAY };
    assert.equal(judgeValidity(week, 4 * DAY), undefined);
    assert.deepEqual(judgeValidity(week, 4 * DAY + 1), { is: 'expiring', days: 1 });
  });

  it('has expired behind its end, and is not valid yet before its beginning', () => {
    assert.deepEqual(judgeValidity(year, 365 * DAY + 1), { is: 'expired', days: 0 });
    assert.deepEqual(judgeValidity(year, 367 * DAY), { is: 'expired', days: 2 });
    assert.deepEqual(judgeValidity(year, -1), { is: 'notYetValid' });
  });

  it('counts with its chain only while all of it is valid', () => {
    const between = { fromMs: 2 * DAY, toMs: 400 * DAY };
    assert.deepEqual(commonValidity([year, between]), { fromMs: 2 * DAY, toMs: 365 * DAY });
  });
});
