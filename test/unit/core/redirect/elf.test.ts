import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { parseTarget, type Target } from '../../../../src/core/guard/target.js';
import { linkProgram, readBpfObject } from '../../../../src/core/redirect/elf.js';
import { mountPoints } from '../../../../src/core/redirect/mounts.js';
import { decodeRouteKey, encodeRoute, encodeRouteKey } from '../../../../src/core/redirect/route.js';

/** An object with one program that loads map "routes" in its second instruction, built by the ELF specification. */
function objectFile(): Buffer {
  const code = Buffer.alloc(32);
  code[0] = 0xb7;
  code[8] = 0x18;
  code[9] = 0x01;
  code[24] = 0x95;
  const maps = Buffer.alloc(20);
  [1, 16, 176, 256, 1].forEach((value, index) => {
    maps.writeUInt32LE(value, index * 4);
  });
  const relocations = Buffer.alloc(16);
  relocations.writeBigUInt64LE(8n, 0);
  relocations.writeUInt32LE(1, 8);
  relocations.writeUInt32LE(1, 12);
  const symbolNames = Buffer.from('\0routes\0');
  const symbols = Buffer.alloc(48);
  symbols.writeUInt32LE(1, 24);
  symbols.writeUInt16LE(3, 30);
  const names = [
    '',
    '.shstrtab',
    'cgroup/connect4',
    'maps',
    '.relcgroup/connect4',
    'license',
    '.symtab',
    '.strtab',
  ];
  const nameTable = Buffer.from(names.map((name) => `${name}\0`).join(''));
  const sections = [
    { type: 0, body: Buffer.alloc(0) },
    { type: 3, body: nameTable },
    { type: 1, body: code },
    { type: 1, body: maps },
    { type: 9, body: relocations, link: 6, info: 2 },
    { type: 1, body: Buffer.from('Apache-2.0\0') },
    { type: 2, body: symbols, link: 7 },
    { type: 3, body: symbolNames },
  ];
  const header = Buffer.alloc(64);
  Buffer.from([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]).copy(header);
  header.writeUInt16LE(1, 16);
  header.writeUInt16LE(247, 18);
  header.writeUInt16LE(sections.length, 60);
  header.writeUInt16LE(1, 62);
  let at = 64;
  const headers = sections.map(({ type, body, link = 0, info = 0 }, index) => {
    const one = Buffer.alloc(64);
    one.writeUInt32LE(
      names.slice(0, index).reduce((sum, name) => sum + name.length + 1, 0),
      0,
    );
    one.writeUInt32LE(type, 4);
    one.writeBigUInt64LE(BigInt(at), 24);
    one.writeBigUInt64LE(BigInt(body.length), 32);
    one.writeUInt32LE(link, 40);
    one.writeUInt32LE(info, 44);
    at += body.length;
    return one;
  });
  header.writeBigUInt64LE(BigInt(at), 40);
  return Buffer.concat([header, ...sections.map(({ body }) => body), ...headers]);
}

describe('an object of BPF programs', () => {
  it('gives programs by the name of their hook, the shape of each map, and the licence', () => {
    const { programs, maps, license } = readBpfObject(objectFile());
    assert.deepEqual(maps, [
      { name: 'routes', type: 1, keyBytes: 16, valueBytes: 176, entries: 256, flags: 1 },
    ]);
    assert.deepEqual(
      programs.map(({ name, code, uses }) => [name, code.length, uses]),
      [['connect4', 32, [{ offset: 8, map: 'routes' }]]],
    );
    assert.equal(license, 'Apache-2.0');
  });

  it('is linked by putting the descriptor of each map where it is loaded', () => {
    const [program] = readBpfObject(objectFile()).programs;
    assert.ok(program);
    const linked = linkProgram(program, new Map([['routes', 7]]));
    // The source register says that the value is a descriptor; the destination register stays.
    assert.equal(linked.subarray(8, 16).toString('hex'), '1811000007000000');
    assert.equal(program.code.readInt32LE(12), 0, 'the object itself is left as it is');
    assert.throws(() => linkProgram(program, new Map()), /needs map "routes"/);
  });

  it('is refused when it is none', () => {
    assert.throws(() => readBpfObject(Buffer.from('#!/bin/sh\n')), /not a 64-bit/);
    const other = objectFile();
    other.writeUInt16LE(62, 18);
    assert.throws(() => readBpfObject(other), /not an object of BPF programs/);
  });

  it('is refused, and never read past its end, when it is broken', () => {
    const good = objectFile();
    fc.assert(
      fc.property(
        fc.nat({ max: good.length - 1 }),
        fc.nat({ max: 255 }),
        fc.nat({ max: good.length }),
        (at, byte, length) => {
          const broken = Buffer.from(good.subarray(0, length));
          if (at < broken.length) broken[at] = byte;
          try {
            readBpfObject(broken);
          } catch (error) {
            assert.ok(error instanceof RangeError, String(error));
          }
        },
      ),
      { numRuns: 1000 },
    );
  });
});

describe('a route', () => {
  const targets = ['192.0.2.10', '2001:db8::1'].map((address) => parseTarget(address, 27500) as Target);

  it('is found by network namespace and port', () => {
    const key = encodeRouteKey(0x0102030405060708n, 27547);
    assert.equal(key.toString('hex'), '08070605040302019b6b000000000000');
    assert.deepEqual(decodeRouteKey(key), { namespaceCookie: 0x0102030405060708n, port: 27547 });
  });

  it('has an end, its port, and its destinations in network order, IPv4 as v4-mapped', () => {
    const hex = encodeRoute(27547, targets, 1n).toString('hex');
    assert.equal(hex.length, 2 * 176);
    assert.equal(hex.slice(0, 32), '01000000000000009b6b000002000000');
    assert.equal(hex.slice(32, 72), '00000000000000000000ffffc000020a6b6c0000');
    assert.equal(hex.slice(72, 112), '20010db80000000000000000000000016b6c0000');
    assert.match(hex.slice(112), /^0+$/);
  });
});

describe('the mounts', () => {
  it('are found by the type of their file system, blanks in names included', () => {
    const mountinfo = [
      '25 30 0:23 / /sys/fs/cgroup ro,nosuid shared:4 - tmpfs tmpfs ro',
      '26 25 0:24 / /sys/fs/cgroup/unified rw shared:5 - cgroup2 cgroup2 rw',
      '27 30 0:25 / /mnt/a\\040b rw - cgroup2 none rw',
      '',
    ].join('\n');
    assert.deepEqual(mountPoints(mountinfo, 'cgroup2'), ['/sys/fs/cgroup/unified', '/mnt/a b']);
    assert.deepEqual(mountPoints(mountinfo, 'bpf'), []);
  });
});
