import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import {
  decodeErrorResponse,
  decodeNegotiateProtocolVersion,
  encodeErrorResponse,
  encodeMessage,
  encodeNegotiateProtocolVersion,
  encodeStartup,
  type FirstPacket,
  MAX_STARTUP_BYTES,
  readFirstPacket,
} from '../../../../src/core/protocol/startup.js';

const word = fc.string({ unit: 'grapheme', maxLength: 30 }).map((text) => text.replaceAll('\0', ''));
const params = fc.array(
  fc.tuple(
    word.filter((name) => name !== ''),
    word,
  ),
  { maxLength: 20 },
);

/** Length and code by hand, so that the reader is not tested against its own writer alone. */
function packet(length: number, code: number, body: Buffer = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(8);
  head.writeUInt32BE(length, 0);
  head.writeUInt32BE(code, 4);
  return Buffer.concat([head, body]);
}

/** Fed octet by octet: what the packet is at last, every answer before being "incomplete". */
function readAtEverySplit(data: Buffer): FirstPacket {
  for (let end = 0; end < data.length; end += 1) {
    const early = readFirstPacket(data.subarray(0, end));
    if (early.kind !== 'incomplete') return early;
  }
  return readFirstPacket(data);
}

describe('the first packet of a connection', () => {
  it('keeps names and values of a start-up packet, at every split of the stream', () => {
    fc.assert(
      fc.property(params, (given) => {
        const read = readAtEverySplit(encodeStartup(given));
        assert.equal(read.kind, 'startup');
        assert.ok(read.kind === 'startup');
        assert.equal(read.version, 196_608);
        assert.deepEqual(read.params, new Map(given));
        assert.equal(read.rest.length, 0);
      }),
      { numRuns: 50 },
    );
  });

  it('hands over what follows the packet', () => {
    const read = readFirstPacket(Buffer.concat([encodeStartup([['user', 'u']]), Buffer.from('more')]));
    assert.ok(read.kind === 'startup');
    assert.equal(read.rest.toString(), 'more');
  });

  it('is told apart by its code after 8 octets, direct TLS after 1', () => {
    assert.equal(readFirstPacket(packet(8, 80_877_103)).kind, 'ssl-request');
    assert.equal(readFirstPacket(packet(8, 80_877_104)).kind, 'gssenc-request');
    assert.equal(readFirstPacket(Buffer.from([0x16])).kind, 'direct-tls');
    assert.equal(readFirstPacket(packet(8, 80_877_103).subarray(0, 7)).kind, 'incomplete');
  });

  it('keeps process id and key of a cancel request, also the longer key of protocol 3.2', () => {
    for (const keyLength of [4, 32, 256]) {
      const key = Buffer.alloc(keyLength, 7);
      const pid = Buffer.from([0, 0, 0x12, 0x34]);
      const read = readAtEverySplit(packet(12 + keyLength, 80_877_102, Buffer.concat([pid, key])));
      assert.deepEqual(read, { kind: 'cancel', pid: 0x1234, key });
    }
  });

  it('refuses a length out of bounds after 4 octets, before anything is buffered', () => {
    for (const length of [0, 7, MAX_STARTUP_BYTES + 1, 0x7fffffff, 0xffffffff]) {
      assert.equal(readFirstPacket(packet(length, 196_608).subarray(0, 4)).kind, 'garbage', String(length));
    }
  });

  it('takes the longest packet PostgreSQL takes and no longer one', () => {
    const filler = (size: number) => 'x'.repeat(size);
    const overhead = encodeStartup([['a', '']]).length;
    assert.equal(
      readFirstPacket(encodeStartup([['a', filler(MAX_STARTUP_BYTES - overhead)]])).kind,
      'startup',
    );
    assert.equal(
      readFirstPacket(encodeStartup([['a', filler(MAX_STARTUP_BYTES - overhead + 1)]])).kind,
      'garbage',
    );
  });

  it('refuses a packet without its terminator, with a name without a value, or with octets behind the end', () => {
    for (const body of ['user\0postgres\0', 'user\0\0', 'user', 'user\0postgres\0\0x', '']) {
      const bytes = Buffer.from(body);
      assert.equal(
        readFirstPacket(packet(8 + bytes.length, 196_608, bytes)).kind,
        'garbage',
        JSON.stringify(body),
      );
    }
  });

  it('refuses protocol 2 and takes every minor version of 3', () => {
    assert.equal(readFirstPacket(packet(9, 0x0002_0000, Buffer.from([0]))).kind, 'garbage');
    assert.equal(readFirstPacket(packet(9, 0x0003_270f, Buffer.from([0]))).kind, 'startup');
  });

  it('is never an exception, whatever arrives', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => void readFirstPacket(Buffer.from(bytes))),
    );
    fc.assert(
      fc.property(fc.integer({ min: 8, max: 64 }), fc.uint8Array({ maxLength: 64 }), (length, bytes) => {
        readFirstPacket(packet(length, 196_608, Buffer.from(bytes)));
      }),
    );
  });

  it('cannot be written with a NUL in a name or value', () => {
    assert.throws(() => encodeStartup([['user', 'a\0b']]), RangeError);
  });
});

describe('an ErrorResponse', () => {
  it('says the same after encoding and decoding', () => {
    fc.assert(
      fc.property(word, word, word, (message, detail, hint) => {
        const bytes = encodeErrorResponse({ severity: 'FATAL', sqlState: '57P03', message, detail, hint });
        assert.equal(bytes.readUInt32BE(1), bytes.length - 1);
        const fields = decodeErrorResponse(bytes.subarray(5));
        assert.equal(fields.get('C'), '57P03');
        assert.equal(fields.get('M'), message);
        assert.equal(fields.get('D') ?? '', detail);
        assert.equal(fields.get('H') ?? '', hint);
      }),
    );
  });

  it('stays one message when a text has a NUL', () => {
    const bytes = encodeErrorResponse({ severity: 'ERROR', sqlState: 'XX000', message: 'a\0Cxxxxx' });
    assert.equal(decodeErrorResponse(bytes.subarray(5)).get('M'), 'aCxxxxx');
    assert.equal(decodeErrorResponse(bytes.subarray(5)).get('C'), 'XX000');
  });

  it('is decoded without an exception, whatever the body is', () => {
    fc.assert(fc.property(fc.uint8Array(), (bytes) => void decodeErrorResponse(Buffer.from(bytes))));
  });
});

describe('NegotiateProtocolVersion', () => {
  it('lists the options that are not known', () => {
    fc.assert(
      fc.property(fc.array(word), (names) => {
        const bytes = encodeNegotiateProtocolVersion(names);
        assert.equal(bytes.toString('latin1', 0, 1), 'v');
        assert.deepEqual(decodeNegotiateProtocolVersion(bytes.subarray(5)), names);
      }),
    );
  });

  it('is malformed when the count does not match the names', () => {
    const body = Buffer.from(encodeNegotiateProtocolVersion(['a', 'b']).subarray(5));
    body.writeUInt32BE(3, 4);
    assert.equal(decodeNegotiateProtocolVersion(body), undefined);
    assert.equal(decodeNegotiateProtocolVersion(Buffer.alloc(7)), undefined);
  });

  it('is decoded without an exception, whatever the body is', () => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => void decodeNegotiateProtocolVersion(Buffer.from(bytes))),
    );
  });
});

describe('a PostgreSQL message', () => {
  it('carries its length without the type octet', () => {
    assert.deepEqual(
      encodeMessage('m', Buffer.from('abc')),
      Buffer.from([0x6d, 0, 0, 0, 7, 0x61, 0x62, 0x63]),
    );
  });
});
