import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { MessageError } from '../../../src/core/messages/message-error.js';
import { assertNotRoot, conmgrIdentity, newBootId } from '../../../src/io/identity.js';
import { temporaryDirectory } from '../../support/tree.js';

const MACHINE = '0123456789abcdef0123456789abcdef';

function machine(text = `${MACHINE}\n`): { directory: string; other: string; file: string } {
  const scratch = temporaryDirectory();
  const [directory, other, file] = ['a', 'b', 'machine-id'].map((name) => join(scratch, name)) as [
    string,
    string,
    string,
  ];
  mkdirSync(directory);
  mkdirSync(other);
  writeFileSync(file, text);
  return { directory, other, file };
}

const notKept = (text: RegExp) => (error: unknown) =>
  error instanceof MessageError &&
  error.code === 'CM1115' &&
  error.spec.exit === 78 &&
  text.test(error.message);

describe('the identity of a conmgr', () => {
  it('is HMAC-SHA256 with the machine ID as key over the real path of the directory, 16 octets', () => {
    const { directory, file } = machine();
    const expected = createHmac('sha256', Buffer.from(MACHINE, 'hex'))
      .update(directory)
      .digest('hex')
      .slice(0, 32);
    assert.deepEqual(conmgrIdentity(directory, file), { id: expected });
  });

  it('is the same at every start and by whatever path the directory is named', () => {
    const { directory, other, file } = machine();
    const { id } = conmgrIdentity(directory, file);
    symlinkSync(directory, join(other, 'link'));
    assert.equal(conmgrIdentity(directory, file).id, id);
    assert.equal(conmgrIdentity(join(other, 'link'), file).id, id);
    assert.equal(conmgrIdentity(join(other, '..', 'a/'), file).id, id);
  });

  it('is another one in another directory and on a cloned machine', () => {
    const { directory, other, file } = machine();
    const { id } = conmgrIdentity(directory, file);
    assert.notEqual(conmgrIdentity(other, file).id, id);
    writeFileSync(file, `${MACHINE.replace('0', '1')}\n`);
    assert.notEqual(conmgrIdentity(directory, file).id, id);
  });

  it('does not contain the machine ID, which is nobody else’s business', () => {
    const { directory, file } = machine();
    assert.notEqual(conmgrIdentity(directory, file).id, MACHINE);
  });

  for (const [what, text] of [
    ['empty', ''],
    ['not yet set', 'uninitialized\n'],
    ['zero', `${'0'.repeat(32)}\n`],
  ] as const) {
    it(`is random and kept in the directory, for its owner only, where the machine ID is ${what}`, () => {
      const { directory, file } = machine(text);
      const first = conmgrIdentity(directory, file);
      assert.match(first.id, /^[0-9a-f]{32}$/);
      assert.equal(conmgrIdentity(directory, file).id, first.id);
      const kept = join(directory, 'conmgr.id');
      assert.equal(first.kept?.file, kept);
      assert.equal(statSync(kept).mode & 0o777, 0o600);
      assert.equal(readFileSync(kept, 'latin1'), `${first.id}\n`);
    });
  }

  it('names the reason where the machine ID is missing', () => {
    const { directory, file } = machine();
    const { kept } = conmgrIdentity(directory, `${file}-not`);
    assert.equal(kept?.reason, 'no such file or directory');
  });

  it('is not read through a symbolic link and not replaced when the kept file is damaged', () => {
    const { directory, other, file } = machine('');
    const kept = join(directory, 'conmgr.id');
    writeFileSync(kept, 'damaged\n');
    assert.throws(() => conmgrIdentity(directory, file), notKept(/does not hold 32 hex digits$/));
    assert.equal(readFileSync(kept, 'latin1'), 'damaged\n');
    writeFileSync(join(other, 'elsewhere'), `${MACHINE}\n`);
    symlinkSync(join(other, 'elsewhere'), join(other, 'conmgr.id'));
    assert.throws(() => conmgrIdentity(other, file), notKept(/symbolic links/));
  });

  it('fails with what the system says when it can be kept nowhere', () => {
    const { directory, file } = machine('');
    mkdirSync(join(directory, 'conmgr.id'));
    assert.throws(() => conmgrIdentity(directory, file), notKept(/illegal operation on a directory$/));
  });
});

describe('the boot id', () => {
  it('is another one at every start', () => {
    const ids = Array.from({ length: 100 }, newBootId);
    assert.equal(new Set(ids).size, 100);
    for (const id of ids) assert.match(id, /^[0-9a-f]{32}$/);
  });
});

describe('root', () => {
  it('may not run the program: exit status 77 and what to do instead', () => {
    assert.throws(
      () => assertNotRoot('conmgr', 'conmgr@app1.service', 0),
      (error) =>
        error instanceof MessageError &&
        error.spec.exit === 77 &&
        error.message === '"root" execution of conmgr is not permitted' &&
        error.params['unit'] === 'conmgr@app1.service',
    );
  });

  it('is the only one who may not', () => {
    assertNotRoot('conmgr', 'conmgr@app1.service', 1000);
    assertNotRoot('conmgr', 'conmgr@app1.service', 65534);
  });
});
