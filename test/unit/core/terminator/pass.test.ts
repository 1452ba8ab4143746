import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import {
  describeSessions,
  planPass,
  type SqlSession,
  sessionKey,
  wouldEnd,
} from '../../../../src/core/terminator/pass.js';
import { spellings } from '../../../../src/core/terminator/statements.js';

function session(pid: number, fields: Partial<SqlSession> = {}): SqlSession {
  return {
    pid,
    backendStart: '2026-11-21 09:30:00.123456+00',
    clientAddr: '10.0.0.1',
    clientPort: 40_000,
    user: 'app',
    database: 'shop',
    application: 'psql',
    backendType: 'client backend',
    waitEvent: 'ClientRead',
    superuser: false,
    stateAgeMs: 0,
    ...fields,
  };
}

const CLIENT = session(1);
const WAITS = session(2, { waitEvent: 'SyncRep' });
const WALSENDER = session(3, { backendType: 'walsender', waitEvent: 'WalSenderMain' });
const ROOT = session(4, { superuser: true, user: 'postgres' });

describe('a pass', () => {
  it('ends clients, superusers too, defers who waits for synchronous replication, spares replication', () => {
    const plan = planPass([CLIENT, WAITS, WALSENDER, ROOT], { excludeReplication: true });
    assert.deepEqual(plan, { end: [CLIENT, ROOT], deferred: [WAITS], replication: [WALSENDER] });
  });

  it('ends replication connections where they are not excluded', () => {
    const plan = planPass([CLIENT, WALSENDER], { excludeReplication: false });
    assert.deepEqual(plan, { end: [CLIENT, WALSENDER], deferred: [], replication: [] });
  });

  it('puts every session into exactly one place', () => {
    const any = fc.record({
      pid: fc.nat(),
      waitEvent: fc.constantFrom('SyncRep', 'ClientRead', undefined),
      backendType: fc.constantFrom('walsender', 'client backend', ''),
    });
    fc.assert(
      fc.property(fc.array(any), fc.boolean(), (fields, excludeReplication) => {
        const sessions = fields.map((one) => session(one.pid, one));
        const { end, deferred, replication } = planPass(sessions, { excludeReplication });
        assert.deepEqual(new Set([...end, ...deferred, ...replication]), new Set(sessions));
        assert.equal(end.length + deferred.length + replication.length, sessions.length);
        assert.ok(end.every(({ waitEvent }) => waitEvent !== 'SyncRep'));
      }),
    );
  });

  it('a session is known by pid and start, because pids are used again', () => {
    assert.notEqual(
      sessionKey(CLIENT),
      sessionKey({ ...CLIENT, backendStart: '2026-11-21 09:30:00.123457+00' }),
    );
  });

  it('what a loss would end counts who is deferred, and not who is spared', () => {
    const plan = planPass([CLIENT, WAITS, WALSENDER, ROOT], { excludeReplication: true });
    assert.deepEqual(wouldEnd(plan), {
      sessions: 3,
      superusers: 1,
      replication: 1,
      programs: '2 x psql (user app, database shop), 1 x psql (superuser postgres, database shop)',
    });
  });
});

describe('the description of sessions', () => {
  it('names whoever is authenticating and whatever has no name', () => {
    const authenticating = session(1, { user: undefined, database: undefined, application: '' });
    const text = describeSessions([authenticating, session(2, { application: '', backendType: '' })]);
    assert.equal(text, '1 x client backend (still authenticating), 1 x unnamed (user app, database shop)');
  });

  it('is bounded: the largest groups first, the rest summed up', () => {
    const sessions = Array.from({ length: 20 }, (_, index) => session(index, { application: `a${index}` }));
    const text = describeSessions([...sessions, session(99, { application: 'a7' })]);
    assert.ok(text.startsWith('2 x a7 '));
    assert.ok(text.endsWith(', 12 others'));
    assert.equal(describeSessions([]), '');
  });
});

describe('the spellings of an address', () => {
  it('IPv4 may appear as mapped; a zone is unknown to PostgreSQL', () => {
    assert.deepEqual(spellings('10.0.0.1'), ['10.0.0.1', '::ffff:10.0.0.1']);
    assert.deepEqual(spellings('fe80::1%eth0'), ['fe80::1']);
  });
});
