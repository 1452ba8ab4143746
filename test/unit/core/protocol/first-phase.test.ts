import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import {
  BYE_KINDS,
  type Candidate,
  type ClientMessage,
  type ConmgrMessage,
  DOWN_REASONS,
  decodeConmgrMessage,
  encodeBound,
  encodeConmgrMessage,
  MAX_CLIENT_MESSAGE_BYTES,
  MAX_FIRST_PHASE_BYTES,
  MOST_CANDIDATES,
  readClientMessages,
} from '../../../../src/core/protocol/first-phase.js';
import { encodeMessage } from '../../../../src/core/protocol/startup.js';

/** Records as literals make them; deepEqual compares prototypes. */
function recordOf<T>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T> {
  return fc.record(model, { noNullPrototype: true });
}

const u16 = fc.integer({ min: 0, max: 0xffff });
const u32 = fc.integer({ min: 0, max: 0xffff_ffff });
const text = fc.string({ unit: 'grapheme-ascii', maxLength: 100 });
const candidate: fc.Arbitrary<Candidate> = recordOf({
  instance: u16,
  port: u16,
  bits: u16,
  host: text,
  hostaddr: fc.oneof(fc.ipV4(), fc.ipV6(), fc.constant('')),
});
const message: fc.Arbitrary<ConmgrMessage> = fc.oneof(
  recordOf({
    kind: fc.constant('hello' as const),
    version: u16,
    view: u32,
    graceMs: u32,
    software: text,
  }),
  recordOf({
    kind: fc.constant('candidates' as const),
    view: u32,
    candidates: fc.array(candidate, { maxLength: 10 }),
  }),
  recordOf({
    kind: fc.constant('down' as const),
    view: u32,
    instance: u16,
    action: fc.constantFrom('drop' as const, 'advice' as const),
    reason: fc.constantFrom(...DOWN_REASONS),
    text,
  }),
  recordOf({ kind: fc.constant('changed' as const), view: u32, instance: u16, bits: u16 }),
  recordOf({
    kind: fc.constant('bye' as const),
    bye: fc.constantFrom(...BYE_KINDS),
    retryAfterMs: u32,
    text,
  }),
  recordOf({ kind: fc.constant('ping' as const) }),
);

const payloadOf = (given: ConmgrMessage) => encodeConmgrMessage(given).subarray(5);

describe('what conmgr tells an aware driver', () => {
  it('says the same after encoding and decoding', () => {
    fc.assert(
      fc.property(message, (given) => {
        const bytes = encodeConmgrMessage(given);
        assert.equal(bytes.toString('latin1', 0, 1), 'm');
        assert.equal(bytes.readUInt32BE(1), bytes.length - 1);
        assert.deepEqual(decodeConmgrMessage(bytes.subarray(5)), given);
      }),
    );
  });

  it('is malformed when cut short, and never an exception', () => {
    fc.assert(
      fc.property(message, fc.nat(), (given, at) => {
        const payload = payloadOf(given);
        const cut = payload.subarray(0, at % payload.length);
        const decoded = decodeConmgrMessage(cut);
        // A text may be cut anywhere: its end is the end of the message.
        assert.ok(decoded === 'malformed' || (decoded !== undefined && decoded.kind === given.kind));
      }),
    );
  });

  it('may carry more behind a candidate than is known now', () => {
    const [one, two] = [
      { instance: 1, port: 5432, bits: 3, host: 'a', hostaddr: '10.0.0.1' },
      { instance: 2, port: 5433, bits: 5, host: 'b', hostaddr: '' },
    ];
    const grown = (given: Candidate) => {
      const block = Buffer.from(payloadOf({ kind: 'candidates', view: 0, candidates: [given] }).subarray(7));
      block.writeUInt16BE(block.readUInt16BE(0) + 3, 0);
      return Buffer.concat([block, Buffer.from('new')]);
    };
    const head = payloadOf({ kind: 'candidates', view: 9, candidates: [] });
    head.writeUInt16BE(2, 5);
    const decoded = decodeConmgrMessage(
      Buffer.concat([head, grown(one as Candidate), grown(two as Candidate)]),
    );
    assert.deepEqual(decoded, { kind: 'candidates', view: 9, candidates: [one, two] });
  });

  it('is malformed when a length of a candidate runs past the message', () => {
    const good = payloadOf({
      kind: 'candidates',
      view: 1,
      candidates: [{ instance: 1, port: 1, bits: 1, host: 'host', hostaddr: '::1' }],
    });
    for (const [offset, value] of [
      [7, 0xff],
      [8, 0xff],
      [15, 0xff],
      [20, 0xff],
      [6, 2],
    ] as const) {
      const bad = Buffer.from(good);
      bad.writeUInt8(value, offset);
      assert.equal(decodeConmgrMessage(bad), 'malformed', `octet ${offset}`);
    }
  });

  it('may be of a kind that is not known yet', () => {
    assert.equal(decodeConmgrMessage(Buffer.from([0x55, 1, 2, 3])), undefined);
  });

  it('reads a reason or a kind of goodbye of a later version as the vaguest one', () => {
    const down = payloadOf({
      kind: 'down',
      view: 1,
      instance: 1,
      action: 'drop',
      reason: 'operator',
      text: '',
    });
    down.writeUInt8(200, 8);
    assert.equal((decodeConmgrMessage(down) as { reason: string }).reason, 'operator');
    const bye = payloadOf({ kind: 'bye', bye: 'stop', retryAfterMs: 0, text: '' });
    bye.writeUInt8(200, 1);
    assert.equal((decodeConmgrMessage(bye) as { bye: string }).bye, 'other');
  });

  it('is never an exception, whatever arrives', () => {
    fc.assert(fc.property(fc.uint8Array(), (bytes) => void decodeConmgrMessage(Buffer.from(bytes))));
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 8 }), fc.uint8Array(), (kind, bytes) => {
        decodeConmgrMessage(Buffer.from([kind, ...bytes]));
      }),
    );
  });

  it('fits the bound of a client with as many candidates as are ever sent, however long their names', () => {
    const long = { port: 65_535, bits: 0xffff, host: 'h'.repeat(300), hostaddr: 'a'.repeat(300) };
    const candidates = Array.from({ length: MOST_CANDIDATES }, (_none, instance) => ({ ...long, instance }));
    const bytes = encodeConmgrMessage({ kind: 'candidates', view: 1, candidates });
    assert.ok(bytes.readUInt32BE(1) <= MAX_FIRST_PHASE_BYTES, `${bytes.length} octets`);
  });
});

describe('what an aware driver tells conmgr', () => {
  const bound = recordOf({
    kind: fc.constant('bound' as const),
    instance: u16,
    port: u16,
    address: fc.oneof(fc.ipV4(), fc.ipV6(), fc.constant('')),
  });
  const close = recordOf({ kind: fc.constant('close' as const) });

  const bytesOf = (given: ClientMessage) =>
    given.kind === 'bound' ? encodeBound(given) : encodeMessage('X', Buffer.alloc(0));

  it('is cut out of the stream at every split', () => {
    fc.assert(
      fc.property(
        fc.array(fc.oneof(bound, close), { maxLength: 6 }),
        fc.array(fc.nat(), { maxLength: 6 }),
        (given, cuts) => {
          const stream = Buffer.concat(given.map(bytesOf));
          const ends = [...new Set(cuts.map((cut) => cut % (stream.length + 1)))].sort((a, b) => a - b);
          const seen: ClientMessage[] = [];
          let rest: Buffer = Buffer.alloc(0);
          let at = 0;
          for (const end of [...ends, stream.length]) {
            const read = readClientMessages(Buffer.concat([rest, stream.subarray(at, end)]));
            seen.push(...read.messages);
            rest = read.rest;
            at = end;
          }
          assert.deepEqual(seen, given);
          assert.equal(rest.length, 0);
        },
      ),
    );
  });

  it('is at most 80 octets, whatever address is told', () => {
    const bytes = encodeBound({ kind: 'bound', instance: 1, port: 1, address: 'f'.repeat(500) });
    assert.ok(bytes.length <= MAX_CLIENT_MESSAGE_BYTES, String(bytes.length));
  });

  it('is a violation when it is of another type or too long, told before it is complete', () => {
    const long = Buffer.from([0x6d, 0, 0, 1, 0]);
    for (const bytes of [Buffer.from('Q\0\0\0\u0004'), long, Buffer.from([0x6d, 0, 0, 0, 3])]) {
      const { messages, rest } = readClientMessages(bytes);
      assert.equal(messages.at(-1)?.kind, 'violation');
      assert.equal(rest.length, 0);
    }
  });

  it('is a violation when BOUND is too short', () => {
    const { messages } = readClientMessages(encodeMessage('m', Buffer.from([0x81, 0, 1])));
    assert.equal(messages[0]?.kind, 'violation');
  });

  it('is skipped when it is of a kind that is not known yet', () => {
    const unknown = encodeMessage('m', Buffer.from([0x99, 1, 2]));
    const { messages } = readClientMessages(Buffer.concat([unknown, encodeMessage('X', Buffer.alloc(0))]));
    assert.deepEqual(messages, [{ kind: 'close' }]);
  });

  it('is never an exception, whatever arrives, and holds no more than one message', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
        assert.ok(readClientMessages(Buffer.from(bytes)).rest.length <= MAX_CLIENT_MESSAGE_BYTES);
      }),
    );
  });
});
