import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import {
  escapeControls,
  escapeParams,
  formatUtc,
  journalStreamLines,
  messageLines,
  SYSLOG_SEVERITY,
  stderrLines,
} from '../../../../src/core/messages/format.js';
import { LEVELS, type MessageSpec, renderMessage } from '../../../../src/core/messages/message.js';

const SPEC: MessageSpec = {
  code: 'CM9999',
  level: 'WARNING',
  text: 'link to {host} lost',
  detail: 'No packet for {ms} ms.',
  hint: 'Look at the network.',
  cause: 'x',
  cure: 'x',
};
const AT = Date.UTC(2026, 10, 21, 9, 30, 0, 123);

describe('lines of a message', () => {
  it('look like those of a PostgreSQL server log: time, pid, level, two blanks, DETAIL and HINT with the same prefix', () => {
    assert.equal(
      stderrLines(renderMessage(SPEC, { host: 'db1', ms: 3000 }), AT, 1234),
      '2026-11-21 09:30:00.123 UTC [1234] WARNING:  link to db1 lost\n' +
        '2026-11-21 09:30:00.123 UTC [1234] DETAIL:  No packet for 3000 ms.\n' +
        '2026-11-21 09:30:00.123 UTC [1234] HINT:  Look at the network.\n',
    );
  });

  it('go on with a tab where a text has several lines', () => {
    const message = renderMessage(
      { ...SPEC, text: 'two errors\n{lines}' },
      { lines: 'first\nsecond', ms: 1 },
    );
    assert.equal(messageLines(message).split('\nDETAIL')[0], 'WARNING:  two errors\n\tfirst\n\tsecond');
  });

  it('carry the priority in front of every line, and neither time nor pid, when journald reads them', () => {
    const message = renderMessage({ ...SPEC, level: 'FATAL', text: 'a\nb' }, { ms: 1 });
    assert.equal(
      journalStreamLines(message),
      '<3>FATAL:  a\n<3>\tb\n<3>DETAIL:  No packet for 1 ms.\n<3>HINT:  Look at the network.\n',
    );
  });

  it('have the severities that PostgreSQL gives its levels in syslog', () => {
    assert.deepEqual(
      LEVELS.map((level) => SYSLOG_SEVERITY[level]),
      [7, 6, 5, 5, 4, 6, 3, 2],
    );
  });
});

describe('a time stamp', () => {
  it('equals what the calendar of JavaScript says, for every moment from year 0 to 9999', () => {
    fc.assert(
      fc.property(fc.integer({ min: Date.UTC(1, 0, 1), max: Date.UTC(9999, 11, 31) }), (wallMs) => {
        const iso = new Date(wallMs).toISOString();
        assert.equal(formatUtc(wallMs), `${iso.slice(0, 10)} ${iso.slice(11, 23)} UTC`);
      }),
    );
  });

  it('is right on the edges of months, leap years and centuries', () => {
    for (const day of ['1970-01-01', '2000-02-29', '2024-02-29', '2024-12-31', '2100-02-28', '2100-03-01']) {
      assert.equal(formatUtc(Date.parse(`${day}T23:59:59.999Z`)), `${day} 23:59:59.999 UTC`);
    }
  });
});

describe('values from outside', () => {
  it('cannot forge a line: whatever they hold, a message stays as many lines as its row has', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (host) => {
        const text = stderrLines(renderMessage(SPEC, escapeParams({ host, ms: 1 })), AT, 1);
        assert.equal(text.split('\n').length, 4);
        assert.doesNotMatch(text, /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u2028\u2029\u202e]/);
      }),
    );
  });

  it('show their control characters', () => {
    assert.equal(
      escapeControls('a\nb\rc\td\u001b[31m\u0000\u009b\u2028\u202e'),
      'a\\nb\\rc\\td\\x1b[31m\\x00\\x9b\\u2028\\u202e',
    );
  });

  it('may have several lines only as the parameter "lines", each of them without other controls', () => {
    assert.deepEqual(
      escapeParams({ lines: 'a\nb\u001b', host: 'a\nb', port: 5, up: true, none: undefined }),
      {
        lines: 'a\nb\\x1b',
        host: 'a\\nb',
        port: 5,
        up: true,
        none: undefined,
      },
    );
  });
});
