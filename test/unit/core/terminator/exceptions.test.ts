import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type ExceptionFacts, terminatorExceptions } from '../../../../src/core/terminator/exceptions.js';

const RIGHTS = {
  role: 'w',
  superuser: true,
  may_signal: true,
  may_see: true,
  reserved: true,
  override: false,
};
const FACTS: ExceptionFacts = {
  config: { terminateOn: 'any', terminateScope: 'address', excludeReplication: false },
  paused: false,
  connected: true,
  rights: RIGHTS,
  waiting: 0,
};
const kinds = (facts: Partial<ExceptionFacts>, wrong = false): readonly string[] =>
  terminatorExceptions({ ...FACTS, ...facts })
    .filter((one) => !wrong || one.wrong)
    .map(({ kind }) => kind);

describe('what the terminator leaves alone', () => {
  it('are sessions that wait for synchronous replication, whatever its rights; those that do now are counted', () => {
    assert.deepEqual(kinds({}), ['syncRep']);
    const [one] = terminatorExceptions({ ...FACTS, waiting: 3 });
    assert.match(one?.text ?? '', /synchronous replication.*\(3 now\)$/);
  });

  it('is everything while it is paused, switched off, or without a connection', () => {
    assert.deepEqual(kinds({ paused: true, connected: false }), ['paused', 'unconnected', 'syncRep']);
    assert.deepEqual(kinds({ config: { ...FACTS.config, terminateOn: 'never' } }), ['off', 'syncRep']);
  });

  it('are sessions that nobody has reported, where only reported ones are ended', () => {
    assert.deepEqual(kinds({ config: { ...FACTS.config, terminateScope: 'monitored' } }), [
      'unreported',
      'syncRep',
    ]);
  });

  it('are replication connections and orderly stops as configured', () => {
    assert.deepEqual(kinds({ config: { ...FACTS.config, terminateOn: 'lost', excludeReplication: true } }), [
      'stops',
      'replication',
      'syncRep',
    ]);
  });

  it('are superusers for a role that is none, and whatever a missing right hides or forbids', () => {
    assert.deepEqual(kinds({ rights: { ...RIGHTS, superuser: false } }), ['superusers', 'syncRep']);
    assert.deepEqual(kinds({ rights: { ...RIGHTS, may_see: false, may_signal: false } }), [
      'mayNotSee',
      'mayNotSignal',
      'syncRep',
    ]);
  });

  it('waits for an administrator only where something is missing or paused', () => {
    assert.deepEqual(kinds({ rights: { ...RIGHTS, superuser: false } }, true), []);
    assert.deepEqual(kinds({ paused: true, rights: { ...RIGHTS, may_signal: false } }, true), [
      'paused',
      'mayNotSignal',
    ]);
  });

  it('says nothing of rights that are not known yet', () => {
    assert.deepEqual(kinds({ rights: undefined }), ['syncRep']);
  });
});
