import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { journalEntry } from '../../../../src/core/messages/journald-format.js';
import { type MessageSpec, renderMessage } from '../../../../src/core/messages/message.js';

const ID = '0123456789abcdef0123456789abcdef';
const SPEC: MessageSpec = { code: 'CM9999', level: 'WARNING', text: 'link lost', cause: 'x', cure: 'x' };

describe('an entry for journald', () => {
  it('has the text, the priority, the program, the code and the number of its kind, one field a line', () => {
    assert.equal(
      journalEntry(renderMessage(SPEC), {}, 'conmgr', ID).toString(),
      'MESSAGE=WARNING:  link lost\nPRIORITY=5\nSYSLOG_IDENTIFIER=conmgr\nCM_CODE=CM9999\nCM_LEVEL=WARNING\n' +
        `MESSAGE_ID=${ID}\n`,
    );
  });

  it('names the kind of event, and whom it is about', () => {
    const message = renderMessage({ ...SPEC, event: 'instance_lost' });
    const params = { instance: 0, host: 'db1', port: 27545, reason: 'timeout', peer: '10.0.0.1', other: 'x' };
    const lines = journalEntry(message, params, 'conmgr', ID).toString().split('\n').slice(6);
    assert.deepEqual(lines, [
      'CM_EVENT=instance_lost',
      'CM_INSTANCE=0',
      'CM_HOST=db1',
      'CM_PORT=27545',
      'CM_REASON=timeout',
      'CM_PEER=10.0.0.1',
      '',
    ]);
  });

  it('gives a value with newlines in the binary form: name, newline, 64-bit length, octets, newline', () => {
    const entry = journalEntry(renderMessage({ ...SPEC, hint: 'Lööp.' }), {}, 'conmgr', ID);
    const text = 'WARNING:  link lost\nHINT:  Lööp.';
    const length = Buffer.byteLength(text);
    assert.equal(entry.toString('latin1', 0, 8), 'MESSAGE\n');
    assert.equal(entry.readUInt32LE(8), length);
    assert.equal(entry.readUInt32LE(12), 0);
    assert.equal(entry.toString('utf8', 16, 16 + length), text);
    assert.equal(entry.toString('latin1', 16 + length, 16 + length + 11), '\nPRIORITY=5');
  });
});
