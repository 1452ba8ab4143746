import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  MOST_REMEMBERED,
  REMEMBERED_MS,
  RememberedHosts,
} from '../../../../src/core/client/remembered-hosts.js';
import {
  describeRole,
  roleFits,
  roleFromParameters,
  roleFromRow,
  type ServerRole,
} from '../../../../src/core/client/role.js';
import { TARGETS } from '../../../../src/core/cluster/target-session.js';

const STANDBY: ServerRole = { inRecovery: true, readOnly: true };
const PRIMARY: ServerRole = { inRecovery: false, readOnly: false };
const READ_ONLY_PRIMARY: ServerRole = { inRecovery: false, readOnly: true };

describe('the role of a server', () => {
  it('is told by in_hot_standby and default_transaction_read_only', () => {
    const reported = (standby: string, readOnly: string) =>
      roleFromParameters(
        new Map([
          ['in_hot_standby', standby],
          ['default_transaction_read_only', readOnly],
        ]),
      );
    assert.deepEqual(reported('on', 'off'), STANDBY);
    assert.deepEqual(reported('off', 'off'), PRIMARY);
    assert.deepEqual(reported('off', 'on'), READ_ONLY_PRIMARY);
  });

  it('must be asked for when one of them is not reported, as before version 14', () => {
    assert.equal(roleFromParameters(new Map([['in_hot_standby', 'off']])), undefined);
    assert.equal(roleFromParameters(new Map([['default_transaction_read_only', 'off']])), undefined);
  });

  it('is told by the row of the query', () => {
    assert.deepEqual(roleFromRow(['t', 'on']), STANDBY);
    assert.deepEqual(roleFromRow(['f', 'off']), PRIMARY);
    assert.deepEqual(roleFromRow(['f', 'on']), READ_ONLY_PRIMARY);
  });

  it('is not known from any other row', () => {
    for (const row of [[], ['t'], [null, 'on'], ['t', null], ['true', 'on'], ['f', 'yes']]) {
      assert.equal(roleFromRow(row), undefined, JSON.stringify(row));
    }
  });

  it('fits target_session_attrs as libpq defines it', () => {
    const fitting = (role: ServerRole) => TARGETS.filter((target) => roleFits(role, target));
    assert.deepEqual(fitting(PRIMARY), ['any', 'read-write', 'primary', 'prefer-standby']);
    assert.deepEqual(fitting(STANDBY), ['any', 'read-only', 'standby', 'prefer-standby']);
    assert.deepEqual(fitting(READ_ONLY_PRIMARY), ['any', 'read-only', 'primary', 'prefer-standby']);
  });

  it('has words for an error', () => {
    assert.deepEqual([STANDBY, PRIMARY, READ_ONLY_PRIMARY].map(describeRole), [
      'a standby',
      'a primary',
      'a primary with default_transaction_read_only',
    ]);
  });
});

describe('what was learned of a host', () => {
  it('holds for ten minutes', () => {
    const memory = new RememberedHosts();
    assert.equal(memory.isDirect('h:1', 0), false);
    memory.rememberDirect('h:1', 0);
    assert.equal(memory.isDirect('h:1', REMEMBERED_MS - 1), true);
    assert.equal(memory.isDirect('h:2', 0), false);
    assert.equal(memory.isDirect('h:1', REMEMBERED_MS), false);
  });

  it('is bounded: the oldest gives way', () => {
    const memory = new RememberedHosts();
    memory.rememberDirect('first', 0);
    for (let n = 1; n < MOST_REMEMBERED; n += 1) memory.rememberDirect(`h${n}`, 0);
    memory.rememberDirect('first', 1);
    memory.rememberDirect('last', 1);
    assert.equal(memory.isDirect('first', 2), true);
    assert.equal(memory.isDirect('last', 2), true);
    assert.equal(memory.isDirect('h1', 2), false);
  });
});
