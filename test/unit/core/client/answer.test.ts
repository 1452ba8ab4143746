import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { type Answer, AnswerReader } from '../../../../src/core/client/answer.js';
import { ASK_OPTION } from '../../../../src/core/protocol/ask.js';
import {
  type Candidate,
  encodeConmgrMessage,
  MAX_FIRST_PHASE_BYTES,
} from '../../../../src/core/protocol/first-phase.js';
import {
  encodeErrorResponse,
  encodeMessage,
  encodeNegotiateProtocolVersion,
} from '../../../../src/core/protocol/startup.js';

const CANDIDATE: Candidate = { instance: 1, port: 5432, bits: 3, host: 'db1', hostaddr: '10.0.0.1' };
const HELLO = encodeConmgrMessage({
  kind: 'hello',
  version: 1,
  view: 4,
  graceMs: 10_000,
  software: 'conmgr 1',
});
const CANDIDATES = encodeConmgrMessage({ kind: 'candidates', view: 4, candidates: [CANDIDATE] });
const PING = encodeConmgrMessage({ kind: 'ping' });
const AUTHENTICATION = encodeMessage('R', Buffer.from([0, 0, 0, 0]));
const refusal = (sqlState: string, message: string) =>
  encodeErrorResponse({ severity: 'FATAL', sqlState, message, detail: 'all are down' });

function read(data: Buffer, attach = false): Answer | undefined {
  return new AnswerReader({ attach }).push(data);
}

function kindOf(...parts: Buffer[]): string {
  return read(Buffer.concat(parts))?.kind ?? 'no answer yet';
}

describe('what a peer is, by its answer to _pq_.conmgr', () => {
  it('"v" that lists the option: a real instance', () => {
    assert.equal(kindOf(encodeNegotiateProtocolVersion(['_pq_.other', ASK_OPTION])), 'server');
  });

  it('"v" and 28000 after a packet without user: still a real instance', () => {
    const noUser = refusal('28000', 'no PostgreSQL user name specified in startup packet');
    assert.equal(kindOf(encodeNegotiateProtocolVersion([ASK_OPTION]), noUser), 'server');
  });

  it('"R": an instance or pooler that passes the option over', () => {
    assert.equal(kindOf(AUTHENTICATION), 'server');
  });

  it('"E" with one of four codes: a pooler that choked on the option', () => {
    for (const code of ['08P01', 'XX000', '0A000', '42704']) {
      assert.equal(kindOf(refusal(code, 'unsupported startup parameter')), 'choked', code);
    }
  });

  it('"E" that begins with "conmgr: " is a refusal, whatever its code', () => {
    for (const code of ['57P03', '08P01', '0A000']) {
      const answer = read(refusal(code, 'conmgr: no instance fits'));
      assert.deepEqual(answer, {
        kind: 'refused',
        error: {
          sqlState: code,
          message: 'conmgr: no instance fits',
          detail: 'all are down',
          hint: undefined,
        },
      });
    }
  });

  it('"E" with any other code stands in the way of a session there', () => {
    assert.equal(kindOf(refusal('53300', 'too many clients already')), 'refused');
  });

  it('HELLO and CANDIDATES: a conmgr', () => {
    assert.deepEqual(read(Buffer.concat([HELLO, CANDIDATES])), {
      kind: 'conmgr',
      graceMs: 10_000,
      candidates: [CANDIDATE],
    });
  });

  it('HELLO alone: no answer yet, but the answer to a session that re-attaches', () => {
    assert.equal(read(HELLO), undefined);
    assert.deepEqual(read(HELLO, true), { kind: 'conmgr', graceMs: 10_000, candidates: [] });
  });

  it('"v" for other options or a minor version may come before HELLO', () => {
    assert.equal(kindOf(encodeNegotiateProtocolVersion([]), HELLO, CANDIDATES), 'conmgr');
    assert.equal(kindOf(encodeNegotiateProtocolVersion(['_pq_.x']), HELLO, CANDIDATES), 'conmgr');
  });

  it('PING and kinds of a later version between HELLO and CANDIDATES are passed over', () => {
    const later = encodeMessage('m', Buffer.from([0x60, 1, 2, 3]));
    assert.equal(kindOf(HELLO, PING, later, CANDIDATES), 'conmgr');
  });

  it('a refusal may follow HELLO, also with a code on which poolers choke', () => {
    assert.equal(kindOf(HELLO, refusal('57P03', 'conmgr: no instance fits')), 'refused');
    assert.equal(kindOf(HELLO, refusal('0A000', 'no')), 'refused');
  });

  it('BYE instead of candidates is a refusal with 57P03', () => {
    const answer = read(
      encodeConmgrMessage({ kind: 'bye', bye: 'limit', retryAfterMs: 0, text: 'too many connections' }),
    );
    assert.ok(answer?.kind === 'refused');
    assert.equal(answer.error.sqlState, '57P03');
    assert.equal(answer.error.message, 'conmgr: too many connections');
  });

  it('anything else is a violation at its first octet', () => {
    for (const text of ['HTTP/1.1 400 Bad Request', 'SSH-2.0', '\0', 'N', 'S', 'Z']) {
      assert.equal(read(Buffer.from(text.slice(0, 1)))?.kind, 'violation', text);
    }
  });

  it('the text of a server that cannot fork, which has no length, is a violation', () => {
    assert.equal(read(Buffer.from('Ecould not fork new process for connection\n\0'))?.kind, 'violation');
  });

  it('a message over 16 kB is a violation, told from its length alone', () => {
    for (const length of [0, 3, MAX_FIRST_PHASE_BYTES + 1, 0xffff_ffff]) {
      const head = Buffer.alloc(5);
      head.write('m');
      head.writeUInt32BE(length, 1);
      assert.equal(read(head)?.kind, 'violation', String(length));
    }
  });

  it('candidates without HELLO, authentication after HELLO, and malformed messages are violations', () => {
    assert.equal(kindOf(CANDIDATES), 'violation');
    assert.equal(kindOf(HELLO, AUTHENTICATION), 'violation');
    assert.equal(kindOf(encodeMessage('m', Buffer.from([1, 0]))), 'violation');
    assert.equal(kindOf(encodeMessage('m', Buffer.alloc(0))), 'violation');
    assert.equal(kindOf(encodeMessage('v', Buffer.from([0]))), 'violation');
    assert.equal(kindOf(encodeMessage('E', Buffer.from([0]))), 'violation');
  });

  it('messages without an end are a violation', () => {
    assert.equal(kindOf(...Array.from({ length: 100 }, () => PING)), 'violation');
  });

  it('is the same at every split of the stream, and hands over what follows', () => {
    const stream = Buffer.concat([encodeNegotiateProtocolVersion(['_pq_.x']), HELLO, PING, CANDIDATES]);
    const behind = Buffer.from('behind');
    fc.assert(
      fc.property(fc.array(fc.nat(stream.length), { maxLength: 8 }), (cuts) => {
        const reader = new AnswerReader({ attach: false });
        const ends = [...new Set(cuts)].filter((end) => end < stream.length).sort((a, b) => a - b);
        let at = 0;
        for (const end of ends) {
          assert.equal(reader.push(stream.subarray(at, end)), undefined);
          at = end;
        }
        const answer = reader.push(Buffer.concat([stream.subarray(at), behind]));
        assert.equal(answer?.kind, 'conmgr');
        assert.deepEqual(reader.rest, behind);
      }),
    );
  });

  it('is never an exception, whatever arrives in whatever pieces', () => {
    const octets = fc.oneof(
      fc.uint8Array({ maxLength: 40 }),
      fc.constantFrom(HELLO, CANDIDATES, PING, AUTHENTICATION),
    );
    fc.assert(
      fc.property(fc.array(octets, { maxLength: 10 }), fc.boolean(), (chunks, attach) => {
        const reader = new AnswerReader({ attach });
        for (const chunk of chunks) {
          if (reader.push(Buffer.from(chunk)) !== undefined) return;
          assert.ok(reader.rest.length <= MAX_FIRST_PHASE_BYTES + 1);
        }
      }),
    );
  });
});
