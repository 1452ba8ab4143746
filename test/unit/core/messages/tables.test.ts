import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { CLIENT_MESSAGES } from '../../../../src/core/messages/client.js';
import { CONFIG_MESSAGES } from '../../../../src/core/messages/config.js';
import { CONMGR_MESSAGES } from '../../../../src/core/messages/conmgr.js';
import { HELPER_MESSAGES } from '../../../../src/core/messages/kernel-helper.js';
import { type MessageSpec, renderMessage } from '../../../../src/core/messages/message.js';
import { MessageError } from '../../../../src/core/messages/message-error.js';
import { PROCESS_MESSAGES } from '../../../../src/core/messages/process.js';
import { TERMINATOR_MESSAGES } from '../../../../src/core/messages/terminator.js';
import { WATCHDOG_MESSAGES } from '../../../../src/core/messages/watchdog.js';

const TABLES = [
  CLIENT_MESSAGES,
  CONFIG_MESSAGES,
  CONMGR_MESSAGES,
  HELPER_MESSAGES,
  PROCESS_MESSAGES,
  TERMINATOR_MESSAGES,
  WATCHDOG_MESSAGES,
];
const ROWS: readonly MessageSpec[] = TABLES.flatMap((table) => Object.values<MessageSpec>(table));

/** Rows that break a rule, as readable lines. */
const breaking = (rule: (row: MessageSpec) => boolean): string[] =>
  ROWS.filter((row) => !rule(row)).map(({ code, text }) => `${code} ${text}`);

describe('the tables of messages', () => {
  it('give every message a code of its own, CM and four digits', () => {
    assert.deepEqual(
      breaking(({ code }) => /^CM\d{4}$/.test(code)),
      [],
    );
    const codes = ROWS.map(({ code }) => code);
    assert.deepEqual(
      codes.filter((code, i) => codes.indexOf(code) !== i),
      [],
    );
  });

  it('give every kind of event a name of its own in small letters', () => {
    const events = ROWS.flatMap(({ event }) => event ?? []);
    assert.deepEqual(
      events.filter((event) => !/^[a-z]+(_[a-z]+)*$/.test(event)),
      [],
    );
  });

  it('write primary texts without a capital at the start and without a full stop (error message style guide)', () => {
    assert.deepEqual(
      breaking(({ text }) => !/^[A-Z][a-z]/.test(text) && !/[.!]$/.test(text)),
      [],
    );
  });

  it('write details, causes and cures as full sentences', () => {
    assert.deepEqual(
      breaking(({ detail }) => detail === undefined || /[.}]$/.test(detail)),
      [],
    );
    assert.deepEqual(
      breaking(({ cause }) => /\S/.test(cause) && cause.endsWith('.')),
      [],
    );
    assert.deepEqual(
      breaking(({ cure }) => cure.endsWith('.')),
      [],
    );
  });

  it('give every message that ends the process an exit status, and no other', () => {
    assert.deepEqual(
      breaking(({ level, exit }) => (level === 'FATAL' || level === 'PANIC') === (exit !== undefined)),
      [],
    );
  });
});

describe('an error that is a message', () => {
  it('carries row, values and cause, and reads as the message does', () => {
    const cause = new Error('ENOSPC');
    const params = { file: '/x', reason: 'no space left' };
    const error = new MessageError(PROCESS_MESSAGES.lockFileNotWritten, params, { cause });
    assert.equal(error.message, 'could not write lock file "/x": no space left');
    assert.equal(error.message, renderMessage(error.spec, error.params).text);
    assert.deepEqual([error.code, error.spec.exit, error.cause], ['CM1104', 1, cause]);
  });
});
