import assert from 'node:assert/strict';
import { beforeEach, describe, it } from 'node:test';
import type { TerminateOn, TerminateScope } from '../../src/core/config/types.js';
import type { Log, MessageParams, MessageSpec } from '../../src/core/messages/message.js';
import { fill } from '../../src/core/messages/message.js';
import { encodeSessions } from '../../src/core/protocol/session-list.js';
import type { Departure } from '../../src/core/session/session.js';
import {
  END_SESSION_SQL,
  LIST_SESSIONS_SQL,
  MOMENT_SQL,
  type RawSession,
} from '../../src/core/terminator/statements.js';
import { WatchedSessions } from '../../src/core/terminator/watched.js';
import type { PgSession } from '../../src/io/pg-session.js';
import { SqlError } from '../../src/io/pg-session.js';
import { type LostLink, Terminator } from '../../src/watchdog/terminator.js';
import { FakeClock } from '../support/fake-clock.js';

const GRACE_MS = 10_000;
const AUTHENTICATION_TIMEOUT_MS = 60_000;
const LINK: LostLink = {
  conmgrId: 'a'.repeat(32),
  address: '10.0.0.1',
  label: 'conmgr app1',
  timeoutMs: 20_000,
  beats: 9,
  authenticated: true,
};
const GOOD = {
  welcomed: true,
  beats: 9,
  allowed: true,
  disputed: false,
  untold: false,
  authenticated: true,
};

/** PostgreSQL reduced to the sessions it has; what the terminator asks it is answered from them. */
class FakeInstance {
  sessions: RawSession[] = [];
  readonly ended: number[] = [];
  forbidden = new Set<number>();
  reachable = true;

  add(pid: number, fields: Partial<RawSession> = {}): void {
    this.sessions.push({
      pid,
      backend_start: `start ${pid}`,
      client_addr: '10.0.0.1',
      client_port: 40_000 + pid,
      role: 'app',
      database: 'shop',
      application: 'psql',
      backend_type: 'client backend',
      wait_event: 'ClientRead',
      superuser: false,
      state_age_ms: 5000,
      ...fields,
    });
  }

  query(text: string, values: readonly unknown[] = []): Promise<unknown[]> {
    switch (text) {
      case MOMENT_SQL:
        return Promise.resolve([{ server_time: 'now', prepared: 0 }]);
      case LIST_SESSIONS_SQL:
        return Promise.resolve(
          this.sessions.filter((one) => (values[0] as string[]).includes(one.client_addr)),
        );
      case END_SESSION_SQL:
        return this.#end(values[0] as number, values[1] as string);
      default:
        return Promise.reject(new Error(`unexpected statement: ${text}`));
    }
  }

  #end(pid: number, start: string): Promise<unknown[]> {
    if (this.forbidden.has(pid)) return Promise.reject(new SqlError('permission denied', '42501'));
    const found = this.sessions.find((one) => one.pid === pid && one.backend_start === start);
    if (found === undefined || found.wait_event === 'SyncRep') return Promise.resolve([]);
    this.sessions = this.sessions.filter((one) => one !== found);
    this.ended.push(pid);
    return Promise.resolve([{ ended: true }]);
  }
}

let clock: FakeClock;
let instance: FakeInstance;
let lines: string[];
let otherLink: boolean;
/** What other conmgrs of the address, which are alive, have reported. */
let neighbours: WatchedSessions[];
let terminator: Terminator;

beforeEach(() => {
  clock = new FakeClock();
  instance = new FakeInstance();
  lines = [];
  otherLink = false;
  neighbours = [];
});

function start(
  terminateOn: TerminateOn = 'any',
  excludeReplication = true,
  terminateScope: TerminateScope = 'address',
): void {
  const log: Log = {
    write: (spec: MessageSpec, params: MessageParams = {}) => {
      lines.push(`${spec.level}: ${fill(spec.text, params)}`);
    },
  };
  terminator = new Terminator({
    clock,
    log,
    config: () => ({ terminateOn, terminateScope, excludeReplication, restartGraceMs: GRACE_MS }),
    session: () => (instance.reachable ? (instance as unknown as PgSession) : undefined),
    ownPids: () => [],
    otherLink: () => otherLink,
    alsoWatched: (address) => neighbours.map((one) => one.recogniser(address)),
    authenticationTimeoutMs: () => AUTHENTICATION_TIMEOUT_MS,
    onChange: () => {},
  });
}

/** Time passes in steps of 100 ms; what is awaited in between gets its turn. */
async function pass(ms: number): Promise<void> {
  for (let gone = 0; gone <= ms; gone += 100) {
    clock.advance(gone === 0 ? 0 : 100);
    for (let turn = 0; turn < 8; turn += 1) await new Promise((resolve) => setImmediate(resolve));
  }
}

/** Whether something was logged. */
const line = (pattern: RegExp): boolean => lines.some((text) => pattern.test(text));

describe('how the link went, and what happens', () => {
  const AT_ONCE = 0;
  const NEVER = Number.POSITIVE_INFINITY;
  const TABLE: readonly (readonly [Departure, TerminateOn, number])[] = [
    ['timeout', 'any', AT_ONCE],
    ['timeout', 'lost', AT_ONCE],
    ['timeout', 'never', NEVER],
    ['closed', 'any', GRACE_MS],
    ['closed', 'lost', GRACE_MS],
    ['closed', 'never', NEVER],
    ['restart', 'any', GRACE_MS],
    ['restart', 'lost', GRACE_MS],
    ['restart', 'never', NEVER],
    ['stop', 'any', AT_ONCE],
    ['stop', 'lost', NEVER],
    ['stop', 'never', NEVER],
    ['hostShutdown', 'any', AT_ONCE],
    ['hostShutdown', 'lost', NEVER],
    ['hostShutdown', 'never', NEVER],
    ['protocol', 'any', NEVER],
    ['released', 'any', NEVER],
    ['replaced', 'any', NEVER],
  ];

  for (const [departure, terminateOn, afterMs] of TABLE) {
    const when =
      afterMs === NEVER ? 'nothing is ended' : afterMs === 0 ? 'ended at once' : 'ended after restart_grace';
    it(`${departure} with terminate_on = ${terminateOn}: ${when}`, async () => {
      start(terminateOn);
      instance.add(1);
      terminator.lost(LINK, GOOD, departure, 'why');
      if (when === 'ended after restart_grace') {
        await pass(GRACE_MS - 100);
        assert.deepEqual(instance.ended, [], 'not before');
      }
      await pass(afterMs === NEVER ? 2 * GRACE_MS : 200);
      assert.deepEqual(instance.ended, afterMs === NEVER ? [] : [1]);
      if (terminateOn === 'never')
        assert.ok(line(/^LOG: conmgr app1 at 10\.0\.0\.1 is lost: 1 sessions would be ended/));
    });
  }

  it('the same conmgr that is back within restart_grace ends the matter, whatever its address', async () => {
    start();
    instance.add(1);
    terminator.lost(LINK, GOOD, 'closed', 'reset');
    await pass(GRACE_MS - 500);
    terminator.linkUp(LINK.conmgrId, '10.0.0.99');
    await pass(GRACE_MS);
    assert.deepEqual(instance.ended, []);
    assert.ok(line(/is back after 9500 ms: no session is ended/));
  });

  it('another conmgr of the address that connects in the grace saves the sessions only while it is alive', async () => {
    start();
    instance.add(1);
    terminator.lost(LINK, GOOD, 'closed', 'reset');
    terminator.linkUp('b'.repeat(32), LINK.address);
    otherLink = true;
    await pass(GRACE_MS + 100);
    assert.deepEqual(instance.ended, []);
    assert.ok(line(/^WARNING: .*another conmgr is connected from this address: 1 sessions are left alone/));
  });

  it('a conmgr known before a restart of the watchdog gets its time-out or the grace, whichever is longer', async () => {
    start();
    instance.add(1);
    terminator.remember(LINK, GOOD);
    await pass(LINK.timeoutMs - 100);
    assert.deepEqual(instance.ended, []);
    await pass(200);
    assert.deepEqual(instance.ended, [1]);
  });

  it('a watchdog that was itself stopped during the grace waits that much longer, once', async () => {
    start();
    instance.add(1);
    terminator.lost(LINK, GOOD, 'closed', 'reset');
    clock.stall(GRACE_MS + 5000);
    await pass(4800);
    assert.deepEqual(instance.ended, []);
    await pass(300);
    assert.deepEqual(instance.ended, [1]);
  });
});

describe('whom it ends', () => {
  it('all sessions of the address, by address alone; replication is spared; one that may not be ended stops nothing', async () => {
    start();
    instance.add(1);
    instance.add(2, { superuser: true, role: 'postgres' });
    instance.add(3, { backend_type: 'walsender' });
    instance.add(4, { client_addr: '10.0.0.2' });
    instance.add(5);
    instance.forbidden.add(2);
    terminator.lost(LINK, GOOD, 'timeout', 'silent');
    await pass(100);
    assert.deepEqual(instance.ended, [1, 5]);
    assert.ok(line(/^LOG: ended 2 sessions of 10\.0\.0\.1/));
    assert.ok(line(/^WARNING: could not end 1 sessions of 10\.0\.0\.1: permission denied/));
    assert.equal(terminator.ended, 2);
  });

  it('replication connections too with exclude_replication = off', async () => {
    start('any', false);
    instance.add(3, { backend_type: 'walsender' });
    terminator.lost(LINK, GOOD, 'timeout', 'silent');
    await pass(100);
    assert.deepEqual(instance.ended, [3]);
  });

  it('a session that waits for synchronous replication is reported every 60 s and ended when it is over', async () => {
    start();
    instance.add(1, { wait_event: 'SyncRep' });
    terminator.lost(LINK, GOOD, 'timeout', 'silent');
    await pass(130_000);
    assert.deepEqual(instance.ended, []);
    const reports = lines.filter((text) => text.includes('waits for synchronous replication since 5 s'));
    assert.equal(reports.length, 3, 'at once, after one minute, after two');
    instance.sessions = instance.sessions.map((one) => ({ ...one, wait_event: 'ClientRead' }));
    await pass(1100);
    assert.deepEqual(instance.ended, [1]);
    await pass(1100);
    assert.deepEqual(terminator.pending, [], 'then the loss is dealt with');
  });

  it('sessions that were authenticating are looked for every second until authentication_timeout is over', async () => {
    start();
    terminator.lost(LINK, GOOD, 'timeout', 'silent');
    await pass(30_000);
    instance.add(1);
    await pass(1000);
    assert.deepEqual(instance.ended, [1]);
    await pass(AUTHENTICATION_TIMEOUT_MS - 31_000 + 1000);
    instance.add(2);
    await pass(5000);
    assert.deepEqual(instance.ended, [1]);
    assert.deepEqual(terminator.pending, []);
  });

  it('… or until the address is back', async () => {
    start();
    terminator.lost(LINK, GOOD, 'timeout', 'silent');
    await pass(5000);
    terminator.linkUp('c'.repeat(32), LINK.address);
    instance.add(1);
    await pass(5000);
    assert.deepEqual(instance.ended, []);
  });

  it('while the instance cannot be asked it is tried every second, and said once', async () => {
    start();
    instance.add(1);
    instance.reachable = false;
    terminator.lost(LINK, GOOD, 'timeout', 'silent');
    await pass(20_000);
    assert.equal(lines.filter((text) => text.startsWith('ERROR: could not end the sessions')).length, 1);
    instance.reachable = true;
    await pass(1000);
    assert.deepEqual(instance.ended, [1]);
  });

  it('nothing is ended while it is paused; what fell due meanwhile is ended when it is resumed', async () => {
    start();
    instance.add(1);
    terminator.pause();
    terminator.lost(LINK, GOOD, 'timeout', 'silent');
    await pass(GRACE_MS);
    assert.deepEqual(instance.ended, []);
    terminator.resume();
    await pass(100);
    assert.deepEqual(instance.ended, [1]);
  });
});

describe('which link may cause it', () => {
  for (const [name, lack] of [
    ['one with fewer than three heartbeats', { beats: 2 }],
    ['one whose address is no longer allowed', { allowed: false }],
    ['one whose identity is disputed', { disputed: true }],
    ['one that has not told its sessions where only those are ended', { untold: true }],
    ['one that did not prove the secret', { authenticated: false }],
  ] as const) {
    it(`not ${name}`, async () => {
      start();
      instance.add(1);
      terminator.lost(LINK, { ...GOOD, ...lack }, 'timeout', 'silent');
      terminator.remember(LINK, { ...GOOD, ...lack });
      await pass(2 * LINK.timeoutMs);
      assert.deepEqual(instance.ended, []);
    });
  }

  it('the heartbeats of a conmgr that comes back count on', () => {
    start();
    terminator.lost(LINK, GOOD, 'closed', 'reset');
    assert.equal(terminator.priorBeats(LINK.conmgrId, LINK.address), 9);
    assert.equal(terminator.priorBeats(LINK.conmgrId, '10.0.0.9'), 0);
    assert.equal(terminator.priorBeats('b'.repeat(32), LINK.address), 0);
    terminator.stop();
  });

  it('a flood of losses of one address is bounded, ends its sessions all the same, and touches no other address', async () => {
    start();
    instance.add(1);
    instance.add(2, { client_addr: '10.0.0.2' });
    for (let n = 0; n < 1000; n += 1) {
      const conmgrId = n.toString(16).padStart(32, '0');
      terminator.lost({ ...LINK, conmgrId }, GOOD, 'closed', 'reset');
    }
    assert.equal(terminator.status().length, 32);
    terminator.lost({ ...LINK, address: '10.0.0.2' }, GOOD, 'closed', 'reset');
    assert.equal(terminator.status().length, 33);
    await pass(GRACE_MS);
    assert.deepEqual([...instance.ended].sort(), [1, 2]);
    terminator.stop();
  });
});

describe('with terminate_scope = monitored', () => {
  /** Sessions of a conmgr: [local address, local port, pid or 0]. */
  function watched(...ends: readonly (readonly [string, number, number])[]): WatchedSessions {
    const sessions = new WatchedSessions();
    sessions.apply(encodeSessions('first', '::', [])!);
    for (const [address, port, pid] of ends)
      sessions.apply(encodeSessions('added', address, [{ address, port, pid }])!);
    return sessions;
  }
  const HERE = LINK.address;
  const monitored = (): void => start('any', true, 'monitored');

  it('only the sessions that the conmgr reported are ended', async () => {
    monitored();
    for (const pid of [1, 2, 3]) instance.add(pid);
    const link = { ...LINK, watched: watched([HERE, 40_001, 0], [HERE, 40_003, 3]) };
    terminator.lost(link, GOOD, 'timeout', 'silent');
    await pass(2000);
    assert.deepEqual(instance.ended, [1, 3]);
    assert.ok(line(/ended 2 sessions of 10\.0\.0\.1/));
  });

  it('a port that is used again by another backend is not the session that was reported', async () => {
    monitored();
    instance.add(7, { client_port: 40_001 });
    terminator.lost({ ...LINK, watched: watched([HERE, 40_001, 1]) }, GOOD, 'timeout', 'silent');
    await pass(2000);
    assert.deepEqual(instance.ended, []);
  });

  it('behind address translation the process ID decides, never the port; what has none is left and counted', async () => {
    monitored();
    instance.add(1, { client_port: 50_001 });
    instance.add(2, { client_port: 40_002 });
    const link = { ...LINK, watched: watched(['192.168.0.7', 40_001, 1], ['192.168.0.7', 40_002, 0]) };
    terminator.lost(link, GOOD, 'timeout', 'silent');
    await pass(2000);
    assert.deepEqual(instance.ended, [1]);
    assert.ok(line(/^WARNING: .*1 sessions that it reported cannot be recognised and are left alone/));
  });

  it('sessions of another address are not ended, whatever is reported', async () => {
    monitored();
    instance.add(1, { client_addr: '10.0.0.2' });
    terminator.lost({ ...LINK, watched: watched(['10.0.0.2', 40_001, 1]) }, GOOD, 'timeout', 'silent');
    await pass(2000);
    assert.deepEqual(instance.ended, []);
  });

  it('a live conmgr of the same address saves nothing: its sessions are told from the others', async () => {
    monitored();
    otherLink = true;
    for (const pid of [1, 2]) instance.add(pid);
    terminator.lost({ ...LINK, watched: watched([HERE, 40_001, 1]) }, GOOD, 'timeout', 'silent');
    await pass(2000);
    assert.deepEqual(instance.ended, [1]);
  });

  it('a session that a live conmgr of the same address has reported too, as guards of one host do, is left alone', async () => {
    monitored();
    for (const pid of [1, 2]) instance.add(pid);
    neighbours = [watched([HERE, 40_002, 0])];
    terminator.lost({ ...LINK, watched: watched([HERE, 40_001, 0], [HERE, 40_002, 0]) }, GOOD, 'timeout', '');
    await pass(2000);
    assert.deepEqual(instance.ended, [1]);
  });

  it('another conmgr that connects from the address does not end the repetition, the same one does', async () => {
    monitored();
    const link = { ...LINK, watched: watched([HERE, 40_001, 1]) };
    terminator.lost(link, GOOD, 'timeout', 'silent');
    await pass(1000);
    terminator.linkUp('b'.repeat(32), HERE);
    await pass(200);
    assert.equal(terminator.status().length, 1);
    terminator.linkUp(LINK.conmgrId, HERE);
    await pass(200);
    assert.equal(terminator.status().length, 0);
  });

  it('replication connections are spared and waiting sessions wait, reported or not', async () => {
    monitored();
    instance.add(1, { backend_type: 'walsender' });
    instance.add(2, { wait_event: 'SyncRep' });
    const link = { ...LINK, watched: watched([HERE, 40_001, 0], [HERE, 40_002, 0]) };
    terminator.lost(link, GOOD, 'timeout', 'silent');
    await pass(2000);
    assert.deepEqual(instance.ended, []);
  });

  it('what was reported is known to the next link of the conmgr while its loss is pending', () => {
    monitored();
    const sessions = watched([HERE, 40_001, 1]);
    terminator.lost({ ...LINK, watched: sessions }, GOOD, 'closed', 'reset');
    assert.equal(terminator.priorWatched(LINK.conmgrId, HERE), sessions);
    assert.equal(terminator.priorWatched(LINK.conmgrId, '10.0.0.2'), undefined);
  });

  it('an order for an address is one for the whole address', async () => {
    monitored();
    for (const pid of [1, 2]) instance.add(pid);
    assert.equal((await terminator.order(HERE, false)).ended, 2);
  });
});
