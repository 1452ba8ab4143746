import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { describe, it } from 'node:test';
import {
  agreedFrameLimit,
  clipText,
  commonVersion,
  decodeAttributes,
  decodeHeartbeat,
  encodeAttributes,
  encodeHeartbeat,
  ProtocolViolation,
} from '../../../../src/core/protocol/codec.js';
import { FrameReader } from '../../../../src/core/protocol/framer.js';
import {
  HEARTBEAT_MESSAGES,
  type HeartbeatMessage,
  type HeartbeatMessageOf,
} from '../../../../src/core/protocol/messages.js';
import { frameBytes, id, text, u8, u16, u32, u64 } from './bytes.js';

const CONMGR = '000102030405060708090a0b0c0d0e0f';
const BOOT = 'f0e0d0c0b0a090807060504030201000';
const CLUSTER = 0x6f12_3456_789a_bcden;

/** Each message with its octets written by hand. */
const SAMPLES: readonly (readonly [HeartbeatMessage, Buffer])[] = [
  [
    {
      name: 'hello',
      magic: 0x434d4842,
      versionMin: 1,
      versionMax: 3,
      intervalMs: 10_000,
      timeoutMs: 0xffff_fffe,
      conmgrId: CONMGR,
      bootId: BOOT,
      systemIdentifier: CLUSTER,
      software: 'conmgr 1.0',
      label: 'app1:/srv/größe',
    },
    frameBytes(
      1,
      1,
      [0x43, 0x4d, 0x48, 0x42],
      u16(1),
      u16(3),
      u32(10_000),
      u32(0xffff_fffe),
      id(CONMGR),
      id(BOOT),
      u64(CLUSTER),
      text(1, 'conmgr 1.0'),
      text(2, 'app1:/srv/größe'),
    ),
  ],
  [
    {
      name: 'welcome',
      version: 1,
      intervalMs: 1000,
      timeoutMs: 3000,
      restartGraceMs: 10_000,
      bootId: BOOT,
      systemIdentifier: 0n,
      maxFrame: 4096,
      software: 'conmgr-watchdog 1.0',
    },
    frameBytes(
      2,
      1,
      u16(1),
      u32(1000),
      u32(3000),
      u32(10_000),
      id(BOOT),
      u64(0n),
      u32(4096),
      text(1, 'conmgr-watchdog 1.0'),
    ),
  ],
  [
    { name: 'reject', code: 2, retryAfterMs: 5000, text: 'full' },
    frameBytes(3, 1, u16(2), u32(5000), text(3, 'full')),
  ],
  [
    { name: 'beat', seq: 0xffff_ffff, echoSeq: 7, echoDelayUs: 1_000_000, attrVersion: 4 },
    frameBytes(4, 1, u32(0xffff_ffff), u32(7), u32(1_000_000), u32(4)),
  ],
  [
    {
      name: 'attr',
      version: 9,
      state: 2,
      bits: 0x0003,
      timeline: 5,
      position: 0x16_b374_d848n,
      receivedPosition: 0xffff_ffff_ffff_ffffn,
      serverVersionNum: 170_002,
      systemIdentifier: CLUSTER,
      leaseEpoch: 12n,
      text: 'slow',
    },
    frameBytes(
      5,
      1,
      u32(9),
      u8(2),
      u16(3),
      u32(5),
      u64(0x16_b374_d848n),
      u64(0xffff_ffff_ffff_ffffn),
      u32(170_002),
      u64(CLUSTER),
      u64(12n),
      text(3, 'slow'),
    ),
  ],
  [
    { name: 'goodbye', reason: 1, retryAfterMs: 10_000, text: 'upgrade' },
    frameBytes(6, 1, u16(1), u32(10_000), text(3, 'upgrade')),
  ],
  [{ name: 'goodbyeAck' }, frameBytes(7, 1)],
  [
    {
      name: 'sessions',
      part: 1,
      address: '00000000000000000000ffff0a000105',
      list: Buffer.from('9c4100001092', 'hex'),
    },
    frameBytes(8, 0, u8(1), id('00000000000000000000ffff0a000105'), u16(4), u16(6), u16(40_001), u32(0x1092)),
  ],
  [{ name: 'wantSessions', wanted: 1 }, frameBytes(10, 0, u8(1))],
  [{ name: 'retime', intervalMs: 500, timeoutMs: 1500 }, frameBytes(9, 1, u32(500), u32(1500))],
];

/** The one frame in `bytes`, read by the framer with the wide limit. */
function decodeBytes(bytes: Buffer): HeartbeatMessage | undefined {
  const reader = new FrameReader();
  reader.setLimit(4096);
  const frames = [...reader.push(bytes)];
  assert.equal(frames.length, 1);
  return decodeHeartbeat(frames[0]!);
}

describe('octets of the heartbeat messages', () => {
  it('has a hand-written sample of every message in the table', () => {
    assert.deepEqual(SAMPLES.map(([message]) => message.name).sort(), Object.keys(HEARTBEAT_MESSAGES).sort());
  });

  for (const [message, bytes] of SAMPLES) {
    it(`${message.name} is written as documented`, () => {
      assert.equal(encodeHeartbeat(message).toString('hex'), bytes.toString('hex'));
    });
    it(`${message.name} is read as documented`, () => {
      assert.deepEqual(decodeBytes(bytes), message);
    });
    it(`${message.name} that ends anywhere inside its body is a violation`, () => {
      const row = HEARTBEAT_MESSAGES[message.name];
      const size = { u8: 1, u16: 2, u32: 4, u64: 8, id: 16 };
      const body = row.body.reduce((sum, [, type]) => sum + size[type], 0);
      for (let length = 0; length < body; length += 1) {
        const frame = { type: row.id, flags: 1, payload: bytes.subarray(6, 6 + length) };
        assert.throws(() => decodeHeartbeat(frame), ProtocolViolation, `${length} of ${body} octets`);
      }
    });
  }

  it('a text that is missing reads as empty, and an empty one is not sent', () => {
    const bytes = frameBytes(3, 1, u16(0), u32(0));
    const message: HeartbeatMessageOf<'reject'> = { name: 'reject', code: 0, retryAfterMs: 0, text: '' };
    assert.deepEqual(decodeBytes(bytes), message);
    assert.equal(encodeHeartbeat(message).toString('hex'), bytes.toString('hex'));
  });

  it('text elements with unknown tags are skipped, known ones are found in any order, the last of two counts', () => {
    const bytes = frameBytes(
      3,
      1,
      u16(4),
      u32(0),
      text(900, 'from a later version'),
      text(3, 'first'),
      text(3, 'second'),
      text(901, ''),
    );
    assert.deepEqual(decodeBytes(bytes), { name: 'reject', code: 4, retryAfterMs: 0, text: 'second' });
  });

  it('a text element that runs past the end of its message is a violation', () => {
    for (const tail of [[0], [0, 3], [0, 3, 0], [0, 3, 0, 1], [0, 3, 0xff, 0xff, 0x61]]) {
      const payload = Buffer.from([...u16(0), ...u32(0), ...tail]);
      assert.throws(() => decodeHeartbeat({ type: 3, flags: 1, payload }), ProtocolViolation);
    }
  });

  it('10,000 text elements in one frame are read without harm', () => {
    const payload = Buffer.from([
      ...u16(0),
      ...u32(0),
      ...Array.from({ length: 10_000 }, () => text(3, 'a')).flat(),
    ]);
    assert.equal((decodeHeartbeat({ type: 3, flags: 1, payload }) as { text: string }).text, 'a');
  });

  it('octets that are no UTF-8 become replacement characters, not an error', () => {
    const payload = Buffer.from([...u16(0), ...u32(0), 0, 3, 0, 2, 0xc3, 0x28]);
    assert.equal((decodeHeartbeat({ type: 3, flags: 1, payload }) as { text: string }).text, '\ufffd(');
  });

  it('an unknown type without flag bit 0 is skipped, with it the link is given up', () => {
    for (const type of [0, 11, 200, 255]) {
      assert.equal(decodeHeartbeat({ type, flags: 0, payload: Buffer.alloc(3) }), undefined);
      assert.equal(decodeHeartbeat({ type, flags: 0xfe, payload: Buffer.alloc(0) }), undefined);
      assert.throws(
        () => decodeHeartbeat({ type, flags: 1, payload: Buffer.alloc(0) }),
        (error) => error instanceof ProtocolViolation && error.message.includes(String(type)),
      );
    }
  });

  it('unknown flag bits of a known type are ignored', () => {
    assert.deepEqual(decodeHeartbeat({ type: 7, flags: 0xff, payload: Buffer.alloc(0) }), {
      name: 'goodbyeAck',
    });
  });
});

describe('limits at the sender', () => {
  const hello = SAMPLES[0]![0] as HeartbeatMessageOf<'hello'>;

  it('no message is longer than every receiver takes before WELCOME, however long its texts', () => {
    for (const [message] of SAMPLES) {
      const texts = Object.fromEntries(
        HEARTBEAT_MESSAGES[message.name].texts.map(([name]) => [name, '€'.repeat(5000)]),
      );
      const bytes = encodeHeartbeat({ ...message, ...texts } as HeartbeatMessage);
      assert.equal(bytes.readUInt32BE(0), bytes.length - 4);
      assert.ok(bytes.length - 4 <= 512, `${message.name}: ${bytes.length - 4}`);
    }
  });

  it('a text of 400 octets that leaves room for the others is sent whole', () => {
    const label = 'd'.repeat(400);
    assert.equal((decodeBytes(encodeHeartbeat({ ...hello, label })) as typeof hello).label, label);
  });

  it('a text is cut between characters', () => {
    assert.equal(clipText('aé€😀', 10), 'aé€😀');
    assert.equal(clipText('aé€😀', 9), 'aé€');
    assert.equal(clipText('aé€😀', 6), 'aé€');
    assert.equal(clipText('aé€😀', 5), 'aé');
    assert.equal(clipText('aé€😀', 2), 'a');
    assert.equal(clipText('aé€😀', 0), '');
  });

  it('a value that does not fit its field is an error of the program, not a wrong octet', () => {
    const bad: readonly Partial<typeof hello>[] = [
      { versionMin: 0x1_0000 },
      { intervalMs: -1 },
      { timeoutMs: 2 ** 32 },
      { systemIdentifier: 2n ** 64n },
      { conmgrId: 'xyz' },
      { conmgrId: CONMGR.toUpperCase() },
      { bootId: `${BOOT}00` },
    ];
    for (const change of bad) assert.throws(() => encodeHeartbeat({ ...hello, ...change }), RangeError);
  });
});

describe('attributes on the wire', () => {
  const attr = SAMPLES[4]![0] as HeartbeatMessageOf<'attr'>;

  it('go there and back', () => {
    const attributes = decodeAttributes(attr);
    assert.equal(attributes.state, 'up');
    assert.deepEqual(encodeAttributes(attributes), attr);
  });

  it('a state of a later version reads as unknown', () => {
    assert.equal(decodeAttributes({ ...attr, state: 77 }).state, 'unknown');
  });

  it('the bits that conmgr itself sets are not taken from a watchdog', () => {
    assert.equal(decodeAttributes({ ...attr, bits: 0xffff }).bits & (0x0020 | 0x0080), 0);
    assert.equal(decodeAttributes({ ...attr, bits: 0x0103 }).bits, 0x0103);
  });
});

describe('agreement of the two ends', () => {
  it('is on the highest version both speak, and on none when the ranges do not meet', () => {
    assert.equal(commonVersion({ min: 1, max: 3 }, { min: 2, max: 5 }), 3);
    assert.equal(commonVersion({ min: 1, max: 1 }, { min: 1, max: 1 }), 1);
    assert.equal(commonVersion({ min: 1, max: 2 }, { min: 3, max: 4 }), undefined);
    assert.equal(commonVersion({ min: 3, max: 4 }, { min: 1, max: 2 }), undefined);
  });

  it('keeps frames between what every receiver takes and what this program takes', () => {
    assert.equal(agreedFrameLimit(0), 512);
    assert.equal(agreedFrameLimit(1000), 1000);
    assert.equal(agreedFrameLimit(0xffff_ffff), 4096);
  });
});
