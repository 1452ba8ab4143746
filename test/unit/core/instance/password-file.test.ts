import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { passwordIn } from '../../../../src/core/instance/password-file.js';

const KEY = { host: '/run/postgresql', port: 5432, database: 'postgres', user: 'watchdog' };

describe('the password file', () => {
  it('the first line that fits counts, a star fits everything', () => {
    const text = '# comment\nother:*:*:*:no\n*:5433:*:*:no\n*:*:*:watchdog:first\n*:*:*:*:second\n';
    assert.equal(passwordIn(text, KEY), 'first');
    assert.equal(passwordIn(text, { ...KEY, user: 'x' }), 'second');
    assert.equal(passwordIn('', KEY), undefined);
    assert.equal(passwordIn('*:*:*:*:\n*:*:*\n', KEY), undefined);
  });

  it('localhost stands for a Unix socket, as does its directory', () => {
    assert.equal(passwordIn('localhost:5432:postgres:watchdog:pw', KEY), 'pw');
    assert.equal(passwordIn('/run/postgresql:5432:postgres:watchdog:pw\r\n', KEY), 'pw');
    assert.equal(passwordIn('localhost:5432:postgres:watchdog:pw', { ...KEY, host: '10.0.0.1' }), undefined);
  });

  it('a backslash takes the meaning from a colon or a backslash; the password may hold colons', () => {
    assert.equal(passwordIn('*:*:*:watchdog:a\\:b\\\\c', KEY), 'a:b\\c');
    assert.equal(passwordIn('*:*:*:watchdog:a:b', KEY), 'a:b');
    assert.equal(passwordIn('*:*:we\\:ird:*:pw', { ...KEY, database: 'we:ird' }), 'pw');
  });
});
