import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { LinkFileError } from '../../../src/io/link-file.js';
import { readSecretFile } from '../../../src/io/secret-file.js';
import { temporaryDirectory } from '../../support/tree.js';

const SECRET = '0123456789abcdef'.repeat(4);
const OWN = process.getuid?.() ?? 0;

function secretFile(mode: number, text = `${SECRET}\n`): { directory: string; path: string } {
  const directory = temporaryDirectory('secret-');
  const path = join(directory, 'secret');
  writeFileSync(path, text);
  chmodSync(path, mode);
  return { directory, path };
}

async function refusal(place: Partial<Parameters<typeof readSecretFile>[0]>): Promise<string> {
  try {
    await readSecretFile({ path: 'secret', base: '/', parameter: 'x', owner: OWN, env: {}, ...place });
  } catch (error) {
    assert.ok(error instanceof LinkFileError);
    assert.ok(!error.message.includes(SECRET.slice(0, 8)), 'the message has nothing of the content');
    return error.message;
  }
  throw new Error('the file was taken');
}

describe('a secret file', () => {
  it('of its owner alone is read, by an absolute name, one relative to the base, and through a link', async () => {
    const { directory, path } = secretFile(0o600);
    symlinkSync(path, join(directory, 'link'));
    for (const name of [path, 'secret', './secret', 'link']) {
      const place = { path: name, base: directory, parameter: 'x', owner: OWN, env: {} };
      assert.deepEqual(await readSecretFile(place), [SECRET]);
    }
    chmodSync(path, 0o400);
    assert.deepEqual(await readSecretFile({ path, base: '/', parameter: 'x', owner: OWN, env: {} }), [
      SECRET,
    ]);
  });

  for (const mode of [0o640, 0o620, 0o610, 0o604, 0o602, 0o601, 0o644, 0o660]) {
    const text = mode.toString(8).padStart(4, '0');
    it(`of mode ${text} is refused`, async () => {
      const { path } = secretFile(mode);
      assert.equal(
        await refusal({ path }),
        `secret file "${path}" may be used by group or others (mode ${text}); make a new secret, as others may know ` +
          `this one, and keep it closed: chmod 0600 ${path}`,
      );
    });
  }

  it('of another user is refused', async () => {
    const { path } = secretFile(0o600);
    if (OWN === 0)
      assert.deepEqual(await readSecretFile({ path, base: '/', parameter: 'x', owner: 12_345, env: {} }), [
        SECRET,
      ]);
    else {
      assert.match(
        await refusal({ path, owner: OWN + 1 }),
        new RegExp(`belongs to another user \\(UID ${OWN}\\); .*: chown ${OWN + 1} `),
      );
    }
  });

  it('that is empty, short or long is refused', async () => {
    assert.match(await refusal(secretFile(0o600, '')), /" is empty; "cm_ctl secret FILE" makes a good one$/);
    assert.match(await refusal(secretFile(0o600, 'abc\n')), /" has in line 1 fewer than 32 characters; /);
    assert.match(await refusal(secretFile(0o600, SECRET.repeat(1000))), /" is longer than 262 bytes; /);
  });

  it('that is missing, a directory or a pipe is refused, and nothing is waited for', async () => {
    const directory = temporaryDirectory('secret-');
    const missing = join(directory, 'missing');
    assert.match(await refusal({ path: missing }), /could not be read: .*; "cm_ctl secret FILE" makes one$/);
    assert.match(await refusal({ path: directory }), /is not a regular file/);
    const pipe = join(directory, 'pipe');
    execFileSync('mkfifo', ['-m', '0600', pipe]);
    assert.match(await refusal({ path: pipe }), /is not a regular file/);
  });

  it('%d/NAME is a credential of the systemd unit, and a clear word where there is none', async () => {
    const { directory } = secretFile(0o400);
    const place = { path: '%d/secret', base: '/', parameter: 'x', owner: OWN };
    assert.deepEqual(await readSecretFile({ ...place, env: { CREDENTIALS_DIRECTORY: directory } }), [SECRET]);
    const words = /"%d\/secret" needs the variable CREDENTIALS_DIRECTORY; LoadCredential= in a drop-in/;
    assert.match(await refusal({ path: '%d/secret' }), words);
    assert.match(await refusal({ path: '%d/secret', env: { CREDENTIALS_DIRECTORY: 'relative' } }), words);
  });

  it('a credential that its own user made readable is refused like any other file', async () => {
    const { directory, path } = secretFile(0o440);
    if (OWN === 0) chmodSync(path, 0o444);
    const env = { CREDENTIALS_DIRECTORY: directory };
    assert.match(await refusal({ path: '%d/secret', env }), /may be used by group or others/);
  });
});
