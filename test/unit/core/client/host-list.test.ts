import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import {
  matchHosts,
  OptionProblem,
  PLACEHOLDER_HOST,
  parsePort,
  splitConnectionString,
} from '../../../../src/core/client/host-list.js';
import { isLoopback } from '../../../../src/core/client/loopback.js';
import { CLIENT_MESSAGES } from '../../../../src/core/messages/client.js';

const short = (
  host?: Parameters<typeof matchHosts>[0],
  port?: Parameters<typeof matchHosts>[1],
  hostaddr?: string,
) => matchHosts(host, port, hostaddr).map((entry) => `${entry.host}[${entry.hostaddr}]:${entry.port}`);

function problemOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    assert.ok(error instanceof OptionProblem);
    return error.spec.code;
  }
  return assert.fail('no problem was found');
}

describe('the host list', () => {
  it('takes arrays and comma lists alike', () => {
    assert.deepEqual(short('a,b', '1,2'), ['a[]:1', 'b[]:2']);
    assert.deepEqual(short(['a', 'b'], [1, 2]), ['a[]:1', 'b[]:2']);
  });

  it('gives one port to all hosts', () => {
    assert.deepEqual(short('a,b,c', 7), ['a[]:7', 'b[]:7', 'c[]:7']);
  });

  it('defaults to localhost and 5432, also for empty elements', () => {
    assert.deepEqual(short(), ['localhost[]:5432']);
    assert.deepEqual(short('a,,b', '1,,3'), ['a[]:1', 'localhost[]:5432', 'b[]:3']);
  });

  it('refuses lists that do not match', () => {
    assert.equal(
      problemOf(() => short('a,b', '1,2,3')),
      CLIENT_MESSAGES.portCount.code,
    );
    assert.equal(
      problemOf(() => short('a,b', 1, '10.0.0.1')),
      CLIENT_MESSAGES.hostaddrCount.code,
    );
  });

  it('takes addresses beside names, or alone', () => {
    assert.deepEqual(short('a,b', 1, '10.0.0.1,'), ['a[10.0.0.1]:1', 'b[]:1']);
    assert.deepEqual(short(undefined, 1, '10.0.0.1,10.0.0.2'), [
      '10.0.0.1[10.0.0.1]:1',
      '10.0.0.2[10.0.0.2]:1',
    ]);
  });

  it('takes ports from 1 to 65535 only', () => {
    for (const wrong of ['0', '65536', '-1', 'x', '1.5', '123456', '1 2', '0x10']) {
      assert.equal(
        problemOf(() => parsePort(wrong)),
        CLIENT_MESSAGES.badPort.code,
        wrong,
      );
    }
    assert.equal(parsePort('65535'), 65_535);
  });
});

describe('a connection string with several hosts', () => {
  it('gives its hosts and ports, and a string with one host', () => {
    assert.deepEqual(splitConnectionString('postgres://me:pw@h1:1,h2:2/db?target_session_attrs=standby'), {
      hosts: 'h1,h2',
      ports: '1,2',
      single: `postgres://me:pw@${PLACEHOLDER_HOST}/db?target_session_attrs=standby`,
    });
  });

  it('may leave ports, hosts, user and database out', () => {
    assert.deepEqual(splitConnectionString('postgresql://'), {
      hosts: '',
      ports: '',
      single: `postgresql://${PLACEHOLDER_HOST}`,
    });
    assert.deepEqual(splitConnectionString('postgres://h1,h2/db').ports, '');
    assert.deepEqual(splitConnectionString('postgres://h1:1,h2/db').ports, '1,');
  });

  it('may have IPv6 addresses in brackets and percent escapes', () => {
    const split = splitConnectionString('postgres://[::1]:1,[fe80::1%25eth0]:2,%2Ftmp/db');
    assert.equal(split.hosts, '::1,fe80::1%eth0,/tmp');
    assert.equal(split.ports, '1,2,');
  });

  it('may have "@", ":" and "," in the password', () => {
    const split = splitConnectionString('postgres://me:a@b,c:1@h1:1,h2:2/db');
    assert.equal(split.hosts, 'h1,h2');
    assert.equal(split.single, `postgres://me:a@b,c:1@${PLACEHOLDER_HOST}/db`);
  });

  it('of another form is left alone', () => {
    for (const text of ['/var/run/postgresql db', 'socket:/tmp?db=x', '']) {
      assert.deepEqual(splitConnectionString(text), { hosts: undefined, ports: '', single: text });
    }
  });

  it('is refused when the list is malformed', () => {
    for (const text of ['postgres://[::1/db', 'postgres://[::1]x/db', 'postgres://%zz/db']) {
      assert.equal(
        problemOf(() => splitConnectionString(text)),
        CLIENT_MESSAGES.badConnectionString.code,
        text,
      );
    }
  });

  it('is never another exception', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        try {
          splitConnectionString(`postgres://${text}`);
        } catch (error) {
          assert.ok(error instanceof OptionProblem);
        }
      }),
    );
  });
});

describe('a loopback address', () => {
  it('is 127.0.0.0/8, ::1, either as IPv4 in IPv6, or a Unix socket', () => {
    for (const own of ['127.0.0.1', '127.1.2.3', '::1', '::ffff:127.0.0.1', undefined]) {
      assert.equal(isLoopback(own), true, own);
    }
    for (const foreign of ['10.0.0.1', '128.0.0.1', '::', '::ffff:10.0.0.1', 'localhost', '1270.0.0.1', '']) {
      assert.equal(isLoopback(foreign), false, foreign);
    }
  });
});
