import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import {
  AF_INET,
  AF_INET6,
  decodeAnswers,
  encodeDestroy,
  encodeDump,
  STATES_WITH_PEER,
  TCP_STATE,
  type TcpSocket,
} from '../../../../src/core/guard/inet-diag.js';
import { parseTarget } from '../../../../src/core/guard/target.js';
import { diagMessage, socketMessage } from './diag-bytes.js';

const hex = (buffer: Buffer): string => buffer.toString('hex');

describe('the question for sockets', () => {
  it('is a netlink dump of TCP sockets of one family in the states asked for', () => {
    assert.equal(
      hex(encodeDump(AF_INET, [TCP_STATE.SYN_SENT], undefined, 7)),
      // length 72, type 20, request and dump, sequence, port id | family, TCP, no extensions | states | 48 of id
      `48000000${'1400'}${'0103'}0700000000000000${'02060000'}${'04000000'}${'00'.repeat(48)}`,
    );
  });

  it('lets the kernel filter by remote address and port', () => {
    const dump = hex(encodeDump(AF_INET6, STATES_WITH_PEER, parseTarget('192.0.2.10', 27500)));
    assert.equal(
      dump.slice(72 * 2),
      // attribute of 20 bytes, bytecode | D_COND, 16 on, else 20 | AF_INET, 32 bits | port | address
      `14000100${'08101400'}${'02200000'}${'6c6b0000'}c000020a`,
    );
    const six = hex(encodeDump(AF_INET6, STATES_WITH_PEER, parseTarget('2001:db8::1', 5432)));
    assert.equal(
      six.slice(72 * 2),
      `20000100${'081c2000'}${'0a800000'}${'38150000'}20010db8${'00'.repeat(11)}01`,
    );
  });
});

describe('the answer with sockets', () => {
  it('names each with its remote end, IPv4 as v4-mapped', () => {
    const { sockets, done, errors } = decodeAnswers(
      Buffer.concat([
        socketMessage({
          family: AF_INET,
          state: 1,
          local: ['10.0.0.1', 40000],
          remote: ['192.0.2.10', 27500],
        }),
        socketMessage({
          family: AF_INET6,
          state: 2,
          local: ['::1', 40001],
          remote: ['2001:db8::1', 5432],
          attributes: 20,
        }),
        diagMessage(3, Buffer.alloc(4)),
      ]),
    );
    assert.deepEqual(
      sockets.map((one) => [
        one.family,
        one.state,
        hex(Buffer.from(one.localAddress)),
        one.localPort,
        one.remotePort,
        hex(Buffer.from(one.remoteAddress)),
      ]),
      [
        [AF_INET, 1, '00000000000000000000ffff0a000001', 40000, 27500, '00000000000000000000ffffc000020a'],
        [AF_INET6, 2, '00000000000000000000000000000001', 40001, 5432, '20010db8000000000000000000000001'],
      ],
    );
    assert.deepEqual([done, errors], [true, []]);
  });

  it('tells errors, also the one at the end of a list, and takes acknowledgements for none', () => {
    const error = (errno: number) => {
      const body = Buffer.alloc(20);
      body.writeInt32LE(-errno);
      return body;
    };
    const buffer = Buffer.concat([
      diagMessage(2, error(1)),
      diagMessage(2, error(0)),
      diagMessage(3, error(95)),
    ]);
    assert.deepEqual(decodeAnswers(buffer), { sockets: [], errors: [1, 95], done: true });
  });

  it('is refused when its lengths do not fit, and never read past its end', () => {
    const good = socketMessage({
      family: AF_INET,
      state: 1,
      local: ['10.0.0.1', 1],
      remote: ['10.0.0.2', 2],
    });
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat({ max: 120 }), (noise, at) => {
        const broken = Buffer.concat([good, Buffer.from(noise)]);
        noise.forEach((byte, index) => {
          if (at + index < broken.length) broken[at + index] = byte;
        });
        try {
          decodeAnswers(broken);
        } catch (error) {
          assert.ok(error instanceof RangeError);
        }
      }),
    );
    assert.throws(() => decodeAnswers(good.subarray(0, good.length - 8)), RangeError);
  });
});

describe('the end of sockets', () => {
  it('names each by what the kernel called it, and nothing else', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ minLength: 48, maxLength: 48 }), { maxLength: 20 }), (ids) => {
        const bytes = encodeDestroy(ids.map((id) => ({ family: AF_INET, id }) as unknown as TcpSocket));
        assert.equal(bytes.length, ids.length * 72);
        ids.forEach((id, index) => {
          const message = bytes.subarray(index * 72, (index + 1) * 72);
          assert.equal(message.readUInt16LE(4), 21);
          // NLM_F_REQUEST alone: no dump, no acknowledgement.
          assert.equal(message.readUInt16LE(6), 1);
          assert.deepEqual(Uint8Array.from(message.subarray(24)), id);
        });
      }),
    );
  });
});
