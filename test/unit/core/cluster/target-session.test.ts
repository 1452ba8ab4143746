import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  fitsTarget,
  isWriterTarget,
  parseTarget,
  TARGETS,
  type TargetSessionAttrs,
} from '../../../../src/core/cluster/target-session.js';
import { type AttributeName, attributeBits } from '../../../../src/core/protocol/attributes.js';

/**
 * PostgreSQL documentation, 34.1.2 Parameter Key Words, target_session_attrs, in two measurable facts: whether the
 * server is in hot standby mode and whether default_transaction_read_only is on.
 */
const LIBPQ: Readonly<Record<TargetSessionAttrs, (hotStandby: boolean, readOnly: boolean) => boolean>> = {
  any: () => true,
  'read-write': (hotStandby, readOnly) => !hotStandby && !readOnly,
  'read-only': (hotStandby, readOnly) => hotStandby || readOnly,
  primary: (hotStandby) => !hotStandby,
  standby: (hotStandby) => hotStandby,
  'prefer-standby': () => true,
};

describe('target_session_attrs', () => {
  for (const target of TARGETS) {
    for (const hotStandby of [false, true]) {
      for (const readOnly of [false, true]) {
        const fits = LIBPQ[target](hotStandby, readOnly);
        const server = `${hotStandby ? 'standby' : 'primary'}${readOnly ? ', read-only by default' : ''}`;
        it(`${target} ${fits ? 'takes' : 'does not take'} a ${server}, as libpq`, () => {
          const bits: AttributeName[] = hotStandby ? ['standby', 'readOnlyByRecovery'] : ['primary'];
          if (readOnly) bits.push('readOnlyByDefault');
          assert.equal(fitsTarget(attributeBits(...bits), target), fits);
        });
      }
    }
    it(`${target} does not take a server whose role is not known`, () => {
      assert.equal(fitsTarget(attributeBits('accepting', 'readOnlyByDefault'), target), false);
    });
  }

  it('a standby is read-only although its watchdog did not say so', () => {
    assert.equal(fitsTarget(attributeBits('standby'), 'read-only'), true);
  });

  it('is read in any letter case', () => {
    for (const target of TARGETS) assert.deepEqual(parseTarget(target.toUpperCase()), { target });
  });

  it("takes pgjdbc's words for the same", () => {
    const meant = ['any', 'primary', 'secondary', 'preferSecondary'].map((word) => {
      const parsed = parseTarget(word);
      return 'target' in parsed ? parsed.target : parsed.refusal;
    });
    assert.deepEqual(meant, ['any', 'primary', 'standby', 'prefer-standby']);
  });

  it('refuses preferPrimary, and says that it is known but of no use here', () => {
    const parsed = parseTarget('preferPrimary');
    assert.ok('refusal' in parsed && parsed.refusal.includes('connection manager'));
  });

  it('refuses anything else with the list of what is known', () => {
    for (const word of ['', 'master', 'read_write', 'any ', 'constructor', '__proto__']) {
      const parsed = parseTarget(word);
      assert.ok('refusal' in parsed, word);
      for (const target of TARGETS) assert.ok(parsed.refusal.includes(target));
    }
  });

  it('primary and read-write ask for the one instance that takes writes', () => {
    assert.deepEqual(TARGETS.filter(isWriterTarget), ['read-write', 'primary']);
  });
});
