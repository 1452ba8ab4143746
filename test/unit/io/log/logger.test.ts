import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { LogConfig } from '../../../../src/core/config/types.js';
import type { MessageSpec } from '../../../../src/core/messages/message.js';
import { INITIAL_LOG_CONFIG, Logger, type LoggerOptions } from '../../../../src/io/log/logger.js';
import { messageId } from '../../../../src/io/log/message-id.js';
import type { Outlet } from '../../../../src/io/log/stderr-outlet.js';
import { DatagramReceiver, readAndClose } from '../../../support/datagram-receiver.js';
import { FakeClock } from '../../../support/fake-clock.js';
import { temporaryDirectory } from '../../../support/tree.js';

const scratch = temporaryDirectory();
const NEWS: MessageSpec = {
  code: 'CM9999',
  event: 'instance_lost',
  level: 'WARNING',
  text: 'link to {host} lost',
  detail: 'It is {what}.',
  cause: 'x',
  cure: 'x',
};
const PLAIN: MessageSpec = { code: 'CM9998', level: 'LOG', text: 'plain', cause: 'x', cure: 'x', everyMs: 0 };
const THE_END: MessageSpec = { ...PLAIN, code: 'CM9997', level: 'FATAL', text: 'the end', exit: 1 };

class Memory implements Outlet {
  readonly together = 1;
  text = '';
  write(bytes: Buffer, done: (taken: number) => void): void {
    done(this.writeNow(bytes));
  }
  writeNow(bytes: Buffer): number {
    this.text += bytes.toString();
    return bytes.length;
  }
  landed(): boolean {
    return true;
  }
  close(): void {}
  /** The lines so far without time and pid; nothing is left. */
  take(): string[] {
    const lines = this.text.split('\n').slice(0, -1);
    this.text = '';
    return lines.map((line) => line.replace(/^\S+ \S+ UTC \[\d+\] /, ''));
  }
}

function loggerWith(
  change: Partial<LogConfig> = {},
  more: Partial<LoggerOptions> = {},
): { logger: Logger; clock: FakeClock; stderr: Memory; config: LogConfig } {
  const clock = new FakeClock();
  const stderr = new Memory();
  const config = { ...INITIAL_LOG_CONFIG, ...change };
  const logger = new Logger({ clock, config, outlet: stderr, env: {}, ...more });
  return { logger, clock, stderr, config };
}

describe('the log', () => {
  it('writes lines as PostgreSQL does', () => {
    const { logger, stderr } = loggerWith();
    logger.write(NEWS, { host: 'db1', what: 'gone' });
    const stamp = `2026-11-21 09:30:00.000 UTC [${process.pid}]`;
    assert.equal(stderr.text, `${stamp} WARNING:  link to db1 lost\n${stamp} DETAIL:  It is gone.\n`);
  });

  it('writes what has the level of log_min_messages and above, LOG ranking above ERROR', () => {
    const { logger, stderr } = loggerWith({ minMessages: 'ERROR' });
    for (const level of ['WARNING', 'ERROR', 'LOG', 'PANIC'] as const) {
      logger.write({ ...PLAIN, level, text: level });
    }
    assert.deepEqual(stderr.take(), ['ERROR:  ERROR', 'LOG:  LOG', 'PANIC:  PANIC']);
  });

  it('shows control characters of values instead of obeying them', () => {
    const { logger, stderr } = loggerWith();
    logger.write(NEWS, { host: 'x\n2026-11-21 09:30:00.000 UTC [1] FATAL:  forged\u001b[2J', what: 'y' });
    assert.equal(
      stderr.take()[0],
      'WARNING:  link to x\\n2026-11-21 09:30:00.000 UTC [1] FATAL:  forged\\x1b[2J lost',
    );
  });

  it('writes a message about the same peer once a second, then one line with the count', () => {
    const { logger, stderr, clock } = loggerWith();
    for (let i = 0; i < 10; i += 1) logger.write(NEWS, { host: 'db1', what: i });
    logger.write(NEWS, { host: 'db2', what: 'another' });
    assert.deepEqual(
      stderr.take().filter((line) => line.startsWith('WARNING')),
      ['WARNING:  link to db1 lost', 'WARNING:  link to db2 lost'],
    );
    clock.advance(1000);
    assert.deepEqual(stderr.take(), ['WARNING:  repeated 9x in 1 s: link to db1 lost']);
    clock.advance(1000);
    assert.equal(clock.pending, 0);
    logger.write(NEWS, { host: 'db1', what: 'again' });
    assert.deepEqual(stderr.take(), ['WARNING:  link to db1 lost', 'DETAIL:  It is again.']);
  });

  it('keeps a window of its own for each message that names one', () => {
    const { logger, stderr, clock } = loggerWith();
    const hourly = { ...NEWS, code: 'CM9996', everyMs: 60_000 };
    for (let i = 0; i < 3; i += 1) {
      logger.write(hourly, { host: 'db1' });
      logger.write(NEWS, { host: 'db1' });
    }
    stderr.take();
    clock.advance(59_999);
    assert.deepEqual(stderr.take(), ['WARNING:  repeated 2x in 1 s: link to db1 lost']);
    clock.advance(1);
    assert.deepEqual(stderr.take(), ['WARNING:  repeated 2x in 60 s: link to db1 lost']);
  });

  it('never limits what ends the process', () => {
    const { logger, stderr } = loggerWith();
    logger.write({ ...THE_END, everyMs: 60_000 });
    logger.write({ ...THE_END, everyMs: 60_000 });
    assert.equal(stderr.take().length, 2);
  });

  it('tells at the end of the process what it had kept back', () => {
    const { logger, stderr } = loggerWith();
    for (let i = 0; i < 4; i += 1) logger.write(NEWS, { host: 'db1', what: i });
    stderr.take();
    logger.close();
    assert.deepEqual(stderr.take(), ['WARNING:  repeated 3x in 1 s: link to db1 lost']);
  });

  it('leaves time and pid to journald, and gives the priority, when journald reads stderr', async () => {
    const { fstatSync } = await import('node:fs');
    const { dev, ino } = fstatSync(2, { bigint: true });
    const matching = loggerWith({}, { env: { JOURNAL_STREAM: `${dev}:${ino}` } });
    matching.logger.write(PLAIN);
    assert.equal(matching.stderr.text, '<6>LOG:  plain\n');
    const redirected = loggerWith({}, { env: { JOURNAL_STREAM: `${dev}:${ino + 1n}` } });
    redirected.logger.write(PLAIN);
    assert.match(redirected.stderr.text, / UTC \[\d+\] LOG: {2}plain\n$/);
  });
});

describe('syslog', () => {
  const path = join(scratch, 'log');
  const syslog = { destinations: ['syslog'], syslogFacility: 'LOCAL3', syslogIdent: 'cm-test' } as const;

  it('gets RFC 3164 datagrams with facility and ident as configured, one per line', async () => {
    const receiver = new DatagramReceiver(path);
    const { logger, clock, stderr } = loggerWith(syslog, { syslogPath: path });
    logger.write(NEWS, { host: 'db1', what: 'gone' });
    // By hand, as a syslog daemon would: <PRI>, a stamp of 15 characters, a blank, the tag up to "]: ", the text.
    const [first, second] = [await receiver.nextText(), await receiver.nextText()];
    const parsed = /^<(\d+)>(.{15}) ([^[]+)\[(\d+)\]: \[(\d+)-(\d+)\] (.*)$/.exec(first)!.slice(1);
    const at = new Date(clock.wallMs());
    const local = `${at.toLocaleString('en-US', { month: 'short' })} ${String(at.getDate()).padStart(2)}`;
    const time = [at.getHours(), at.getMinutes(), at.getSeconds()]
      .map((n) => String(n).padStart(2, '0'))
      .join(':');
    assert.deepEqual(parsed, [
      String(19 * 8 + 5),
      `${local} ${time}`,
      'cm-test',
      String(process.pid),
      '1',
      '1',
      'WARNING:  link to db1 lost',
    ]);
    assert.match(second, /\]: \[1-2\] DETAIL: {2}It is gone\.$/);
    assert.equal(stderr.text, '');
    logger.close();
    receiver.close();
  });

  it('gets a changed facility and ident, and nothing after it was taken out, at a reload', async () => {
    const receiver = new DatagramReceiver(join(scratch, 'reload'));
    const { logger, stderr, config } = loggerWith(syslog, { syslogPath: join(scratch, 'reload') });
    logger.reconfigure({ ...config, syslogFacility: 'LOCAL7', syslogIdent: 'other' });
    logger.write(PLAIN);
    assert.match(await receiver.nextText(), /^<190>.* other\[/);
    logger.reconfigure({ ...config, destinations: ['stderr'] });
    logger.write(PLAIN);
    assert.deepEqual(receiver.takeTexts(), []);
    assert.deepEqual(stderr.take(), ['LOG:  plain']);
    logger.close();
    receiver.close();
  });

  it('that is missing: the message goes to stderr once, the rest is counted, and the first line when it is back says how many', async () => {
    const missing = join(scratch, 'missing');
    const { logger, clock, stderr } = loggerWith(syslog, { syslogPath: missing });
    for (let i = 0; i < 5; i += 1) logger.write(PLAIN);
    assert.deepEqual(stderr.take(), [
      'LOG:  plain',
      'LOG:  could not write to syslog: no such file or directory',
      'DETAIL:  Messages for it are counted and dropped until it is back.',
    ]);
    const receiver = new DatagramReceiver(missing);
    clock.advance(10_000);
    assert.match(
      await receiver.nextText(),
      /LOG: {2}number of messages that could not be written to syslog: 5$/,
    );
    logger.write(PLAIN);
    assert.match(await receiver.nextText(), /LOG: {2}plain$/);
    assert.deepEqual(stderr.take(), []);
    logger.close();
    receiver.close();
  });

  it('that does not read never holds the program up, and what ends the process is on stderr then', () => {
    const full = join(scratch, 'full');
    const receiver = new DatagramReceiver(full, { paused: true });
    const { logger, clock, stderr } = loggerWith(syslog, { syslogPath: full });
    const startMs = performance.now();
    for (let i = 0; i < 5000; i += 1) logger.write(PLAIN);
    assert.ok(performance.now() - startMs < 1000);
    clock.advance(2000);
    assert.ok(stderr.take().includes('LOG:  could not write to syslog: the reader does not keep up'));
    logger.write(THE_END);
    assert.deepEqual(stderr.take(), ['FATAL:  the end']);
    logger.close();
    receiver.close();
  });

  it('that is missing when the process ends leaves the last message on stderr, once', () => {
    const { logger, stderr } = loggerWith(syslog, { syslogPath: join(scratch, 'nobody') });
    logger.write(THE_END);
    assert.equal(stderr.take().filter((line) => line.startsWith('FATAL')).length, 1);
    logger.close();
  });
});

describe('journald', () => {
  /** Fields of an entry, taken apart by hand as journald does it. */
  const fieldsOf = (entry: Buffer): Record<string, string> => {
    const fields: Record<string, string> = {};
    for (let at = 0; at < entry.length; ) {
      const lineEnd = entry.indexOf('\n', at);
      const equals = entry.subarray(at, lineEnd).indexOf('=');
      if (equals >= 0) {
        fields[entry.toString('utf8', at, at + equals)] = entry.toString('utf8', at + equals + 1, lineEnd);
        at = lineEnd + 1;
      } else {
        const length = Number(entry.readBigUInt64LE(lineEnd + 1));
        const start = lineEnd + 9;
        fields[entry.toString('utf8', at, lineEnd)] = entry.toString('utf8', start, start + length);
        at = start + length + 1;
      }
    }
    return fields;
  };
  const journald = { destinations: ['journald'], syslogIdent: 'cm-test' } as const;

  it('gets the message with its fields, so that journalctl CM_EVENT=instance_lost finds it', async () => {
    const path = join(scratch, 'journal');
    const receiver = new DatagramReceiver(path);
    const { logger, stderr } = loggerWith(journald, { journaldPath: path });
    logger.write(NEWS, { host: 'db1', what: 'gone', instance: 0, reason: 'timeout' });
    const { bytes, senderPid } = await receiver.next();
    assert.equal(senderPid, process.pid);
    assert.deepEqual(fieldsOf(bytes), {
      MESSAGE: 'WARNING:  link to db1 lost\nDETAIL:  It is gone.',
      PRIORITY: '5',
      SYSLOG_IDENTIFIER: 'cm-test',
      CM_CODE: 'CM9999',
      CM_LEVEL: 'WARNING',
      CM_EVENT: 'instance_lost',
      MESSAGE_ID: messageId('instance_lost'),
      CM_INSTANCE: '0',
      CM_HOST: 'db1',
      CM_REASON: 'timeout',
    });
    assert.equal(stderr.text, '');
    logger.close();
    receiver.close();
  });

  it('gets an entry that is too big for a datagram as a memory file', async () => {
    const path = join(scratch, 'journal-big');
    const receiver = new DatagramReceiver(path);
    const { logger } = loggerWith(journald, { journaldPath: path });
    const lines = 'x'.repeat(600_000);
    logger.write({ ...PLAIN, text: '{lines}' }, { lines });
    const { fds } = await receiver.next();
    assert.equal(fieldsOf(readAndClose(fds[0]!))['MESSAGE'], `LOG:  ${lines}`);
    logger.close();
    receiver.close();
  });

  it('gets a message that is no event with the number of its own', async () => {
    const path = join(scratch, 'journal-plain');
    const receiver = new DatagramReceiver(path);
    const { logger } = loggerWith(journald, { journaldPath: path });
    logger.write(PLAIN);
    const { CM_EVENT, MESSAGE_ID } = fieldsOf((await receiver.next()).bytes);
    assert.deepEqual({ CM_EVENT, MESSAGE_ID }, { CM_EVENT: undefined, MESSAGE_ID: messageId(PLAIN.code) });
    logger.close();
    receiver.close();
  });

  it('and syslog and stderr all get a message when all are configured', async () => {
    const paths = { journaldPath: join(scratch, 'both-j'), syslogPath: join(scratch, 'both-s') };
    const receivers = [new DatagramReceiver(paths.journaldPath), new DatagramReceiver(paths.syslogPath)];
    const { logger, stderr } = loggerWith({ destinations: ['stderr', 'syslog', 'journald'] }, paths);
    logger.write(PLAIN);
    for (const receiver of receivers) assert.match(await receiver.nextText(), /LOG: {2}plain/);
    assert.deepEqual(stderr.take(), ['LOG:  plain']);
    logger.close();
    for (const receiver of receivers) receiver.close();
  });
});

describe('without native calls', () => {
  it('everything goes to stderr, and one line says so', () => {
    const { logger, stderr, config } = loggerWith(
      { destinations: ['syslog', 'journald'] },
      { native: () => undefined },
    );
    logger.write(PLAIN);
    logger.reconfigure(config);
    logger.reportMissingNative();
    const lines = stderr.take().filter((line) => line.startsWith('LOG'));
    assert.deepEqual(lines, [
      'LOG:  native calls are not available: messages go to stderr only',
      'LOG:  plain',
    ]);
  });

  it('nothing is said while only stderr is configured', () => {
    const { stderr } = loggerWith({}, { native: () => assert.fail('must not be loaded') });
    assert.equal(stderr.text, '');
  });
});

describe('the number of a kind of message', () => {
  it('is a version 5 UUID that never changes', () => {
    assert.equal(messageId('instance_lost'), messageId('instance_lost'));
    assert.match(messageId('instance_lost'), /^[0-9a-f]{12}5[0-9a-f]{3}[89ab][0-9a-f]{15}$/);
    assert.notEqual(messageId('instance_lost'), messageId('instance_back'));
    assert.equal(messageId('instance_lost'), '362ffd7ff6a2508ca86cf6e39fb6defe');
    assert.equal(messageId('CM1250'), 'd1574058b58f544cb118693af092c709');
  });
});
