import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { namesIn, readUnitFile, removeUnitFile, writeUnitFile } from '../../../src/io/drop-in-files.js';
import { lookUpUser } from '../../../src/io/user-lookup.js';

const root = mkdtempSync(join(tmpdir(), 'drop-in-'));
after(() => rmSync(root, { recursive: true }));

describe('files of units', () => {
  it('and their directory can be read by everybody, whatever the umask', async () => {
    const file = join(root, 'a.service.d/50.conf');
    const before = process.umask(0o077);
    try {
      await writeUnitFile(file, '[Service]\n');
    } finally {
      process.umask(before);
    }
    assert.equal(statSync(file).mode & 0o777, 0o644);
    assert.equal(statSync(join(root, 'a.service.d')).mode & 0o777, 0o755);
  });

  it('are replaced as a whole, and no draft stays', async () => {
    const file = join(root, 'b.service.d/50.conf');
    await writeUnitFile(file, 'one');
    const { ino } = statSync(file);
    writeFileSync(join(root, 'b.service.d/.50.conf.new'), 'left by a crash');
    await writeUnitFile(file, 'two');
    assert.equal(readFileSync(file, 'utf8'), 'two');
    assert.notEqual(statSync(file).ino, ino);
    assert.deepEqual(readdirSync(join(root, 'b.service.d')), ['50.conf']);
  });

  it('take their directory along when they were the last in it', async () => {
    const folder = join(root, 'c.service.d');
    await writeUnitFile(join(folder, '50.conf'), '');
    await writeUnitFile(join(folder, '51.conf'), '');
    await removeUnitFile(join(folder, '50.conf'));
    assert.deepEqual(await namesIn(folder), ['51.conf']);
    await removeUnitFile(join(folder, '51.conf'));
    assert.ok(!existsSync(folder));
    assert.deepEqual(await namesIn(folder), []);
    assert.equal(await readUnitFile(join(folder, '51.conf')), undefined);
    await removeUnitFile(join(folder, '51.conf'));
  });
});

describe('a user', () => {
  it('is found by name and by number', async () => {
    for (const key of ['root', 0]) {
      const { home = '', ...rest } = (await lookUpUser(key)) ?? {};
      assert.deepEqual(rest, { name: 'root', uid: 0, gid: 0 });
      assert.match(home, /^\//);
    }
  });

  it('need not exist', async () => {
    for (const name of ['no_such_user_here', '', '-x', '--help', 'root:x', 'a\nb']) {
      assert.equal(await lookUpUser(name), undefined, JSON.stringify(name));
    }
  });
});
