/**
 * Messages as entries of journald's native protocol (systemd documentation, "Native Journal Protocol").
 */
import { Buffer } from 'node:buffer';
import { messageLines, SYSLOG_SEVERITY } from './format.js';
import type { MessageParams, RenderedMessage } from './message.js';

/** Parameters of messages that become fields of their own, so that `journalctl CM_INSTANCE=0` works. */
export const JOURNAL_FIELD_OF_PARAM = {
  instance: 'CM_INSTANCE',
  host: 'CM_HOST',
  port: 'CM_PORT',
  reason: 'CM_REASON',
  peer: 'CM_PEER',
} as const;

/** One field: `NAME=value\n`, or with newlines inside the binary form name, newline, 64-bit length, value, newline. */
function field(name: string, value: string): Buffer {
  if (!value.includes('\n')) return Buffer.from(`${name}=${value}\n`, 'utf8');
  const bytes = Buffer.from(value, 'utf8');
  const head = Buffer.alloc(name.length + 9);
  head.write(`${name}\n`, 'latin1');
  head.writeBigUInt64LE(BigInt(bytes.length), name.length + 1);
  return Buffer.concat([head, bytes, Buffer.from('\n')]);
}

/**
 * The bytes of one entry. MESSAGE is the text with level, detail and hint as in every other destination;
 * `messageId` is the 128-bit number (32 hex digits) of the kind of message, by which the catalog explains it.
 */
export function journalEntry(
  message: RenderedMessage,
  params: MessageParams,
  ident: string,
  messageId: string,
): Buffer {
  const fields = [
    field('MESSAGE', messageLines(message).trimEnd()),
    field('PRIORITY', String(SYSLOG_SEVERITY[message.level])),
    field('SYSLOG_IDENTIFIER', ident),
    field('CM_CODE', message.code),
    field('CM_LEVEL', message.level),
    field('MESSAGE_ID', messageId),
  ];
  if (message.event !== undefined) fields.push(field('CM_EVENT', message.event));
  for (const [param, name] of Object.entries(JOURNAL_FIELD_OF_PARAM)) {
    const value = params[param];
    if (value !== undefined && value !== '') fields.push(field(name, String(value)));
  }
  return Buffer.concat(fields);
}
