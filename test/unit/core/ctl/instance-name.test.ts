import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import {
  isInstanceName,
  isPossibleUnit,
  LONGEST_INSTANCE_NAME,
  unitOfName,
} from '../../../../src/core/ctl/instance-name.js';
import { conmgrUnit } from '../../../../src/core/unit-name.js';

describe('names of instances', () => {
  it('are letters, digits, "_", "." and "-", and begin with none of the last two', () => {
    for (const name of ['app1', 'my-app', 'A_b.c', '_x', '15']) assert.ok(isInstanceName(name), name);
    for (const name of ['', '.x', '..', '-x', 'a b', 'a/b', 'ä', 'a\n', 'a%b', 'a@b', 'a\\x2d']) {
      assert.ok(!isInstanceName(name), name);
    }
  });

  it('are so short that unit and drop-in directory can bear them', () => {
    const longest = `a${'-'.repeat(LONGEST_INSTANCE_NAME - 1)}`;
    assert.ok(isInstanceName(longest));
    assert.ok(isPossibleUnit(unitOfName(longest)));
    assert.ok(!isInstanceName(`${longest}-`));
    assert.ok(!isPossibleUnit(`conmgr@${'a'.repeat(240)}.service`));
  });

  it('are what their unit means', () => {
    assert.equal(unitOfName('my-app'), 'conmgr@my\\x2dapp.service');
    fc.assert(
      fc.property(fc.stringMatching(/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,47}$/), (name) => {
        const escaped = unitOfName(name).slice('conmgr@'.length, -'.service'.length);
        assert.deepEqual(conmgrUnit(escaped), { kind: 'name', name });
      }),
    );
  });
});
