import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { linksTo, unitsOfDirectory } from '../../../src/io/unit-links.js';

// Not below /tmp, where no unit can serve a directory (shm_overview(7): everybody may write here).
const home = realpathSync(mkdtempSync('/dev/shm/links-'));
after(() => rmSync(home, { recursive: true }));
const place = join(home, '.local/state/conmgr');
mkdirSync(join(place, 'own'), { recursive: true });
mkdirSync(join(home, 'elsewhere'));
symlinkSync(join(home, 'elsewhere'), join(place, 'linked'));
symlinkSync(join(home, 'nowhere'), join(place, 'dangling'));

describe('the links to a directory', () => {
  it('are those in the place of the named ones that lead to it', async () => {
    assert.deepEqual(await linksTo(join(home, 'elsewhere'), place), ['linked']);
    assert.deepEqual(await linksTo(join(place, 'linked'), place), ['linked']);
    assert.deepEqual(await linksTo(join(place, 'own'), place), []);
    assert.deepEqual(await linksTo(join(home, 'nowhere'), place), ['dangling']);
  });

  it('are none where there is no such place', async () => {
    assert.deepEqual(await linksTo('/srv/app', join(home, 'missing')), []);
  });
});

describe('the units of a directory on this host', () => {
  it('are found by its name, and by the names that lead to it', async () => {
    const first = async (directory: string) => (await unitsOfDirectory(directory, { user: true, home }))[0];
    assert.equal(await first(join(place, 'own')), 'conmgr@own.service');
    assert.equal(await first(join(home, 'elsewhere')), 'conmgr@linked.service');
    assert.equal(await first(join(place, 'linked')), 'conmgr@linked.service');
  });
});
