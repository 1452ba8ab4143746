import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { describe, it } from 'node:test';
import { encodeHeartbeat } from '../../../../src/core/protocol/codec.js';
import { FRAME_LIMITS } from '../../../../src/core/protocol/messages.js';
import {
  decodeSessions,
  encodeSessions,
  entriesPerPiece,
  pieceBytes,
  type WatchedEnd,
} from '../../../../src/core/protocol/session-list.js';

const ends = (address: string, count: number): readonly WatchedEnd[] =>
  Array.from({ length: count }, (_none, at) => ({ address, port: 1024 + at, pid: at }));

describe('the list of SESSIONS', () => {
  for (const address of ['10.0.1.5', '2001:db8::7', '::']) {
    it(`comes back as it was written, of ${address}`, () => {
      const message = encodeSessions('removed', address, ends(address, 3));
      assert.ok(message !== undefined);
      assert.deepEqual(decodeSessions(message), { part: 'removed', ends: ends(address, 3) });
    });
  }

  for (const limit of [512, FRAME_LIMITS.max]) {
    it(`fills a frame of ${limit} octets as far as entries are whole, and never more`, () => {
      const most = entriesPerPiece(limit);
      const bytes = encodeHeartbeat(encodeSessions('added', '10.0.0.1', ends('10.0.0.1', most))!);
      assert.equal(bytes.length, pieceBytes(most));
      assert.ok(bytes.readUInt32BE(0) <= limit && bytes.readUInt32BE(0) + 6 > limit);
    });
  }

  it('of ten thousand sessions of one address needs 15 frames', () => {
    assert.equal(Math.ceil(10_000 / entriesPerPiece(FRAME_LIMITS.max)), 15);
  });

  it('of a later version, or with an incomplete entry, is no violation', () => {
    const message = encodeSessions('added', '10.0.0.1', ends('10.0.0.1', 2))!;
    assert.equal(decodeSessions({ ...message, part: 9 }), undefined);
    const cut = { ...message, list: Buffer.from(message.list.subarray(0, 8)) };
    assert.deepEqual(decodeSessions(cut)?.ends, ends('10.0.0.1', 1));
  });

  it('is not made for what is no address', () => {
    assert.equal(encodeSessions('added', 'somewhere', []), undefined);
  });
});
