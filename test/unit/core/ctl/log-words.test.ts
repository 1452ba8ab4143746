import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { journalWords, tailWords } from '../../../../src/core/ctl/log-words.js';

const UNIT = 'conmgr@app1.service';
const ALL = { follow: false, lines: undefined, pager: false } as const;

describe('the log of an instance', () => {
  it('is the journal of its unit, with a pager only for a person', () => {
    const system = { manager: 'system' } as const;
    assert.deepEqual(journalWords({ ...ALL, unit: UNIT, of: system }), [`--unit=${UNIT}`, '--no-pager']);
    assert.deepEqual(journalWords({ follow: true, lines: 5, pager: true, unit: UNIT, of: system }), [
      `--unit=${UNIT}`,
      '--follow',
      '--lines=5',
    ]);
  });

  it('is found in the manager of the caller, and for root in that of another user', () => {
    const own = { manager: 'user', uid: undefined } as const;
    assert.deepEqual(journalWords({ ...ALL, unit: UNIT, of: own }), [
      `--user-unit=${UNIT}`,
      '--quiet',
      '--no-pager',
    ]);
    assert.deepEqual(journalWords({ ...ALL, unit: UNIT, of: { manager: 'user', uid: 1001 } }), [
      '_UID=1001',
      `_SYSTEMD_USER_UNIT=${UNIT}`,
      '+',
      '_UID=1001',
      `USER_UNIT=${UNIT}`,
      '--no-pager',
    ]);
  });

  it('is a file else: all of it, its last lines, or what comes', () => {
    assert.deepEqual(tailWords('/d/conmgr.log', ALL), ['-n', '+1', '--', '/d/conmgr.log']);
    assert.deepEqual(tailWords('/d/l', { follow: true, lines: undefined }), ['-n', '10', '-F', '--', '/d/l']);
    assert.deepEqual(tailWords('/d/l', { follow: false, lines: 0 }), ['-n', '0', '--', '/d/l']);
  });
});
