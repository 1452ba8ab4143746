/**
 * The message catalog of the journal (systemd documentation, "Journal Message Catalogs"): what `journalctl -x` prints
 * below an entry of conmgr or conmgr-watchdog. There is one entry for each MESSAGE_ID= that they can write, made from
 * the cause and the cure in the message tables.
 */
import { JOURNAL_FIELD_OF_PARAM } from '../src/core/messages/journald-format.js';
import { kindOf, type MessageSpec } from '../src/core/messages/message.js';
import { messageId } from '../src/io/log/message-id.js';
import { MESSAGE_TABLES } from './manual/message-tables.js';

/** What the services can write. */
const LOGGED = MESSAGE_TABLES.flatMap(({ logged, rows }) => (logged ? Object.values(rows) : []));

/** Subjects of the kinds that have several messages; `@SYSLOG_IDENTIFIER@` is the program that wrote the entry. */
const SHARED_SUBJECTS: Readonly<Record<string, string>> = {
  started: '@SYSLOG_IDENTIFIER@ has started',
  stopping: '@SYSLOG_IDENTIFIER@ was told to stop',
  reloaded: '@SYSLOG_IDENTIFIER@ has read its configuration again',
  unexpected_error: 'a mistake in @SYSLOG_IDENTIFIER@',
  link_up: 'a heartbeat link is up',
  link_refused: 'a heartbeat link was refused',
  hand_over_failed: 'sessions were not handed over to the next conmgr',
  primary_changed: 'another instance is the primary, or none is',
  session_refused: 'an application was refused',
  sessions_ended: 'SQL sessions of a client host were ended',
};

/** Columns of a line; journalctl puts three before it. */
const WIDTH = 76;

/** Running text in lines; one that would begin with the sign of a comment joins the line before it. */
function wrapped(text: string): string {
  const lines: string[] = [];
  for (const word of text.split(/\s+/)) {
    const line = lines.at(-1);
    const joins = line !== undefined && (line.length + 1 + word.length <= WIDTH || /^[#;]/.test(word));
    if (joins) lines[lines.length - 1] = `${line} ${word}`;
    else lines.push(word);
  }
  return lines.join('\n');
}

const FIELDS: Readonly<Record<string, string>> = JOURNAL_FIELD_OF_PARAM;

/** The primary text, filled by the journal where the entry has a field for it, and with dots elsewhere. */
function subjectOf({ text }: MessageSpec): string {
  return text.replace(/\{(\w+)\}/g, (_place, name: string) => {
    const field = FIELDS[name];
    return field === undefined ? '...' : `@${field}@`;
  });
}

function explanation({ code, level, cause, cure }: MessageSpec): string {
  const act = cure.replace(/^None\b/, 'Nothing');
  return `${wrapped(cause)}\n\n${wrapped(`What to do: ${act}`)}\n\n(${code}, ${level})`;
}

/** Of several messages, each is told by its number, which stands in the field CM_CODE= of the entry. */
function body(rows: readonly MessageSpec[]): string {
  const [only, ...others] = rows;
  if (only !== undefined && others.length === 0) return explanation(only);
  const each = rows.map((row) => `${wrapped(`${row.code}: ${row.text}`)}\n\n${explanation(row)}`);
  return `This is message @CM_CODE@, one of these:\n\n${each.join('\n\n')}`;
}

/** The catalog as a whole. Throws Error when messages share an event that has no subject of its own. */
export function renderCatalog(rows: readonly MessageSpec[] = LOGGED): string {
  const kinds = new Map<string, MessageSpec[]>();
  for (const row of rows) kinds.set(kindOf(row), [...(kinds.get(kindOf(row)) ?? []), row]);
  return [...kinds]
    .map(([kind, messages]) => {
      const [first, second] = messages;
      const subject = second === undefined && first !== undefined ? subjectOf(first) : SHARED_SUBJECTS[kind];
      if (subject === undefined) throw new Error(`messages share the event "${kind}", which has no subject`);
      return (
        `# ${kind}\n-- ${messageId(kind)}\nSubject: ${subject}\nDefined-By: conmgr\n` +
        `Documentation: man:conmgr-messages(7)\n\n${body(messages)}\n`
      );
    })
    .join('\n');
}
