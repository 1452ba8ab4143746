import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { decodeAttributes, decodeHeartbeat, encodeHeartbeat } from '../../../../src/core/protocol/codec.js';
import { decodeConmgrMessage, encodeConmgrMessage } from '../../../../src/core/protocol/first-phase.js';
import { FrameReader } from '../../../../src/core/protocol/framer.js';
import type { HeartbeatMessage } from '../../../../src/core/protocol/messages.js';

const DOCUMENT = readFileSync('docs/protocol.md', 'utf8');

/** The octets of a block ```hex NAME of the document, remarks left out. */
function octets(name: string): Buffer {
  const block = new RegExp(`\`\`\`hex ${name}\\n([\\s\\S]*?)\`\`\``).exec(DOCUMENT)?.[1];
  assert.ok(block !== undefined, `no example ${name}`);
  return Buffer.from(block.replace(/#.*$/gm, '').replace(/\s/g, ''), 'hex');
}

function heartbeat(name: string): HeartbeatMessage {
  const frames = [...new FrameReader().push(octets(name))];
  assert.equal(frames.length, 1);
  const message = decodeHeartbeat(frames[0]!);
  assert.ok(message !== undefined);
  assert.equal(encodeHeartbeat(message).toString('hex'), octets(name).toString('hex'));
  return message;
}

describe('examples of docs/protocol.md', () => {
  it('HELLO is what the remarks say, to the octet', () => {
    assert.deepEqual(heartbeat('hello'), {
      name: 'hello',
      magic: 0x434d4842,
      versionMin: 1,
      versionMax: 1,
      intervalMs: 10_000,
      timeoutMs: 20_000,
      conmgrId: '3f5e0c1192d44b7a861d209f6c5b3a77',
      bootId: 'a0b1c2d3e4f5061728394a5b6c7d8e9f',
      systemIdentifier: 0n,
      software: 'conmgr 1.0',
      label: 'app1:/srv/cm',
    });
  });

  it('ATTR is what the remarks say, to the octet', () => {
    const message = heartbeat('attr');
    assert.ok(message.name === 'attr');
    assert.deepEqual(decodeAttributes(message), {
      version: 7,
      state: 'up',
      bits: 3,
      timeline: 3,
      position: 0x16_b374_d848n,
      receivedPosition: 0n,
      serverVersionNum: 170_002,
      systemIdentifier: 0x66b1_1234_5678_9abcn,
      leaseEpoch: 0n,
      text: '',
    });
  });

  it('BEAT is what the remarks say, to the octet', () => {
    assert.deepEqual(heartbeat('beat'), {
      name: 'beat',
      seq: 4,
      echoSeq: 9,
      echoDelayUs: 250_000,
      attrVersion: 7,
    });
  });

  it('CANDIDATES are what the remarks say, to the octet', () => {
    const bytes = octets('candidates');
    assert.equal(bytes.toString('latin1', 0, 1), 'm');
    assert.equal(bytes.readUInt32BE(1), bytes.length - 1);
    const message = decodeConmgrMessage(bytes.subarray(5));
    assert.ok(typeof message === 'object');
    assert.equal(encodeConmgrMessage(message).toString('hex'), bytes.toString('hex'));
    assert.deepEqual(message, {
      kind: 'candidates',
      view: 5,
      candidates: [{ instance: 0, port: 27_500, bits: 3, host: 'db1', hostaddr: '192.0.2.101' }],
    });
  });
});
