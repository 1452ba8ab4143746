import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, it } from 'node:test';
import { findCgroup2 } from '../../src/io/redirect-programs.js';
import { controlGroup } from './place.js';

describe('the control groups of these tests', () => {
  it('are removed by the next run when a run was killed, and those of a run that lives are not', () => {
    const root = findCgroup2();
    assert.ok(root);
    const { pid } = spawnSync('true');
    const left = join(root, `conmgr-test-${pid}-left`);
    mkdirSync(left);
    const { path } = controlGroup('place');
    assert.deepEqual([existsSync(left), existsSync(path), dirname(path)], [false, true, root]);
  });
});
