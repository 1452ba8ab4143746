import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { renderCatalog } from '../../../packaging/render-catalog.js';
import { CONMGR_MESSAGES } from '../../../src/core/messages/conmgr.js';
import { JOURNAL_FIELD_OF_PARAM } from '../../../src/core/messages/journald-format.js';
import { kindOf, type MessageSpec } from '../../../src/core/messages/message.js';
import { WATCHDOG_MESSAGES } from '../../../src/core/messages/watchdog.js';
import { messageId } from '../../../src/io/log/message-id.js';
import { inTree, temporaryDirectory } from '../../support/tree.js';

interface Entry {
  readonly id: string;
  readonly subject: string;
  readonly header: readonly string[];
  readonly body: string;
}

/** The catalog read as systemd reads it: comments dropped, entries by `-- ID`, a header up to the first empty line. */
function entriesOf(catalog: string): Entry[] {
  const lines = catalog.split('\n').filter((line) => !/^[#;]/.test(line));
  return lines
    .join('\n')
    .split(/^-- /m)
    .slice(1)
    .map((text) => {
      const [head = '', ...rest] = text.split('\n\n');
      const [id = '', subject = '', ...header] = head.split('\n');
      return { id, subject, header, body: rest.join('\n\n') };
    });
}

const entries = entriesOf(renderCatalog());
const entryOf = (kind: string): Entry => {
  const found = entries.find(({ id }) => id === messageId(kind));
  assert.ok(found !== undefined, `no entry for ${kind}`);
  return found;
};

/** What is written by others than services. */
const NOT_LOGGED = /^(?:client|ctl.*)\.ts$/;
const TABLES = inTree('src/core/messages');

/** Code and event of every message that a service can write, from the source. */
const codesOfDaemons = readdirSync(TABLES)
  .filter((file) => !NOT_LOGGED.test(file))
  .flatMap((file) => [
    ...readFileSync(join(TABLES, file), 'utf8').matchAll(/code: '(CM\d{4})',(?:\s+event: '(\w+)')?/g),
  ])
  .map(([, code = '', event]) => ({ code, event }));

describe('the message catalog', () => {
  it('explains every MESSAGE_ID that the daemons can write, and names the number of the message', () => {
    assert.ok(codesOfDaemons.length > 150, `only ${codesOfDaemons.length} messages were found`);
    for (const row of codesOfDaemons) assert.ok(entryOf(kindOf(row)).body.includes(row.code), row.code);
    assert.equal(entries.length, new Set(codesOfDaemons.map(kindOf)).size);
  });

  it('has a subject, who defined it, and the manual page in every entry, and 32 hex digits before', () => {
    for (const { id, subject, header, body } of entries) {
      assert.match(id, /^[0-9a-f]{32}$/);
      assert.match(subject, /^Subject: \S/);
      assert.deepEqual(header, ['Defined-By: conmgr', 'Documentation: man:conmgr-messages(7)']);
      assert.match(body, /What to do: \S/);
      assert.doesNotMatch(body, /As for CM\d/, 'each entry stands alone');
    }
    assert.equal(new Set(entries.map(({ id }) => id)).size, entries.length);
  });

  it('leaves places to the journal only for fields that every entry of the kind has', () => {
    const { subject } = entryOf('link_failed');
    assert.equal(
      subject,
      'Subject: could not set up link to instance @CM_INSTANCE@ (@CM_HOST@:@CM_PORT@): @CM_REASON@',
    );
    const known = [...Object.values(JOURNAL_FIELD_OF_PARAM), 'CM_CODE', 'SYSLOG_IDENTIFIER'];
    for (const { subject, body } of entries)
      for (const [, field = ''] of `${subject}${body}`.matchAll(/@([A-Z_]+)@/g))
        assert.ok(known.includes(field), field);
  });

  it('serves messages that share an event with one entry that has cause and cure of each', () => {
    const { body } = entryOf('link_refused');
    const flat = body.replaceAll('\n', ' ');
    for (const { code, cause } of [CONMGR_MESSAGES.linkRefused, WATCHDOG_MESSAGES.linkRefused]) {
      assert.ok(flat.includes(code));
      assert.ok(flat.includes(cause));
    }
  });

  it('is not made when messages share an event that has no subject of its own', () => {
    const row: MessageSpec = {
      code: 'CM9998',
      event: 'news',
      level: 'LOG',
      text: 'x',
      cause: 'x',
      cure: 'x',
    };
    assert.throws(() => renderCatalog([row, { ...row, code: 'CM9999' }]), /messages share the event "news"/);
  });

  it('has no line of the text that systemd would drop as a comment, and none over 80 columns but subjects', () => {
    for (const line of renderCatalog().split('\n')) {
      if (line.startsWith('Subject: ')) continue;
      assert.ok([...line].length <= 80, line);
      assert.match(line, /^(?![#;])|^# (?:CM\d{4}|[a-z_]+)$/);
    }
  });

  const journalctl = spawnSync('journalctl', ['--version']);
  const skip =
    journalctl.error === undefined ? false : `there is no journalctl (${journalctl.error.message})`;

  it('is taken by journalctl as a whole', { skip }, () => {
    const root = temporaryDirectory('catalog-');
    mkdirSync(join(root, 'usr/lib/systemd/catalog'), { recursive: true });
    mkdirSync(join(root, 'var/lib/systemd/catalog'), { recursive: true });
    writeFileSync(join(root, 'usr/lib/systemd/catalog/conmgr.catalog'), renderCatalog());
    const update = spawnSync('journalctl', [`--root=${root}`, '--update-catalog'], { encoding: 'utf8' });
    assert.deepEqual([update.status, update.stderr], [0, '']);
    assert.deepEqual(readdirSync(join(root, 'var/lib/systemd/catalog')), ['database']);
    const dump = spawnSync('journalctl', [`--root=${root}`, '--dump-catalog'], { encoding: 'utf8' });
    assert.equal(dump.status, 0);
    const seen = entriesOf(dump.stdout.replace(/^-- /gm, '\n-- ')).map(({ id, subject }) => [id, subject]);
    assert.deepEqual(seen.sort(), entries.map(({ id, subject }) => [id, subject]).sort());
  });
});
