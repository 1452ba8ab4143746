import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { describe, it } from 'node:test';
import { type Frame, ProtocolViolation } from '../../../../src/core/protocol/codec.js';
import { FrameReader } from '../../../../src/core/protocol/framer.js';
import { frameBytes, u32 } from './bytes.js';

/** Copies, because a frame's payload is only good until the next read. */
function plain(frames: Iterable<Frame>): readonly (readonly [number, number, string])[] {
  return [...frames].map(({ type, flags, payload }) => [type, flags, payload.toString('hex')]);
}

const STREAM = Buffer.concat([
  frameBytes(4, 1, u32(1), u32(0), u32(0), u32(0)),
  frameBytes(7, 1),
  frameBytes(200, 0, [1, 2, 3]),
  frameBytes(4, 1, u32(2), u32(1), u32(5), u32(0)),
]);
const WHOLE = plain(new FrameReader().push(STREAM));

describe('cutting a stream into frames', () => {
  it('finds every frame of a stream that comes in one piece', () => {
    assert.deepEqual(
      WHOLE.map(([type, flags]) => [type, flags]),
      [
        [4, 1],
        [7, 1],
        [200, 0],
        [4, 1],
      ],
    );
  });

  it('finds the same frames at every split into two pieces', () => {
    for (let at = 0; at <= STREAM.length; at += 1) {
      const reader = new FrameReader();
      const frames = [
        ...plain(reader.push(STREAM.subarray(0, at))),
        ...plain(reader.push(STREAM.subarray(at))),
      ];
      assert.deepEqual(frames, WHOLE, `split at ${at}`);
      assert.equal(reader.held, 0);
    }
  });

  it('finds the same frames octet by octet', () => {
    const reader = new FrameReader();
    const frames = [...STREAM].flatMap((octet) => plain(reader.push(Buffer.from([octet]))));
    assert.deepEqual(frames, WHOLE);
  });

  it('gives at once the frame that a chunk is, and nothing when a chunk is more, less or the rest of one', () => {
    const beat = frameBytes(4, 1, u32(1), u32(0), u32(0), u32(0));
    const reader = new FrameReader();
    assert.deepEqual(plain([reader.whole(beat)!]), plain(new FrameReader().push(beat)));
    assert.equal(reader.whole(STREAM), undefined);
    assert.equal(reader.whole(beat.subarray(0, 21)), undefined);
    assert.equal(reader.whole(frameBytes(5, 0, new Array(1000).fill(7))), undefined);
    assert.deepEqual(plain(reader.push(beat.subarray(0, 5))), []);
    assert.equal(reader.whole(beat), undefined);
  });

  it('takes a new limit from the next frame on, within one chunk too', () => {
    const big = frameBytes(5, 0, new Array(1000).fill(7));
    const reader = new FrameReader();
    const types: number[] = [];
    for (const frame of reader.push(Buffer.concat([frameBytes(2, 1), big]))) {
      types.push(frame.type);
      reader.setLimit(4096);
    }
    assert.deepEqual(types, [2, 5]);
    assert.throws(
      () => [...new FrameReader().push(Buffer.concat([frameBytes(2, 1), big]))],
      ProtocolViolation,
    );
  });
});

describe('a hostile stream', () => {
  for (const length of [0, 1, 513, 4097, 0x7fff_ffff, 0xffff_ffff]) {
    it(`length ${length} is refused before anything behind it is kept`, () => {
      const reader = new FrameReader();
      assert.throws(
        () => [...reader.push(Buffer.from([...u32(length), 9, 9, 9, 9]))],
        (error) => error instanceof ProtocolViolation && error.message.includes(String(length)),
      );
      assert.equal(reader.held, 0);
    });
  }

  it('the bounds themselves are taken', () => {
    const reader = new FrameReader();
    assert.equal([...reader.push(frameBytes(9, 0))].length, 1);
    assert.equal([...reader.push(frameBytes(9, 0, new Array(510).fill(0)))].length, 1);
    reader.setLimit(4096);
    assert.equal([...reader.push(frameBytes(9, 0, new Array(4094).fill(0)))].length, 1);
    assert.throws(() => [...reader.push(frameBytes(9, 0, new Array(4095).fill(0)))], ProtocolViolation);
  });

  it('frames before a bad length are still delivered', () => {
    const types: number[] = [];
    assert.throws(() => {
      for (const frame of new FrameReader().push(Buffer.concat([frameBytes(7, 1), Buffer.alloc(4)])))
        types.push(frame.type);
    }, ProtocolViolation);
    assert.deepEqual(types, [7]);
  });

  it('never makes the reader hold more than one frame of the limit', () => {
    const reader = new FrameReader();
    reader.setLimit(4096);
    const big = frameBytes(5, 0, new Array(4094).fill(7));
    const stream = Buffer.concat(Array.from({ length: 20 }, () => big));
    let most = 0;
    for (let at = 0; at < stream.length; at += 777) {
      for (const _frame of reader.push(stream.subarray(at, at + 777)));
      most = Math.max(most, reader.held);
    }
    assert.ok(most < 4 + 4096, `${most} octets held`);
  });

  it('keeps a copy of what it holds, so that a tiny rest does not pin a large chunk', () => {
    const chunk = Buffer.concat([frameBytes(7, 1), Buffer.from([0, 0])]);
    const reader = new FrameReader();
    assert.equal([...reader.push(chunk)].length, 1);
    chunk.fill(0xff);
    assert.deepEqual(plain(reader.push(Buffer.from([0, 2, 7, 1]))), [[7, 1, '']]);
  });
});
