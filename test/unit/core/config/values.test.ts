import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { cidr, host, ipAddress, listenAddress } from '../../../../src/core/config/host-types.js';
import {
  bytes,
  formatTime,
  integer,
  LONGEST_TIME_MS,
  port,
  time,
  type ValueType,
} from '../../../../src/core/config/value-type.js';
import { boolean, listOf, oneOf, text } from '../../../../src/core/config/word-types.js';

/** The value, or the name of the message that refuses the text. */
function read<T>(type: ValueType<T>, written: string): T | string {
  const parsed = type.parse(written);
  return parsed.ok ? parsed.value : parsed.message;
}

type Case = readonly [written: string, expected: unknown];

function check(name: string, type: ValueType<unknown>, cases: readonly Case[]): void {
  describe(name, () => {
    for (const [written, expected] of cases) {
      const shown = written.length > 40 ? `${written.slice(0, 40)}...` : written;
      it(`reads ${JSON.stringify(shown)} as ${JSON.stringify(expected)}`, () => {
        assert.deepEqual(read(type, written), expected);
      });
    }
  });
}

check('an integer', integer(0, 100), [
  ['0', 0],
  ['100', 100],
  ['007', 7],
  [' 5 ', 5],
  ['101', 'outOfRange'],
  ['-1', 'outOfRange'],
  ['9'.repeat(500), 'outOfRange'],
  ['', 'emptyValue'],
  [' ', 'emptyValue'],
  ['+5', 'notInteger'],
  ['5.0', 'notInteger'],
  ['0x10', 'notInteger'],
  ['1e2', 'notInteger'],
  ['5;', 'notInteger'],
  ['5 6', 'notInteger'],
  ['five', 'notInteger'],
  ['٣', 'notInteger'],
]);

check('a port', port(), [
  ['1', 1],
  ['65535', 65535],
  ['0', 'outOfRange'],
  ['65536', 'outOfRange'],
]);

check('a time in seconds', time('s', 50), [
  ['1', 1000],
  ['2147483', 2147483000],
  ['200ms', 200],
  ['50ms', 50],
  ['3s', 3000],
  ['3 s', 3000],
  ['1min', 60_000],
  ['2h', 7_200_000],
  ['1d', 86_400_000],
  ['1.5s', 1500],
  ['.5min', 30_000],
  ['1.s', 1000],
  ['0', 'outOfRange'],
  ['-5', 'outOfRange'],
  ['49ms', 'outOfRange'],
  ['0s', 'outOfRange'],
  ['-1s', 'outOfRange'],
  ['2147484', 'outOfRange'],
  ['25d', 'outOfRange'],
  ['1.5', 'notTime'],
  ['1e3', 'notTime'],
  ['10S', 'notTime'],
  ['10sec', 'notTime'],
  ['100us', 'notTime'],
  ['10 000', 'notTime'],
  ['s', 'notTime'],
  ['.', 'notTime'],
  ['', 'emptyValue'],
  ['1constructor', 'notTime'],
]);

check('a time in milliseconds that may be short', time('ms', 1), [
  ['1', 1],
  ['1000', 1000],
  ['1s', 1000],
  ['0', 'outOfRange'],
  ['2147483647', LONGEST_TIME_MS],
  ['2147483648', 'outOfRange'],
]);

check('a time that may be zero', time('s', 0), [
  ['0', 0],
  ['0ms', 0],
  ['20ms', 20],
]);

check('an amount of data', bytes(0), [
  ['0', 0],
  ['1048576', 1048576],
  ['16MB', 16 * 1024 ** 2],
  ['1.5kB', 1536],
  ['1 GB', 1024 ** 3],
  ['2TB', 2 * 1024 ** 4],
  ['7B', 7],
  ['-1', 'outOfRange'],
  ['9007199254740992', 'outOfRange'],
  ['1.5', 'notBytes'],
  ['1.5B', 'notBytes'],
  ['16mb', 'notBytes'],
  ['much', 'notBytes'],
  ['', 'emptyValue'],
]);

check(
  'an enum',
  oneOf(['off', 'Read-Only', 'monitored'], {
    synonyms: { none: 'off' },
    refused: { eventlog: 'no' },
    later: ['monitored'],
  }),
  [
    ['off', 'off'],
    ['OFF', 'off'],
    ['read-only', 'Read-Only'],
    ['READ-ONLY', 'Read-Only'],
    ['None', 'off'],
    ['EventLog', 'refusedValue'],
    ['monitored', 'valueNotAvailable'],
    ['of', 'notInEnum'],
    ['off,off', 'notInEnum'],
    ['__proto__', 'notInEnum'],
    ['', 'emptyValue'],
  ],
);

check('a boolean', boolean(), [
  ['on', true],
  ['OFF', false],
  ['true', true],
  ['False', false],
  ['yes', true],
  ['no', false],
  ['1', true],
  ['0', false],
  ['2', 'notInEnum'],
  ['enabled', 'notInEnum'],
  ['', 'emptyValue'],
]);

check('a text', text(5), [
  ['abc', 'abc'],
  [' a ', ' a '],
  ['größe', 'größe'],
  ['', 'emptyValue'],
  ['abcdef', 'valueTooLong'],
  ['a\nb', 'unprintableValue'],
  ['a\u0085', 'unprintableValue'],
]);

check('a list', listOf(oneOf(['stderr', 'syslog'])), [
  ['stderr', ['stderr']],
  ['syslog, stderr', ['syslog', 'stderr']],
  ['STDERR,stderr,syslog', ['stderr', 'syslog']],
  ['stderr,', 'emptyItem'],
  [',', 'emptyItem'],
  ['stderr,,syslog', 'emptyItem'],
  ['stderr syslog', 'notInEnum'],
  ['', 'emptyValue'],
  ['  ', 'emptyValue'],
]);

check('a host', host(), [
  ['db1', 'db1'],
  ['db-1.example', 'db-1.example'],
  ['db_1', 'db_1'],
  ['DB1.Example.', 'DB1.Example.'],
  ['127.0.0.1', '127.0.0.1'],
  ['::1', '::1'],
  ['fe80::1%eth0', 'fe80::1%eth0'],
  [`${'a'.repeat(63)}.example`, `${'a'.repeat(63)}.example`],
  ['', 'emptyValue'],
  ['.', 'notHost'],
  ['db1..example', 'notHost'],
  ['-db1', 'notHost'],
  ['db1-', 'notHost'],
  ['db 1', 'notHost'],
  ['db1,db2', 'notHost'],
  ['db1:5432', 'notHost'],
  ['[::1]', 'notHost'],
  ['/var/run/postgresql', 'notHost'],
  ['127.0.0.256', 'notHost'],
  ['127.1', 'notHost'],
  ['2130706433', 'notHost'],
  ['müller.example', 'notHost'],
  ['db1\n', 'db1'],
  ['db1\nx', 'notHost'],
  [`${'a'.repeat(64)}.example`, 'notHost'],
  [Array(64).fill('abc').join('.'), 'notHost'],
]);

check('an address', ipAddress(), [
  ['192.0.2.1', '192.0.2.1'],
  ['2001:db8::1', '2001:db8::1'],
  ['fe80::1%eth0', 'fe80::1%eth0'],
  ['db1', 'notAddress'],
  ['192.0.2.1/24', 'notAddress'],
  ['', 'emptyValue'],
]);

check('addresses to listen on', listOf(listenAddress()), [
  ['*', ['*']],
  ['localhost', ['localhost']],
  ['127.0.0.1, ::1', ['127.0.0.1', '::1']],
  ['0.0.0.0', ['0.0.0.0']],
  ['**', 'notHost'],
  ['127.0.0.1:27546', 'notHost'],
]);

describe('ranges of addresses', () => {
  it('are kept in their canonical text', () => {
    const parsed = listOf(cidr()).parse('10.1.2.3/8, 2001:DB8::/32,10.0.0.0/8');
    assert.deepEqual(parsed.ok && parsed.value.map((range) => range.text), ['10.0.0.0/8', '2001:db8::/32']);
  });
  it('with a mistake are refused as a whole', () => {
    assert.equal(read(listOf(cidr()), '10.0.0.0/8, 10.0.0.0/33'), 'notCidr');
  });
});

describe('a value written by format', () => {
  const reads = (type: ValueType<number>) => (value: number) =>
    assert.equal(read(type, type.format(value)), value);

  it('reads back as the same time', () => {
    fc.assert(fc.property(fc.integer({ min: 50, max: LONGEST_TIME_MS }), reads(time('s', 50))));
    fc.assert(fc.property(fc.integer({ min: 1, max: 100 }), (n) => reads(time('s', 50))(n * 60_000)));
    reads(time('s', 0))(0);
  });
  it('reads back as the same amount of data', () => {
    fc.assert(fc.property(fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }), reads(bytes(0))));
    fc.assert(fc.property(fc.integer({ min: 1, max: 5000 }), (n) => reads(bytes(0))(n * 1024 ** 3)));
  });
  it('reads back as the same integer', () => {
    fc.assert(fc.property(fc.integer({ min: 0, max: 2147483647 }), reads(integer(0))));
  });
  it('has the largest unit without a fraction', () => {
    assert.deepEqual([0, 200, 1500, 20_000, 60_000, 90_000, 7_200_000, 86_400_000].map(formatTime), [
      '0',
      '200ms',
      '1500ms',
      '20s',
      '1min',
      '90s',
      '2h',
      '1d',
    ]);
  });
});

it('no type throws on any text', () => {
  const types: ValueType<unknown>[] = [
    integer(0),
    port(),
    time('s', 50),
    bytes(0),
    boolean(),
    text(10),
    host(),
  ];
  types.push(ipAddress(), listOf(listenAddress()), listOf(cidr()), oneOf(['a']));
  fc.assert(
    fc.property(fc.constantFrom(...types), fc.string({ unit: 'binary' }), (type, written) => {
      const parsed = type.parse(written);
      if (parsed.ok) assert.deepEqual(type.parse(type.format(parsed.value)), parsed);
    }),
    { numRuns: 2000 },
  );
});
