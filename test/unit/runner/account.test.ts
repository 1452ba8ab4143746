import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { mayRead, testAccount } from '../../runner/account.js';
import { temporaryDirectory } from '../../support/tree.js';

const stranger = { name: 'stranger', uid: 4_000_000, gid: 4_000_000 };

describe('what an account may read', () => {
  it('is everything for the caller itself', () => {
    assert.equal(mayRead(undefined, '/no/such/file'), true);
  });

  it('is what the file and all directories above it allow', () => {
    assert.equal(mayRead(stranger, '/bin/sh'), true);
    const open = temporaryDirectory();
    const file = join(open, 'file');
    writeFileSync(file, '');
    // The directory, or one above it, is its owner's alone.
    assert.equal(mayRead(stranger, file), false);
    const owner = { name: 'owner', uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
    assert.equal(mayRead(owner, file), true);
    chmodSync(file, 0o044);
    assert.equal(mayRead(owner, file), false);
    mkdirSync(join(open, 'closed'));
    chmodSync(join(open, 'closed'), 0o600);
    assert.equal(mayRead(owner, join(open, 'closed')), false);
  });
});

describe('the account of a run', () => {
  it('is the caller, unless that is root', () => {
    assert.equal(process.getuid?.() === 0, false, 'tests never run as root');
    assert.equal(testAccount({ TEST_USER: 'root' }), undefined);
  });
});
