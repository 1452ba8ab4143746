import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { makeDirectories } from '../../../src/io/make-directories.js';

describe('makeDirectories', () => {
  let place: string;
  before(() => {
    place = mkdtempSync(join(tmpdir(), 'make-directories-'));
  });
  after(() => rmSync(place, { recursive: true, force: true }));

  it('makes what is missing above it, too, and names the uppermost one', async () => {
    assert.equal(await makeDirectories(join(place, 'a/b/c'), 0o700), join(place, 'a'));
    for (const made of ['a', 'a/b', 'a/b/c']) assert.equal(statSync(join(place, made)).mode & 0o777, 0o700);
  });

  it('takes one that is there as it is', async () => {
    assert.equal(await makeDirectories(join(place, 'a/b')), undefined);
  });

  it('refuses something that is no directory', async () => {
    writeFileSync(join(place, 'file'), '');
    await assert.rejects(makeDirectories(join(place, 'file')), { code: 'EEXIST' });
    await assert.rejects(makeDirectories(join(place, 'file/below')), { code: 'ENOTDIR' });
  });

  it('ends where the kernel makes no directories', async () => {
    await assert.rejects(makeDirectories('/proc/not-there/below'), { code: 'ENOENT' });
  });
});
