import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import {
  debianChangelog,
  parseChangelog,
  releaseOf,
  rpmChangelog,
} from '../../../packaging/packages/release.js';
import { temporaryDirectory } from '../../support/tree.js';

const CHANGES = `# Changelog

## 1.1.0 (unreleased)
- One thing that takes more than a line to be told, so that it has to be folded where it goes to,
  and a line of its own.
- 100 % more.

## 1.0.0 (2026-02-03)
- The first.
`;

/** 2026-02-03, and an hour of the next day. */
const FIRST = 1_770_076_800;
const LATER = FIRST + 86_400 + 3_600;

function treeWith(changes: string, version = '1.1.0'): string {
  const tree = temporaryDirectory();
  writeFileSync(join(tree, 'package.json'), JSON.stringify({ version }));
  writeFileSync(join(tree, 'CHANGELOG.md'), changes);
  return tree;
}

describe('what a package says of itself', () => {
  it('is of the date of the release, or else of SOURCE_DATE_EPOCH where that is given', () => {
    const released = treeWith(CHANGES.replace('unreleased', '2026-02-03'));
    assert.equal(releaseOf(released, {}).epoch, FIRST);
    assert.equal(releaseOf(released, { SOURCE_DATE_EPOCH: '5' }).epoch, 5);
  });

  it('has the same date in every tree that knows none', () => {
    assert.equal(releaseOf(treeWith(CHANGES), {}).epoch, releaseOf(treeWith(CHANGES), {}).epoch);
    const broken = treeWith(CHANGES);
    mkdirSync(join(broken, '.git'));
    assert.equal(releaseOf(broken, {}).epoch, releaseOf(treeWith(CHANGES), {}).epoch);
  });

  it('refuses a changelog that begins with another version, and numbers that are none', () => {
    assert.throws(
      () => releaseOf(treeWith(CHANGES, '1.2.0'), {}),
      /begins with 1\.1\.0, package\.json has 1\.2\.0/,
    );
    assert.throws(() => releaseOf(treeWith(CHANGES), { REVISION: '1a' }), /REVISION is "1a"/);
    assert.throws(
      () => releaseOf(treeWith(CHANGES), { SOURCE_DATE_EPOCH: 'now' }),
      /SOURCE_DATE_EPOCH is "now"/,
    );
  });

  it('keeps a version that is not released out of older entries', () => {
    const older = `## 2.0.0\n- New.\n\n${CHANGES}`;
    const release = releaseOf(treeWith(older, '2.0.0'), { SOURCE_DATE_EPOCH: String(LATER) });
    assert.deepEqual(
      [...debianChangelog(release).matchAll(/^conmgr \((.*)\)/gm)].map(([, version]) => version),
      ['2.0.0-1', '1.0.0-1'],
    );
  });

  it('is a changelog of Debian', () => {
    const release = releaseOf(treeWith(CHANGES), { REVISION: '2', SOURCE_DATE_EPOCH: String(LATER) });
    assert.equal(
      debianChangelog(release),
      `conmgr (1.1.0-2) unstable; urgency=medium

  * One thing that takes more than a line to be told, so that it has to be
    folded where it goes to, and a line of its own.
  * 100 % more.

 -- conmgr developers <developers@conmgr.invalid>  Wed, 04 Feb 2026 01:00:00 +0000

conmgr (1.0.0-1) unstable; urgency=medium

  * The first.

 -- conmgr developers <developers@conmgr.invalid>  Tue, 03 Feb 2026 00:00:00 +0000
`,
    );
  });

  it('is a changelog of an rpm, in which a percent sign begins no macro', () => {
    const release = releaseOf(treeWith(CHANGES), { REVISION: '2', SOURCE_DATE_EPOCH: String(LATER) });
    assert.equal(
      rpmChangelog(release),
      `* Wed Feb 04 2026 conmgr developers <developers@conmgr.invalid> - 1.1.0-2
- One thing that takes more than a line to be told, so that it has to be
  folded where it goes to, and a line of its own.
- 100 %% more.

* Tue Feb 03 2026 conmgr developers <developers@conmgr.invalid> - 1.0.0-1
- The first.`,
    );
  });

  it('takes nothing of what stands before the first section', () => {
    assert.deepEqual(parseChangelog('# Changelog\n- no entry\n'), []);
  });
});
