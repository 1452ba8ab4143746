import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { type MessageSpec, renderMessage } from '../../../../src/core/messages/message.js';
import {
  SYSLOG_LINE_LIMIT,
  splitForSyslog,
  syslogDatagrams,
} from '../../../../src/core/messages/syslog-format.js';

const SPEC: MessageSpec = {
  code: 'CM9999',
  level: 'ERROR',
  text: 'something failed',
  detail: 'A detail.',
  cause: 'x',
  cure: 'x',
};
const ORIGIN = { facility: 'LOCAL3', ident: 'conmgr', pid: 77 } as const;

describe('a syslog datagram', () => {
  it('has priority, local time, ident, pid, running number and one line of the message', () => {
    const at = Date.UTC(2026, 10, 1, 23, 5, 9);
    const datagrams = syslogDatagrams(renderMessage(SPEC), ORIGIN, at, 0, 12).map(String);
    assert.deepEqual(datagrams, [
      '<156>Nov  1 23:05:09 conmgr[77]: [12-1] ERROR:  something failed',
      '<156>Nov  1 23:05:09 conmgr[77]: [12-2] DETAIL:  A detail.',
    ]);
  });

  it('is stamped in local time', () => {
    const at = Date.UTC(2026, 10, 1, 23, 5, 9);
    const [east] = syslogDatagrams(renderMessage(SPEC), ORIGIN, at, 2 * 3_600_000, 1).map(String);
    assert.match(east!, /^<156>Nov {2}2 01:05:09 /);
  });

  it('is of the facility configured, LOCAL0 to LOCAL7', () => {
    const priorities = (['LOCAL0', 'LOCAL7'] as const).map((facility) =>
      String(syslogDatagrams(renderMessage(SPEC), { ...ORIGIN, facility }, 0, 0, 1)[0]).slice(0, 5),
    );
    assert.deepEqual(priorities, ['<132>', '<188>']);
  });
});

describe('a long text for syslog', () => {
  it('is cut into pieces that fit, none of them inside a UTF-8 character, and nothing is lost', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'grapheme', maxLength: 200 }),
        fc.integer({ min: 4, max: 40 }),
        (text, limit) => {
          const pieces = splitForSyslog(text, limit);
          for (const piece of pieces) {
            assert.ok(piece.length > 0 && piece.length <= limit);
            assert.equal(Buffer.from(piece.toString('utf8')).compare(piece), 0);
          }
          assert.equal(pieces.map(String).join(''), Buffer.from(text).toString().replaceAll('\n', ''));
        },
      ),
    );
  });

  it('is cut at a blank where there is one', () => {
    assert.deepEqual(splitForSyslog('alpha beta gamma', 12).map(String), ['alpha beta', ' gamma']);
  });

  it('is cut at about 900 octets', () => {
    const lengths = splitForSyslog('x'.repeat(2000)).map((piece) => piece.length);
    assert.deepEqual(lengths, [SYSLOG_LINE_LIMIT, SYSLOG_LINE_LIMIT, 200]);
  });

  it('gives one piece for each line', () => {
    assert.deepEqual(splitForSyslog('one\n\ttwo\n\nthree\n').map(String), ['one', '\ttwo', 'three']);
  });
});
