import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, it } from 'node:test';
import { MOST_LIST_BYTES } from '../../../src/core/guard/target-list.js';
import { readTargetLists } from '../../../src/io/target-lists.js';
import { temporaryDirectory } from '../../support/tree.js';

const GOOD = 'user conmgr\ntarget 192.0.2.10 27500\n';
const self = process.getuid?.() ?? 0;

describe('the lists of targets', () => {
  let folder: string;
  const put = (name: string, text = GOOD, mode = 0o644): string => {
    const path = join(folder, name);
    writeFileSync(path, text);
    chmodSync(path, mode);
    return path;
  };
  const reasons = async (owner = self) =>
    (await readTargetLists(folder, owner)).refused.map(
      ({ file, reason }) => `${file.slice(folder.length)} ${reason}`,
    );

  beforeEach(() => {
    folder = join(temporaryDirectory(), 'targets.d');
    mkdirSync(folder, { mode: 0o755 });
    chmodSync(folder, 0o755);
  });

  it('are all files that end in .conf, and a directory that is not there has none', async () => {
    put('a.conf');
    put('b.conf', 'user alice\n');
    put('c.conf.bak');
    const { lists, refused } = await readTargetLists(folder, self);
    assert.deepEqual([lists.flatMap(({ users }) => users), refused], [['conmgr', 'alice'], []]);
    assert.deepEqual(await readTargetLists(join(folder, 'missing'), self), { lists: [], refused: [] });
  });

  it('count only when nobody but their owner can write them, one by one', async () => {
    put('good.conf');
    put('group.conf', GOOD, 0o664);
    put('others.conf', GOOD, 0o646);
    assert.deepEqual(await reasons(), [
      '/group.conf can be written by others than its owner',
      '/others.conf can be written by others than its owner',
    ]);
    assert.equal((await readTargetLists(folder, self)).lists.length, 1);
  });

  it('count only when they belong to root', async () => {
    put('a.conf');
    assert.deepEqual(await reasons(self + 1), [` belongs to user ID ${self}, not to ${self + 1}`]);
    assert.deepEqual((await readTargetLists(folder, self + 1)).lists, []);
  });

  it('count for nothing in a directory that others can write', async () => {
    put('a.conf');
    chmodSync(folder, 0o777);
    assert.deepEqual(await reasons(), [' can be written by others than its owner']);
    assert.deepEqual((await readTargetLists(folder, self)).lists, []);
  });

  it('are no links, no directories, and not endless', async () => {
    const real = put('real');
    symlinkSync(real, join(folder, 'link.conf'));
    mkdirSync(join(folder, 'directory.conf'));
    put('long.conf', '#'.repeat(MOST_LIST_BYTES + 1));
    const found = await reasons();
    assert.equal(found.length, 3);
    assert.match(
      found.join('\n'),
      /directory\.conf not a regular file\n\/link\.conf too many .*\n\/long\.conf longer than/,
    );
  });

  it('are no pipes, for which nobody waits', async () => {
    execFileSync('mkfifo', ['-m', '644', join(folder, 'pipe.conf')]);
    put('a.conf');
    assert.deepEqual(await reasons(), ['/pipe.conf not a regular file']);
    assert.equal((await readTargetLists(folder, self)).lists.length, 1);
  });

  it('name the line of a mistake', async () => {
    put('a.conf', `${GOOD}target db1 27500\n`);
    assert.deepEqual(await reasons(), ['/a.conf line 3: expected: target ADDRESS[/PREFIX] PORT']);
  });
});
