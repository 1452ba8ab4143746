import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import {
  deriveAttributes,
  INSTANCE_RULES,
  type InstanceFacts,
  type PostmasterFact,
  type SqlFact,
} from '../../../../src/core/instance/attributes.js';
import { type CheckRow, newestTimeline, readCheckRow } from '../../../../src/core/instance/check-row.js';
import { describeInstance } from '../../../../src/core/instance/describe.js';
import { formatPosition } from '../../../../src/core/instance/position.js';
import { POSTMASTER_STATUSES } from '../../../../src/core/instance/postmaster-files.js';
import {
  attributeNames,
  type InstanceAttributes,
  UNKNOWN_ATTRIBUTES,
} from '../../../../src/core/protocol/attributes.js';

const ROW: CheckRow = {
  inRecovery: false,
  timeline: 3,
  position: 100n,
  receivedPosition: 0n,
  readOnlyByDefault: false,
  serverVersionNum: 170_010,
  systemIdentifier: 42n,
  full: false,
};
const running = (status?: (typeof POSTMASTER_STATUSES)[number]): PostmasterFact => ({
  kind: 'running',
  pid: 7,
  status,
});
const refused = (sqlState: string, text = 'no'): SqlFact => ({ kind: 'refused', sqlState, text });
const UP: InstanceFacts = {
  postmaster: running('ready'),
  sql: { kind: 'connected' },
  row: ROW,
  answers: true,
};
const ENDED: SqlFact = { kind: 'ended', byServer: false };

function derive(facts: Partial<InstanceFacts>): InstanceAttributes {
  return deriveAttributes({ ...UP, ...facts }, UNKNOWN_ATTRIBUTES);
}

/** Facts that differ from a running primary, and what the instance then is. */
const CASES: readonly (readonly [string, Partial<InstanceFacts>, string, readonly string[]])[] = [
  ['a primary', {}, 'up', ['accepting', 'primary']],
  ['a standby', { row: { ...ROW, inRecovery: true } }, 'up', ['accepting', 'standby', 'readOnlyByRecovery']],
  [
    'read-only by default',
    { row: { ...ROW, readOnlyByDefault: true } },
    'up',
    ['accepting', 'primary', 'readOnlyByDefault'],
  ],
  ['full, seen from inside', { row: { ...ROW, full: true } }, 'up', ['accepting', 'primary', 'full']],
  ['full, seen from outside', { sql: refused('53300') }, 'up', ['accepting', 'primary', 'full']],
  ['full since before it was known', { sql: refused('53300'), row: undefined }, 'up', ['accepting', 'full']],
  ['a stopped postmaster', { answers: false }, 'up', ['primary']],
  ['a smart shutdown', { postmaster: running('stopping') }, 'up', ['primary']],
  [
    'a smart shutdown, the watchdog has made way',
    { postmaster: running('stopping'), sql: ENDED },
    'up',
    ['primary'],
  ],
  [
    'a fast shutdown',
    { postmaster: running('stopping'), sql: { kind: 'ended', byServer: true } },
    'down',
    [],
  ],
  ['no postmaster', { postmaster: { kind: 'none' }, sql: ENDED }, 'down', []],
  ['a killed postmaster', { postmaster: { kind: 'gone', pid: 7 }, sql: ENDED }, 'down', []],
  ['single-user mode', { postmaster: { kind: 'singleUser' }, sql: ENDED }, 'down', []],
  [
    'the connection works although the process cannot be seen',
    { postmaster: { kind: 'gone', pid: 7 } },
    'up',
    ['accepting', 'primary'],
  ],
  ['starting', { postmaster: running('starting'), sql: ENDED, row: undefined }, 'starting', []],
  ['starting, by what it answers', { sql: refused('57P03'), row: undefined }, 'starting', []],
  [
    'a standby that accepts nobody',
    { postmaster: running('standby'), sql: ENDED, row: undefined },
    'starting',
    [],
  ],
  ['crash recovery', { sql: refused('57P03') }, 'recovering', ['primary', 'recovering']],
  [
    'crash recovery, by the file',
    { postmaster: running('starting'), sql: ENDED },
    'recovering',
    ['primary', 'recovering'],
  ],
  ['pg_hba.conf refuses', { sql: refused('28000') }, 'unknown', []],
  ['a wrong password', { sql: refused('28P01') }, 'unknown', []],
  ['no such database', { sql: refused('3D000') }, 'unknown', []],
  [
    'a connection that is cut off',
    { sql: { kind: 'unreachable', text: 'reset', lasting: false } },
    'recovering',
    ['primary', 'recovering'],
  ],
  ['nobody answers', { sql: { kind: 'unreachable', text: 'timeout', lasting: true } }, 'unknown', []],
  [
    'nobody has answered yet',
    { sql: { kind: 'unreachable', text: 'x', lasting: false }, row: undefined },
    'unknown',
    [],
  ],
  ['a connection that just broke', { sql: ENDED }, 'up', ['accepting', 'primary']],
  ['nothing known yet', { sql: ENDED, row: undefined, postmaster: running(undefined) }, 'unknown', []],
];

describe('what an instance is', () => {
  for (const [name, facts, state, bits] of CASES) {
    it(`${name}: ${state} ${bits.join(' ')}`, () => {
      const attributes = derive(facts);
      assert.equal(attributes.state, state);
      assert.deepEqual(attributeNames(attributes.bits), bits);
      assert.equal(
        attributes.text === '',
        (bits.includes('accepting') && !bits.includes('full')) || name === 'nothing known yet',
      );
    });
  }

  it('every rule is taken in one of these cases', () => {
    const taken = new Set(
      CASES.map(([, facts]) => INSTANCE_RULES.find((rule) => rule.when({ ...UP, ...facts }))),
    );
    assert.deepEqual(
      INSTANCE_RULES.filter((rule) => !taken.has(rule)).map((rule) => rule.why),
      [],
    );
  });

  it('an answer of pg_hba.conf is told with its SQLSTATE', () => {
    assert.equal(derive({ sql: refused('28000', 'rejected') }).text, 'rejected (SQLSTATE 28000)');
  });

  it('timeline, version and identity stay known while the instance is down', () => {
    const up = derive({});
    const down = deriveAttributes({ ...UP, postmaster: { kind: 'none' }, sql: ENDED, row: undefined }, up);
    assert.deepEqual([down.timeline, down.serverVersionNum, down.systemIdentifier], [3, 170_010, 42n]);
    assert.equal(down.version, up.version + 1);
  });

  it('the version grows with a change and not with a position', () => {
    const up = derive({});
    const moved = deriveAttributes({ ...UP, row: { ...ROW, position: 200n } }, up);
    assert.deepEqual([moved.version, moved.position], [up.version, 200n]);
    const standby = deriveAttributes({ ...UP, row: { ...ROW, inRecovery: true } }, moved);
    assert.equal(standby.version, up.version + 1);
  });

  it('whatever the facts, no instance is both down and accepting, and only one that is up accepts', () => {
    const facts = fc.record({
      postmaster: fc.oneof(
        fc.constantFrom<PostmasterFact>({ kind: 'none' }, { kind: 'gone', pid: 7 }, { kind: 'singleUser' }),
        fc.constantFrom(undefined, ...POSTMASTER_STATUSES).map(running),
      ),
      sql: fc.oneof(
        fc.constantFrom<SqlFact>({ kind: 'connected' }, ENDED, { kind: 'ended', byServer: true }),
        fc.constantFrom('53300', '57P03', '57P01', '28000').map((state) => refused(state)),
        fc.boolean().map((lasting): SqlFact => ({ kind: 'unreachable', text: 'x', lasting })),
      ),
      row: fc.constantFrom(undefined, ROW, { ...ROW, inRecovery: true, full: true }),
      answers: fc.boolean(),
    });
    fc.assert(
      fc.property(facts, (one) => {
        const { state, bits } = deriveAttributes(one, UNKNOWN_ATTRIBUTES);
        const names = attributeNames(bits);
        if (names.includes('accepting')) assert.equal(state, 'up');
        if (state === 'down') assert.deepEqual(names, []);
        assert.ok(!(names.includes('primary') && names.includes('standby')));
      }),
    );
  });
});

describe('the row of a check', () => {
  const RAW = {
    in_recovery: false,
    wal_file: '0000000A00000000000000FF',
    received_tli: null,
    wal_position: '4294967296',
    replay_position: null,
    receive_position: null,
    version: 170_010,
    system_identifier: '7412345678901234567',
    read_only: 'off',
    is_full: false,
  };

  it('a primary: the timeline is the one of its present WAL file', () => {
    const row = readCheckRow(RAW, 1);
    assert.deepEqual([row.inRecovery, row.timeline, row.position], [false, 10, 4294967296n]);
    assert.equal(row.systemIdentifier, 7412345678901234567n);
  });

  it('a standby: the timeline it receives, or else that of the newest history file', () => {
    const standby = {
      ...RAW,
      in_recovery: true,
      wal_file: null,
      wal_position: null,
      replay_position: '5',
      receive_position: '6',
    };
    assert.equal(readCheckRow({ ...standby, received_tli: 4 }, 2).timeline, 4);
    const row = readCheckRow(standby, 2);
    assert.deepEqual([row.timeline, row.position, row.receivedPosition], [2, 5n, 6n]);
  });

  it('what may not be seen is unknown', () => {
    const row = readCheckRow({ ...RAW, system_identifier: null, read_only: null, is_full: null }, 1);
    assert.deepEqual([row.systemIdentifier, row.readOnlyByDefault, row.full], [0n, false, false]);
  });

  it('the newest history file is the one with the highest timeline', () => {
    const names = [
      '00000002.history',
      '0000000A.history',
      '000000010000000000000001',
      '00000003.history.done',
    ];
    assert.equal(newestTimeline(names), 10);
    assert.equal(newestTimeline([]), 1);
  });
});

describe('an instance in words', () => {
  it('names role, timeline, whether it accepts, and why not', () => {
    assert.equal(describeInstance(derive({})), 'primary, timeline 3, accepting connections');
    assert.equal(
      describeInstance(derive({ answers: false })),
      'primary, timeline 3, not accepting connections, the postmaster does not answer',
    );
  });

  it('positions are written as PostgreSQL writes them', () => {
    assert.equal(formatPosition(0x16_b374d848n), '16/B374D848');
    assert.equal(formatPosition(0x3_00000028n), '3/28');
    assert.equal(formatPosition(0n), '');
  });
});
