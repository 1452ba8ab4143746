import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { complaintsIn } from '../../../../src/core/ctl/log-excerpt.js';

const at = (text: string): string => `2026-11-21 09:30:00.123 UTC [1234] ${text}`;

describe('complaintsIn', () => {
  it('keeps warnings and worse with their details, without date and pid', () => {
    const log = [
      at('LOG:  starting'),
      at('DETAIL:  of the start'),
      at('ERROR:  conmgr.conf:3: wrong'),
      at('HINT:  mend it'),
      '\tand this',
      at('LOG:  between'),
      '\tof the LOG line',
      at('FATAL:  cannot go on'),
      '',
    ].join('\n');
    assert.deepEqual(complaintsIn(log), [
      'ERROR:  conmgr.conf:3: wrong',
      'HINT:  mend it',
      '\tand this',
      'FATAL:  cannot go on',
    ]);
  });

  it('keeps what no log of ours looks like: a crash of the runtime', () => {
    const log = [at('LOG:  starting'), 'node: cannot open shared object', '    at main (file.js:1:2)'].join(
      '\n',
    );
    assert.deepEqual(complaintsIn(log), ['node: cannot open shared object', '    at main (file.js:1:2)']);
  });

  it('finds none in an empty log', () => {
    assert.deepEqual(complaintsIn(''), []);
  });

  it('is bounded', () => {
    assert.equal(complaintsIn(`${at('ERROR:  x')}\n`.repeat(1000)).length, 200);
  });
});
