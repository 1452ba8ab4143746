import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { fill } from '../../../src/core/messages/message.js';
import { findingsOf } from '../../../src/watchdog/preflight.js';

const SUPERUSER = {
  role: 'postgres',
  superuser: true,
  may_signal: true,
  may_see: true,
  reserved: true,
  override: false,
};

function texts(rights: Partial<typeof SUPERUSER>, version = 170_000): readonly string[] {
  return findingsOf({ ...SUPERUSER, ...rights }, version).map(({ spec }) => `${spec.level} ${spec.code}`);
}

describe("rights of the watchdog's role", () => {
  it('a superuser lacks nothing', () => {
    assert.deepEqual(texts({}), []);
  });

  it('each right that is missing is named by itself', () => {
    assert.deepEqual(texts({ superuser: false }), ['LOG CM2032']);
    assert.deepEqual(texts({ superuser: false, reserved: false }), ['LOG CM2032', 'WARNING CM2033']);
    assert.deepEqual(texts({ may_signal: false }), ['ERROR CM2030']);
    assert.deepEqual(texts({ may_see: false }), ['ERROR CM2031']);
    assert.deepEqual(texts({ override: true }), ['WARNING CM2034']);
  });

  it('the cure for reserved connections depends on the version', () => {
    const hint = (version: number): string => {
      const found = findingsOf({ ...SUPERUSER, superuser: false, reserved: false }, version);
      const { spec, params } = found.find((one) => one.spec.code === 'CM2033')!;
      return fill(spec.hint ?? '', params);
    };
    assert.match(hint(160_000), /GRANT pg_use_reserved_connections TO "postgres"/);
    assert.match(hint(150_000), /Before PostgreSQL 16/);
  });
});
