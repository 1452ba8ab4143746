import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { SessionTeller, TELL_BYTES, TELL_INTERVAL_MS } from '../../../../src/core/conmgr/session-teller.js';
import { encodeHeartbeat } from '../../../../src/core/protocol/codec.js';
import type { HeartbeatMessage } from '../../../../src/core/protocol/messages.js';
import { FRAME_LIMITS } from '../../../../src/core/protocol/messages.js';
import { decodeSessions, type WatchedEnd } from '../../../../src/core/protocol/session-list.js';
import { WatchedSessions } from '../../../../src/core/terminator/watched.js';
import { NEVER } from '../../../../src/core/time.js';

const HERE = '10.0.0.1';
const end = (port: number, pid = 0, address = HERE): WatchedEnd => ({ address, port, pid });

/** A teller, the sessions it tells of, and the watchdog that hears it. */
class Pair {
  readonly teller = new SessionTeller();
  readonly ends = new Map<number, WatchedEnd>();
  readonly heard = new WatchedSessions();
  now = 0;

  begin(maxFrame: number = FRAME_LIMITS.max): void {
    this.teller.begin(this.ends.keys(), maxFrame, this.now);
  }

  set(id: number, value: WatchedEnd | undefined): void {
    if (value === undefined) this.ends.delete(id);
    else this.ends.set(id, value);
    this.teller.touch(id);
  }

  /** One go; what is sent arrives. */
  go(): readonly HeartbeatMessage[] {
    const sent = this.teller.take((id) => this.ends.get(id), this.now);
    for (const message of sent) if (message.name === 'sessions') this.heard.apply(message);
    return sent;
  }

  /** Goes on until there is nothing to tell; how many goes that took. */
  settle(): number {
    let goes = 0;
    while (this.teller.dueAt !== NEVER) {
      this.now = Math.max(this.now, this.teller.dueAt);
      this.go();
      goes += 1;
    }
    return goes;
  }
}

const parts = (sent: readonly HeartbeatMessage[]): readonly unknown[] =>
  sent.map((message) => (message.name === 'sessions' ? decodeSessions(message) : message));

describe('what a watchdog is told of the sessions that conmgr watches', () => {
  it('is nothing while it does not want to know', () => {
    const pair = new Pair();
    pair.set(1, end(40_001));
    assert.equal(pair.teller.dueAt, NEVER);
    pair.begin();
    pair.teller.end();
    pair.set(2, end(40_002));
    assert.equal(pair.teller.dueAt, NEVER);
  });

  it('is at once that there are none, where there are none', () => {
    const pair = new Pair();
    pair.now = 7;
    pair.begin();
    assert.equal(pair.teller.dueAt, 7);
    assert.deepEqual(parts(pair.go()), [{ part: 'first', ends: [] }]);
    assert.equal(pair.teller.dueAt, NEVER);
    assert.ok(pair.heard.told);
  });

  it('is what there is, then each change, gathered for a moment', () => {
    const pair = new Pair();
    pair.set(1, end(40_001));
    pair.begin();
    assert.deepEqual(parts(pair.go()), [
      { part: 'first', ends: [] },
      { part: 'added', ends: [end(40_001)] },
    ]);
    pair.set(2, end(40_002, 77));
    pair.set(1, undefined);
    assert.equal(pair.teller.dueAt, TELL_INTERVAL_MS);
    pair.now = TELL_INTERVAL_MS;
    assert.deepEqual(parts(pair.go()), [
      { part: 'removed', ends: [end(40_001)] },
      { part: 'added', ends: [end(40_002, 77)] },
    ]);
  });

  it('is a process ID that becomes known later', () => {
    const pair = new Pair();
    pair.set(1, end(40_001));
    pair.begin();
    pair.settle();
    pair.set(1, end(40_001, 4711));
    pair.settle();
    assert.ok(pair.heard.recogniser(HERE)({ pid: 4711, clientPort: 40_001 }));
    assert.ok(!pair.heard.recogniser(HERE)({ pid: 4712, clientPort: 40_001 }));
  });

  it('is not the end of a session whose port another one has by now', () => {
    const pair = new Pair();
    pair.set(1, end(40_001, 5));
    pair.begin();
    pair.settle();
    pair.set(2, end(40_001, 6));
    pair.settle();
    pair.set(1, undefined);
    pair.settle();
    assert.ok(pair.heard.recogniser(HERE)({ pid: 6, clientPort: 40_001 }));
  });

  for (const [what, addressOf] of [
    ['of one address', () => HERE],
    ['each of an address of its own', (id: number) => `10.1.${id >> 8}.${id & 255}`],
  ] as const) {
    it(`ten thousand sessions, ${what}, go out in goes that never fill the queue of the link`, () => {
      const pair = new Pair();
      for (let id = 0; id < 10_000; id += 1) pair.ends.set(id, end(20_000 + id, id, addressOf(id)));
      pair.begin();
      let goes = 0;
      while (pair.teller.dueAt !== NEVER) {
        pair.now = pair.teller.dueAt;
        const bytes = pair.go().reduce((sum, message) => sum + encodeHeartbeat(message).length, 0);
        assert.ok(bytes <= TELL_BYTES + 200, `${bytes} octets`);
        goes += 1;
      }
      assert.equal(pair.heard.size, 10_000);
      assert.ok(goes * TELL_INTERVAL_MS <= (addressOf(1) === HERE ? 500 : 2500), `${goes} goes`);
    });
  }

  it('fits into the frames of a peer that takes short ones only', () => {
    const pair = new Pair();
    for (let id = 0; id < 500; id += 1) pair.ends.set(id, end(20_000 + id));
    pair.begin(512);
    for (const message of pair.go()) assert.ok(encodeHeartbeat(message).readUInt32BE(0) <= 512);
    pair.settle();
    assert.equal(pair.heard.size, 500);
  });

  it('leaves the watchdog with the sessions that there are, whatever happened in whatever order', () => {
    const ports = fc.integer({ min: 1, max: 6 });
    const deed = fc.oneof(
      fc.record({ id: fc.integer({ min: 1, max: 8 }), port: fc.option(ports), pid: fc.nat({ max: 3 }) }),
      fc.constant('go' as const),
      fc.constant('begin' as const),
    );
    fc.assert(
      fc.property(fc.array(deed, { maxLength: 60 }), (deeds) => {
        const pair = new Pair();
        pair.begin();
        for (const one of deeds) {
          if (one === 'go') pair.go();
          else if (one === 'begin') pair.begin();
          else if (one.port === null) pair.set(one.id, undefined);
          else {
            // A port has one owner at a time.
            for (const [id, other] of pair.ends) {
              if (id !== one.id && other.port === one.port) pair.set(id, undefined);
            }
            pair.set(one.id, end(one.port, one.pid));
          }
        }
        pair.settle();
        const there = [...pair.ends.values()].map(({ port, pid }) => [port, pid]).sort();
        const record = pair.heard.toRecord()?.[0]?.[1] ?? [];
        const kept = record.flatMap((n, at) => (at % 2 === 0 ? [[n, record[at + 1]]] : [])).sort();
        assert.deepEqual(kept, there);
      }),
    );
  });
});
