import assert from 'node:assert/strict';
import { isIP } from 'node:net';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import {
  cidrContains,
  formatIp,
  normaliseIp,
  parseCidr,
  parseIp,
  unmapIp,
} from '../../../../src/core/config/address.js';

/** Strings that look like addresses: mostly wrong in some small way. */
const nearlyAddress = fc.oneof(
  fc.string({ unit: fc.constantFrom(...'0123456789abcdefF:.%'), maxLength: 45 }),
  fc.ipV6().map((text) => text.replace('0', '')),
  fc.array(fc.nat({ max: 300 }), { minLength: 3, maxLength: 5 }).map((octets) => octets.join('.')),
  fc.tuple(fc.ipV6(), fc.constantFrom('', '%eth0', '%', '%a b', '%1')).map(([ip, scope]) => ip + scope),
  fc.ipV4().map((ip) => `::ffff:${ip}`),
  fc.ipV4Extended(),
);

describe('IP addresses', () => {
  it('are those that Node takes for IPv4 and IPv6 addresses, and no others', () => {
    fc.assert(
      fc.property(fc.oneof(nearlyAddress, fc.ipV4(), fc.ipV6(), fc.string()), (text) => {
        assert.equal(parseIp(text)?.family ?? 0, isIP(text));
      }),
      { numRuns: 2000 },
    );
  });

  for (const text of [
    '',
    ' ',
    '1.2.3',
    '1.2.3.4.5',
    '01.2.3.4',
    '256.1.1.1',
    '1.2.3.4%eth0',
    ':',
    ':::',
    '1::2::3',
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8:9',
    '1:2:3:4:5:6:7::8:9',
    '1:2:3:4:5:6:7::8',
    '::12345',
    '::g',
    '1.2.3.4::',
    '::1.2.3.4:1',
    '::1%',
    '::1%a/b',
    '[::1]',
    `${'0'.repeat(60)}::`,
  ]) {
    it(`are not "${text}"`, () => assert.equal(parseIp(text), undefined));
  }

  it('in the text of RFC 5952 are those of the WHATWG URL serializer', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 16, maxLength: 16 }), fc.nat({ max: 255 }), (random, holes) => {
        // Zero groups at random places, so that `::` has something to choose from.
        const bytes = random.map((byte, index) => ((holes >> (index >> 1)) & 1 ? 0 : byte));
        const text = formatIp({ family: 6, bytes, scope: undefined });
        assert.equal(`[${text}]`, new URL(`http://[${text}]/`).hostname);
        assert.deepEqual(parseIp(text)?.bytes, bytes);
      }),
    );
  });

  it('IPv4 in the text of its bytes come back as the same bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 4, maxLength: 4 }), (bytes) => {
        assert.deepEqual(parseIp(formatIp({ family: 4, bytes, scope: undefined }))?.bytes, bytes);
      }),
    );
  });

  const normalised: readonly (readonly [string, string])[] = [
    ['192.0.2.1', '192.0.2.1'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['::FFFF:c000:201', '192.0.2.1'],
    ['0:0:0:0:0:ffff:c000:0201', '192.0.2.1'],
    ['2001:DB8:0:0:0:0:0:1', '2001:db8::1'],
    ['2001:db8:0:1:0:0:1:0', '2001:db8:0:1::1:0'],
    ['1:0:0:2:0:0:3:4', '1::2:0:0:3:4'],
    ['1:0:2:3:4:5:6:7', '1:0:2:3:4:5:6:7'],
    ['::', '::'],
    ['FE80::1%eth0', 'fe80::1%eth0'],
    ['fe80::1%br_lan', 'fe80::1%br_lan'],
    ['db1.Example', 'db1.Example'],
    ['', ''],
  ];
  for (const [text, expected] of normalised) {
    it(`normalise "${text}" to "${expected}"`, () => assert.equal(normaliseIp(text), expected));
  }

  it('normalise to a text that stays as it is', () => {
    fc.assert(
      fc.property(nearlyAddress, (text) => {
        assert.equal(normaliseIp(normaliseIp(text)), normaliseIp(text));
      }),
    );
  });

  it('that are IPv4 compare equal to themselves mapped into IPv6', () => {
    fc.assert(
      fc.property(fc.ipV4(), (ip) => {
        assert.equal(normaliseIp(`::ffff:${ip}`), ip);
        assert.deepEqual(unmapIp(parseIp(`::ffff:${ip}`)!), parseIp(ip));
      }),
    );
  });
});

describe('ranges of addresses', () => {
  const ranges: readonly (readonly [string, string | undefined])[] = [
    ['192.0.2.0/24', '192.0.2.0/24'],
    ['192.0.2.77/24', '192.0.2.0/24'],
    ['192.0.2.77', '192.0.2.77/32'],
    ['0.0.0.0/0', '0.0.0.0/0'],
    ['10.255.255.255/9', '10.128.0.0/9'],
    ['2001:DB8::1', '2001:db8::1/128'],
    ['2001:db8:ffff::/33', '2001:db8:8000::/33'],
    ['::ffff:192.0.2.77/120', '192.0.2.0/24'],
    ['::ffff:192.0.2.77', '192.0.2.77/32'],
    ['::/0', '::/0'],
    ['::ffff:192.0.2.77/90', '::ffc0:0:0/90'],
    ['192.0.2.0/33', undefined],
    ['192.0.2.0/', undefined],
    ['192.0.2.0/-1', undefined],
    ['192.0.2.0/024', undefined],
    ['192.0.2.0/255.255.255.0', undefined],
    ['192.0.2.0/24/24', undefined],
    ['::/129', undefined],
    ['fe80::1%eth0/64', undefined],
    ['fe80::1%eth0', undefined],
    ['db1.example/24', undefined],
    ['', undefined],
    ['/8', undefined],
  ];
  for (const [text, expected] of ranges) {
    it(`read "${text}" as ${expected ?? 'no range'}`, () => assert.equal(parseCidr(text)?.text, expected));
  }

  it('contain an address exactly when its first bits are theirs', () => {
    const bits = (bytes: Uint8Array): string =>
      [...bytes].map((byte) => byte.toString(2).padStart(8, '0')).join('');
    fc.assert(
      fc.property(
        fc.ipV4(),
        fc.ipV4(),
        fc.nat({ max: 32 }),
        fc.nat({ max: 32 }),
        (base, other, prefix, same) => {
          // An address that shares some bits with the range, else hits would be rare.
          const joined = (bits(parseIp(base)!.bytes).slice(0, same) + bits(parseIp(other)!.bytes)).slice(
            0,
            32,
          );
          const bytes = Uint8Array.from({ length: 4 }, (_, i) =>
            Number.parseInt(joined.slice(8 * i, 8 * i + 8), 2),
          );
          const range = parseCidr(`${base}/${prefix}`)!;
          const expected = joined.startsWith(bits(parseIp(base)!.bytes).slice(0, prefix));
          assert.equal(cidrContains(range, { family: 4, bytes, scope: undefined }), expected);
          const mapped = parseIp(`::ffff:${bytes.join('.')}`)!;
          assert.equal(cidrContains(range, mapped), expected);
        },
      ),
    );
  });

  it('of one family never contain an address of the other', () => {
    assert.equal(cidrContains(parseCidr('::/0')!, parseIp('192.0.2.1')!), false);
    assert.equal(cidrContains(parseCidr('::/0')!, parseIp('::ffff:192.0.2.1')!), false);
    assert.equal(cidrContains(parseCidr('0.0.0.0/0')!, parseIp('2001:db8::1')!), false);
    assert.equal(cidrContains(parseCidr('::/0')!, parseIp('2001:db8::1')!), true);
  });
});
