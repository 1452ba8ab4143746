import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { readFirstAnswer } from '../../../../src/core/gateway/first-answer.js';
import { encodeErrorResponse, encodeMessage } from '../../../../src/core/protocol/startup.js';

const error = (sqlState: string): Buffer =>
  encodeErrorResponse({ severity: 'FATAL', sqlState, message: 'no room' });

describe('the first answer of a server', () => {
  it('to an encryption request: S and G serve unread, N declines, N with more behind it is not for us to read', () => {
    for (const letter of 'SG') {
      assert.deepEqual(readFirstAnswer('encryption', Buffer.from(letter)), { kind: 'serves', plain: false });
    }
    assert.deepEqual(readFirstAnswer('encryption', Buffer.from('N')), { kind: 'declines' });
    assert.deepEqual(readFirstAnswer('encryption', Buffer.from('NR')), { kind: 'serves', plain: false });
  });

  it('to a start-up packet: anything but a refusal serves', () => {
    for (const type of ['R', 'v', 'N']) {
      assert.deepEqual(readFirstAnswer('startup', encodeMessage(type, Buffer.alloc(4))), {
        kind: 'serves',
        plain: true,
      });
    }
  });

  it('of direct TLS is not looked at', () => {
    assert.deepEqual(readFirstAnswer('tls', Buffer.from('E')), { kind: 'serves', plain: false });
  });

  it('cannot connect now, too many connections, out of memory, out of resources: the next server is tried', () => {
    for (const sqlState of ['57P03', '53300', '53200', '53000']) {
      assert.deepEqual(readFirstAnswer('startup', error(sqlState)), { kind: 'refuses', text: 'no room' });
    }
  });

  it("any other error is the application's: a wrong password would be wrong everywhere", () => {
    for (const sqlState of ['28P01', '28000', '3D000', '0A000']) {
      assert.deepEqual(readFirstAnswer('startup', error(sqlState)), { kind: 'serves', plain: true });
    }
  });

  it('that comes in pieces is judged when it is complete', () => {
    const whole = error('57P03');
    for (let length = 1; length < whole.length; length += 1) {
      assert.deepEqual(readFirstAnswer('startup', whole.subarray(0, length)), { kind: 'incomplete' });
    }
    assert.equal(readFirstAnswer('startup', whole).kind, 'refuses');
  });

  it('an error in the form of protocol 2, as a server without processes gives it, is a refusal', () => {
    const answer = readFirstAnswer(
      'encryption',
      Buffer.from('Ecould not fork new process for connection\n\0'),
    );
    assert.deepEqual(answer, { kind: 'refuses', text: 'could not fork new process for connection' });
  });
});
