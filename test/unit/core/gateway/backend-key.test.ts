import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { BackendKeyReader } from '../../../../src/core/gateway/backend-key.js';
import { encodeMessage } from '../../../../src/core/protocol/startup.js';

const KEY = Buffer.from('0000123489abcdef', 'hex');
const AUTH = encodeMessage('R', Buffer.alloc(4));
const READY = encodeMessage('Z', Buffer.from('I'));

function read(bytes: Buffer, cuts: readonly number[] = []): BackendKeyReader {
  const reader = new BackendKeyReader();
  const places = [0, ...[...cuts].map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
  places.slice(1).forEach((end, at) => {
    if (!reader.done) reader.take(bytes.subarray(places[at], end));
  });
  return reader;
}

describe('BackendKeyData', () => {
  it('is found wherever the stream is divided', () => {
    const bodies = fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 5 });
    fc.assert(
      fc.property(bodies, fc.array(fc.nat(), { maxLength: 6 }), (parameters, cuts) => {
        const before = parameters.map((body) => encodeMessage('S', Buffer.from(body)));
        const bytes = Buffer.concat([AUTH, ...before, encodeMessage('K', KEY), READY]);
        const { key, done } = read(bytes, cuts);
        assert.deepEqual([key, done], [KEY, true]);
      }),
    );
  });

  it('may be long, as in protocol 3.2', () => {
    const long = Buffer.alloc(260, 7);
    assert.deepEqual(read(Buffer.concat([AUTH, encodeMessage('K', long)])).key, long);
  });

  it('is not sought behind ReadyForQuery, in what is no message, or where it would take memory', () => {
    for (const bytes of [
      Buffer.concat([AUTH, READY, encodeMessage('K', KEY)]),
      Buffer.from('HTTP/1.1 200 OK'),
      Buffer.from('5300000003', 'hex'),
      encodeMessage('K', Buffer.alloc(1000)),
    ]) {
      const reader = read(bytes);
      assert.equal(reader.key, undefined);
    }
    assert.equal(read(encodeMessage('K', Buffer.alloc(1000))).done, true);
    assert.equal(read(Buffer.concat([AUTH, READY])).done, true);
  });

  it('any octets do no harm', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.array(fc.nat()), (bytes, cuts) => {
        read(Buffer.from(bytes), cuts);
      }),
    );
  });
});
