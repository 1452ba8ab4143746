import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { encodeSessions, type WatchedEnd } from '../../../../src/core/protocol/session-list.js';
import { MOST_WATCHED, WatchedSessions } from '../../../../src/core/terminator/watched.js';

const HERE = '10.0.0.1';
const INSIDE = '192.168.0.7';

function tell(
  watched: WatchedSessions,
  part: 'first' | 'added' | 'removed',
  address: string,
  ...ends: readonly (readonly [port: number, pid: number])[]
) {
  const list: readonly WatchedEnd[] = ends.map(([port, pid]) => ({ address, port, pid }));
  return watched.apply(encodeSessions(part, address, list)!);
}

describe('what a conmgr has reported', () => {
  it('is not known before its first list, and is none after an empty one', () => {
    const watched = new WatchedSessions();
    assert.deepEqual([watched.told, watched.toRecord()], [false, undefined]);
    assert.equal(tell(watched, 'first', '::'), 'begun');
    assert.deepEqual([watched.told, watched.size], [true, 0]);
  });

  it('is replaced by a first list', () => {
    const watched = new WatchedSessions();
    tell(watched, 'first', HERE, [1000, 1]);
    assert.equal(tell(watched, 'first', HERE, [1001, 2]), undefined);
    assert.deepEqual(watched.toRecord(), [[HERE, [1001, 2]]]);
  });

  it('of the link before holds until the first list of this one, and is not changed by it', () => {
    const before = new WatchedSessions();
    tell(before, 'first', HERE, [1000, 1]);
    const next = new WatchedSessions(before);
    assert.deepEqual([next.told, next.size], [true, 1]);
    tell(next, 'first', '::');
    assert.deepEqual([next.size, before.size], [0, 1]);
  });

  it('is bounded, and that is said once', () => {
    const watched = new WatchedSessions();
    tell(watched, 'first', '::');
    const all = Array.from({ length: 65_535 }, (_none, at) => [at + 1, 0] as const);
    assert.equal(tell(watched, 'added', HERE, ...all), undefined);
    assert.equal(tell(watched, 'added', INSIDE, [1, 0], [2, 0]), 'full');
    assert.equal(tell(watched, 'added', INSIDE, [3, 0]), undefined);
    assert.equal(watched.size, MOST_WATCHED);
    tell(watched, 'removed', HERE, [5, 0], [5, 0]);
    assert.equal(watched.size, MOST_WATCHED - 1);
  });

  it('is recognised by address and port where the server sees the same address, and by the backend too if known', () => {
    const watched = new WatchedSessions();
    tell(watched, 'first', HERE, [1000, 0], [1001, 7]);
    const own = watched.recogniser(HERE);
    assert.ok(own({ clientPort: 1000, pid: 3 }));
    assert.ok(own({ clientPort: 1001, pid: 7 }));
    assert.ok(!own({ clientPort: 1001, pid: 8 }));
    assert.ok(!own({ clientPort: 1002, pid: 7 }));
  });

  it('is recognised by the backend alone where the address is translated', () => {
    const watched = new WatchedSessions();
    tell(watched, 'first', INSIDE, [1000, 0], [1001, 7]);
    const own = watched.recogniser(HERE);
    assert.ok(own({ clientPort: 55_555, pid: 7 }));
    assert.ok(!own({ clientPort: 1000, pid: 3 }));
    assert.ok(!own({ clientPort: 1000, pid: 0 }));
    assert.equal(watched.unrecognisable(HERE), 1);
  });

  it('of a link-local address is recognised although a link has a zone', () => {
    const watched = new WatchedSessions();
    tell(watched, 'first', 'fe80::1', [1000, 0]);
    assert.ok(watched.recogniser('fe80::1%eth0')({ clientPort: 1000, pid: 3 }));
  });

  it('survives the state file; what makes no sense there is as none', () => {
    const watched = new WatchedSessions();
    tell(watched, 'first', HERE, [1000, 1], [1001, 0]);
    const text = JSON.stringify(watched.toRecord());
    assert.deepEqual(WatchedSessions.fromRecord(JSON.parse(text))?.toRecord(), watched.toRecord());
    for (const value of [null, 7, {}, [7], [['somewhere', []]], [[HERE, 7]]])
      assert.equal(WatchedSessions.fromRecord(value), undefined);
  });
});
