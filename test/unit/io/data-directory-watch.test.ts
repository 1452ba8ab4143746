import assert from 'node:assert/strict';
import { mkdirSync, renameSync, type watch, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, it } from 'node:test';
import { type DataDirectoryWatch, watchDataDirectory } from '../../../src/io/data-directory-watch.js';
import { eventually } from '../../support/eventually.js';
import { temporaryDirectory } from '../../support/tree.js';

describe('the watch of a data directory', () => {
  let watched: DataDirectoryWatch | undefined;
  afterEach(() => watched?.close());

  /** Names of changed files, one at a time as they come, and what was said of a missing watch. */
  const start = async (path: string, open?: typeof watch) => {
    const names: string[] = [];
    const problems: (string | undefined)[] = [];
    const events = {
      changed: (name: string) => void names.push(name),
      unwatched: ({ code }: NodeJS.ErrnoException) => void problems.push(code),
    };
    const opened = watchDataDirectory(path, events, open);
    watched = opened;
    await opened.renew();
    const next = async (): Promise<string | undefined> => {
      await eventually(() => names.length > 0, { what: 'a change is told' });
      return names.shift();
    };
    return { next, problems, renew: () => opened.renew() };
  };

  it('tells of the files that announce a change, and of no others', async () => {
    const path = temporaryDirectory();
    const { next, problems } = await start(path);
    writeFileSync(join(path, 'postmaster.opts'), '');
    mkdirSync(join(path, 'pg_wal'));
    writeFileSync(join(path, 'promote'), '');
    assert.equal(await next(), 'promote');
    assert.deepEqual(problems, []);
  });

  it('goes on with the directory that took the place of the watched one', async () => {
    const path = join(temporaryDirectory(), 'data');
    mkdirSync(path);
    const { next, renew } = await start(path);
    renameSync(path, `${path}.old`);
    mkdirSync(path);
    await renew();
    assert.equal(await next(), 'postmaster.pid');
    writeFileSync(join(path, 'standby.signal'), '');
    assert.equal(await next(), 'standby.signal');
  });

  it('says that the kernel gives none, each time it has tried again', async () => {
    const open = (() => {
      throw Object.assign(new Error('EMFILE: too many open files, watch'), { code: 'EMFILE' });
    }) as unknown as typeof watch;
    const { problems, renew } = await start(temporaryDirectory(), open);
    const before = problems.length;
    assert.ok(before > 0);
    await renew();
    assert.deepEqual(
      problems,
      Array.from({ length: before + 1 }, () => 'EMFILE'),
    );
  });
});
