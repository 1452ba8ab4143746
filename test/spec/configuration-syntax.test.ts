import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { formatProblem } from '../../src/core/config/problem.js';
import { resolveConmgrConfig } from '../../src/core/config/resolve.js';
import type { ConmgrConfig } from '../../src/core/config/types.js';

const HOST = '\nbackend_host0 = db0\n';

function read(text: string): ConmgrConfig {
  const { config, problems } = resolveConmgrConfig(text + HOST);
  assert.ok(config, problems.map(formatProblem).join('\n'));
  return config;
}

function errors(text: string): string[] {
  return resolveConmgrConfig(text + HOST).problems.map(formatProblem);
}

describe('syntax of conmgr.conf', () => {
  it('# starts a comment at the start of a line', () => {
    assert.equal(read('# port = 1\n  # port = 2').port, 27546);
  });

  it('# starts a comment after a value', () => {
    assert.equal(read('port = 5 # port').port, 5);
    assert.equal(read("syslog_ident = 'x'# ident").log.syslogIdent, 'x');
  });

  it('# inside quotes starts no comment', () => {
    assert.equal(read("syslog_ident = 'a # b'").log.syslogIdent, 'a # b');
    assert.equal(read("syslog_ident = 'it\\'s # b' # c").log.syslogIdent, "it's # b");
  });

  it('a setting is name = value, one a line', () => {
    assert.equal(read('port=1234').port, 1234);
    assert.equal(errors('port = 1 max_connections = 2').length, 1);
    assert.match(errors('port = 1 max_connections = 2')[0] ?? '', /^conmgr\.conf:1: .*one setting a line/);
  });

  it('the equals sign may be left out', () => {
    assert.equal(read('port 1234').port, 1234);
    assert.equal(read("syslog_ident 'x'").log.syslogIdent, 'x');
  });

  it('an integer is decimal digits', () => {
    assert.equal(read('max_connections = 0100').maxConnections, 100);
    for (const value of ['0x10', '1e3', '5.0', '+5', 'five', '5k']) {
      assert.match(errors(`max_connections = ${value}`)[0] ?? '', /is not a whole number in decimal digits$/);
    }
  });

  it('a string is a bare word', () => {
    const { instances } = read(
      'backend_host1 = 127.0.0.1\nbackend_host2 = ::1\nbackend_host3 = db-1.example',
    );
    assert.deepEqual(
      instances.slice(1).map(({ host }) => host),
      ['127.0.0.1', '::1', 'db-1.example'],
    );
  });

  it('a string in single quotes may have blanks, # and commas', () => {
    assert.equal(read("syslog_ident = 'a b,c#d'").log.syslogIdent, 'a b,c#d');
  });

  it("a quote inside a string is written '' or \\'", () => {
    assert.equal(read("syslog_ident = 'it''s'").log.syslogIdent, "it's");
    assert.equal(read("syslog_ident = 'it\\'s'").log.syslogIdent, "it's");
  });

  it('a string with blanks or commas needs quotes', () => {
    assert.equal(errors('syslog_ident = a b').length, 1);
    assert.match(
      errors('log_destination = stderr,syslog')[0] ?? '',
      /write it in single quotes: 'stderr,syslog'$/,
    );
  });

  it('a quote that is not closed is an error of its line only', () => {
    assert.deepEqual(errors("syslog_ident = 'x\nport = 0").length, 2);
  });

  it('an enum is one of a list, in any letter case, with or without quotes', () => {
    for (const value of ['LOG', 'log', 'Log', "'LOG'", "'log'"]) {
      assert.equal(read(`log_min_messages = ${value}`).log.minMessages, 'LOG');
    }
    assert.match(errors('log_min_messages = LOUD')[0] ?? '', /available values: DEBUG, INFO, .*PANIC$/);
  });

  it('a time without a unit has the documented one', () => {
    assert.equal(read('heartbeat_timeout = 30').heartbeatTimeoutMs, 30_000);
  });

  it('a time may carry a unit: ms, s, min, h, d', () => {
    const inMs = {
      '200ms': 200,
      '3s': 3000,
      '1min': 60_000,
      '1h': 3_600_000,
      '1d': 86_400_000,
      "'2 s'": 2000,
    };
    for (const [value, expected] of Object.entries(inMs)) {
      assert.equal(read(`heartbeat_connect_timeout = ${value}`).heartbeatConnectTimeoutMs, expected);
    }
  });

  it('a time with another unit is an error that lists the units', () => {
    for (const value of ['3sec', '3S', '3us', '3m', '3w']) {
      assert.match(errors(`heartbeat_timeout = ${value}`)[0] ?? '', /one of the units ms, s, min, h, d$/);
    }
  });

  it('a heartbeat may be faster than a second, but not than 50 ms', () => {
    assert.equal(read('heartbeat_interval = 50ms').heartbeatIntervalMs, 50);
    assert.deepEqual(errors('heartbeat_interval = 49ms'), [
      'conmgr.conf:1: 49ms is outside the valid range for parameter "heartbeat_interval" (50ms .. 2147483647ms)',
    ]);
  });

  it('a time in bare numbers is at least 1', () => {
    assert.deepEqual(errors('heartbeat_interval = 0'), [
      'conmgr.conf:1: 0 s is outside the valid range for parameter "heartbeat_interval" (1 s .. 2147483 s)',
    ]);
  });

  it('names are case-insensitive', () => {
    assert.equal(read('PORT = 5').port, 5);
    assert.equal(read('Backend_Host1 = x').instances.length, 2);
  });

  it('the last setting of a name wins, and a repeated one is reported at NOTICE', () => {
    const { config, remarks } = resolveConmgrConfig(`port = 1\nPort = 2\nport = 3${HOST}`);
    assert.equal(config?.port, 3);
    assert.deepEqual(
      remarks.map((remark) => `${remark.level} ${formatProblem(remark)}`),
      [
        'NOTICE conmgr.conf:1: parameter "port" is set again in line 3, which wins',
        'NOTICE conmgr.conf:2: parameter "port" is set again in line 3, which wins',
      ],
    );
  });

  it('a numbered parameter ends in a number without leading zeros', () => {
    assert.deepEqual(errors('backend_host01 = a'), [
      'conmgr.conf:1: the number of parameter "backend_host01" must have no leading zeros; write "backend_host1"',
    ]);
    assert.deepEqual(errors('backend_host = a'), [
      'conmgr.conf:1: parameter "backend_host" needs a number at its end, such as "backend_host0"',
    ]);
  });

  it('numbers may have gaps, and lines may stand in any order', () => {
    const { config } = resolveConmgrConfig(
      "backend_port12=1\nbackend_host12='c'\nbackend_host0='a'\nwatchdog_port5=2\nbackend_host5='b'\nbackend_port0=3",
    );
    assert.deepEqual(config?.instances, [
      { number: 0, host: 'a', hostaddr: undefined, backendPort: 3, watchdogPort: 27545, guard: true },
      { number: 5, host: 'b', hostaddr: undefined, backendPort: 27500, watchdogPort: 2, guard: true },
      { number: 12, host: 'c', hostaddr: undefined, backendPort: 1, watchdogPort: 27545, guard: true },
    ]);
  });

  it('include directives are refused with a message that says so', () => {
    assert.deepEqual(errors("include 'more.conf'"), [
      'conmgr.conf:1: "include" is not supported: conmgr.conf is one file',
    ]);
  });

  it('a line with NUL bytes or bytes outside UTF-8 is refused with its number', () => {
    assert.deepEqual(errors('\nport = 5\0'), ['conmgr.conf:2: line contains a NUL byte']);
    assert.deepEqual(errors('\nport = \ufffd'), [
      'conmgr.conf:2: line contains bytes that are not valid UTF-8',
    ]);
  });
});
