import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import {
  decodeAttributes,
  decodeHeartbeat,
  encodeAttributes,
  encodeHeartbeat,
  type Frame,
  ProtocolViolation,
} from '../../../../src/core/protocol/codec.js';
import { FrameReader } from '../../../../src/core/protocol/framer.js';
import {
  type FieldType,
  HEARTBEAT_MESSAGES,
  type HeartbeatMessage,
  type HeartbeatMessageName,
  type MessageRow,
} from '../../../../src/core/protocol/messages.js';

const FIELDS: Readonly<Record<FieldType, fc.Arbitrary<unknown>>> = {
  u8: fc.integer({ min: 0, max: 0xff }),
  u16: fc.integer({ min: 0, max: 0xffff }),
  u32: fc.integer({ min: 0, max: 0xffff_ffff }),
  u64: fc.bigInt({ min: 0n, max: 0xffff_ffff_ffff_ffffn }),
  id: fc.uint8Array({ minLength: 16, maxLength: 16 }).map((octets) => Buffer.from(octets).toString('hex')),
};

/** Any value of any message of the table; texts short enough to stay whole. */
const anyMessage: fc.Arbitrary<HeartbeatMessage> = fc
  .constantFrom(...(Object.keys(HEARTBEAT_MESSAGES) as HeartbeatMessageName[]))
  .chain((name) => {
    const row = HEARTBEAT_MESSAGES[name];
    const fields: Record<string, fc.Arbitrary<unknown>> = { name: fc.constant(name) };
    for (const [field, type] of row.body) fields[field] = FIELDS[type];
    for (const [field] of row.texts)
      fields[field] = fc
        .string({ unit: 'grapheme', maxLength: 20 })
        .filter((t) => Buffer.byteLength(t) <= 100);
    for (const [field] of (row as MessageRow).octets ?? [])
      fields[field] = fc.uint8Array({ maxLength: 60 }).map((octets) => Buffer.from(octets));
    return fc.record(fields, { noNullPrototype: true }) as unknown as fc.Arbitrary<HeartbeatMessage>;
  });

/** Cuts octets at the given places. */
function pieces(stream: Buffer, cuts: readonly number[]): readonly Buffer[] {
  const at = [0, ...cuts.map((cut) => cut % (stream.length + 1)).sort((a, b) => a - b), stream.length];
  return at.slice(1).map((end, index) => stream.subarray(at[index], end));
}

/** Reads everything; a violation ends the reading. */
function readAll(chunks: readonly Buffer[], limit: number): readonly (HeartbeatMessage | undefined)[] {
  const reader = new FrameReader();
  reader.setLimit(limit);
  const messages: (HeartbeatMessage | undefined)[] = [];
  try {
    for (const chunk of chunks) {
      for (const frame of reader.push(chunk)) messages.push(decodeHeartbeat(frame));
      assert.ok(reader.held < 4 + limit);
    }
  } catch (error) {
    if (!(error instanceof ProtocolViolation)) throw error;
  }
  return messages;
}

describe('whatever is sent', () => {
  it('is read as it was, however the stream is cut', () => {
    fc.assert(
      fc.property(
        fc.array(anyMessage, { maxLength: 8 }),
        fc.array(fc.nat(), { maxLength: 12 }),
        (messages, cuts) => {
          const stream = Buffer.concat(messages.map(encodeHeartbeat));
          assert.deepEqual(readAll(pieces(stream, cuts), 4096), messages);
        },
      ),
    );
  });

  it('is one frame whose length tells where it ends, within what every receiver takes', () => {
    fc.assert(
      fc.property(anyMessage, (message) => {
        const bytes = encodeHeartbeat(message);
        assert.equal(bytes.readUInt32BE(0), bytes.length - 4);
        assert.ok(bytes.length <= 516);
      }),
    );
  });
});

describe('whatever arrives', () => {
  it('is read or is a violation; nothing else is ever thrown, and no more than a frame is held', () => {
    fc.assert(
      fc.property(
        fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 10 }),
        fc.constantFrom(512, 4096),
        (chunks, limit) => {
          readAll(
            chunks.map((chunk) => Buffer.from(chunk)),
            limit,
          );
        },
      ),
      { numRuns: 500 },
    );
  });

  it('as a frame of a known type with any payload is read or is a violation', () => {
    const anyFrame: fc.Arbitrary<Frame> = fc.record({
      type: fc.integer({ min: 0, max: 12 }),
      flags: fc.integer({ min: 0, max: 255 }),
      payload: fc.uint8Array({ maxLength: 200 }).map((octets) => Buffer.from(octets)),
    });
    fc.assert(
      fc.property(anyFrame, (frame) => {
        try {
          const message = decodeHeartbeat(frame);
          if (message?.name === 'attr') decodeAttributes(message);
        } catch (error) {
          assert.ok(error instanceof ProtocolViolation, String(error));
        }
      }),
      { numRuns: 1000 },
    );
  });

  it('with one octet changed is read or is a violation', () => {
    fc.assert(
      fc.property(
        fc.array(anyMessage, { minLength: 1, maxLength: 4 }),
        fc.nat(),
        fc.integer({ min: 1, max: 255 }),
        (messages, place, change) => {
          const stream = Buffer.concat(messages.map(encodeHeartbeat));
          const at = place % stream.length;
          stream.writeUInt8(stream.readUInt8(at) ^ change, at);
          readAll([stream], 4096);
        },
      ),
    );
  });

  it('with further octets behind the known part in text elements of a later version is still read', () => {
    fc.assert(
      fc.property(
        anyMessage,
        fc.integer({ min: 100, max: 0xffff }),
        fc.uint8Array({ maxLength: 50 }),
        (message, tag, octets) => {
          const bytes = encodeHeartbeat(message);
          const extra = Buffer.alloc(4 + octets.length);
          extra.writeUInt16BE(tag, 0);
          extra.writeUInt16BE(octets.length, 2);
          extra.set(octets, 4);
          const longer = Buffer.concat([bytes, extra]);
          longer.writeUInt32BE(longer.length - 4, 0);
          assert.deepEqual(readAll([longer], 4096), [message]);
        },
      ),
    );
  });
});

describe('attributes', () => {
  it('go through the wire as they are', () => {
    fc.assert(
      fc.property(
        anyMessage.filter((message) => message.name === 'attr'),
        (message) => {
          const known = decodeAttributes({ ...message, state: message.state % 5 });
          assert.deepEqual(decodeAttributes(encodeAttributes(known)), known);
        },
      ),
    );
  });
});
