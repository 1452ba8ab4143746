/**
 * The lexer of conmgr.conf against PostgreSQL's own: `postgres -C NAME -D DIR` reads DIR/postgresql.conf and prints
 * one value, and needs no more of a data directory than PG_VERSION.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, chownSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, it } from 'node:test';
import fc from 'fast-check';
import { parseConfig } from '../../src/core/config/parse.js';
import { quoteValue } from '../../src/core/config/render.js';
import { postgresBinaries, usualMajor } from '../support/postgres-binaries.js';
import { temporaryDirectory } from '../support/tree.js';

/** The account `nobody`: postgres refuses to run as root. */
const NOBODY = 65534;
const asRoot = process.getuid?.() === 0;

let postgres = '';
let directory = '';

before(async () => {
  const { bin, version } = await postgresBinaries(await usualMajor());
  postgres = join(bin, 'postgres');
  directory = temporaryDirectory('lexer-');
  writeFileSync(join(directory, 'PG_VERSION'), `${version.split('.')[0]}\n`);
  if (!asRoot) return;
  chmodSync(directory, 0o700);
  chownSync(directory, NOBODY, NOBODY);
});

/** What PostgreSQL makes of a file: the value of `name`, undefined when it refuses the file. */
function valueInPostgres(text: string, name: string): string | undefined {
  const file = join(directory, 'postgresql.conf');
  writeFileSync(file, text);
  if (asRoot) chownSync(file, NOBODY, NOBODY);
  const { status, stdout, stderr, error } = spawnSync(postgres, ['-C', name, '-D', directory], {
    encoding: 'utf8',
    env: { LC_ALL: 'C' },
    timeout: 30_000,
    ...(asRoot ? { uid: NOBODY, gid: NOBODY } : {}),
  });
  if (error !== undefined) throw error;
  if (status === 0) return stdout.replace(/\n$/, '');
  // Anything else would be a broken test, not a refused file.
  assert.match(stderr, /postgresql\.conf" contains errors/);
  return undefined;
}

/** What conmgr makes of it. */
function valueInConmgr(text: string, name: string): string | undefined {
  const { entries, problems } = parseConfig(text);
  return problems.length > 0 ? undefined : entries.filter((entry) => entry.name === name).at(-1)?.value;
}

/** Not checked, not changed by PostgreSQL, unlike cluster_name, where it puts ? for what is not ASCII. */
const RAW = 'differential.value';

describe('what PostgreSQL accepts is read the same way', () => {
  const same: readonly string[] = [
    'cluster_name = abc',
    'cluster_name=abc',
    'cluster_name abc',
    "cluster_name'abc'",
    "cluster_name='abc'",
    'cluster_name+5',
    '\tcluster_name\t=\tabc\t\r\n',
    'CLUSTER_name = abc',
    'cluster_name = abc # comment',
    'cluster_name = abc#comment',
    "cluster_name = 'abc'#comment",
    "cluster_name = 'a # b' # c",
    "cluster_name = 'it''s'",
    "cluster_name = 'it\\'s'",
    "cluster_name = ''",
    "cluster_name = ''''",
    "cluster_name = ''''''",
    "cluster_name = 'a\\\\b'",
    "cluster_name = 'a\\\\'",
    "cluster_name = '\\101\\60\\53'",
    "cluster_name = '\\1011'",
    "cluster_name = '\\400'",
    "cluster_name = 'a\\000b'",
    "cluster_name = '\\q\\8\\9'",
    'cluster_name = db-1.example',
    'cluster_name = a.b.c',
    'cluster_name = a:b/c-d.e_f',
    'cluster_name = 5432',
    'cluster_name = -5',
    'cluster_name = 10ms',
    'cluster_name = 0x1Fkb',
    'cluster_name = 1.5e-3',
    'cluster_name = .5',
    'cluster_name = .',
    'cluster_name = one\ncluster_name = two',
    '# cluster_name = one\n\n  # two\ncluster_name = three',
    "cluster_name = 'one, two'",
    'a.b = 5\ncluster_name = x',
  ];
  for (const text of same) {
    it(JSON.stringify(text), () => {
      const expected = valueInPostgres(text, 'cluster_name');
      assert.notEqual(expected, undefined);
      assert.equal(valueInConmgr(text, 'cluster_name'), expected);
    });
  }

  const raw: readonly string[] = [
    `${RAW} = größe`,
    `${RAW} = 'größe \\\\ it''s'`,
    `${RAW} = '\\303\\244'`,
    `${RAW} = 'a\\tb\\nc\\rd\\be\\ff'`,
    `${RAW} = 'a\rb'`,
    `${RAW} = '\\7\\1778'`,
    `${RAW} = 日本`,
  ];
  for (const text of raw) {
    it(`${JSON.stringify(text)}, byte by byte`, () => {
      const expected = valueInPostgres(text, RAW);
      assert.notEqual(expected, undefined);
      assert.equal(valueInConmgr(text, RAW), expected);
    });
  }
});

describe('what PostgreSQL refuses', () => {
  const refused: readonly string[] = [
    'cluster_name',
    'cluster_name =',
    'cluster_name = # x',
    'cluster_name == x',
    '= x',
    '5 = x',
    "cluster_name = 'a",
    "cluster_name = 'a''",
    "cluster_name = 'a\\'",
    "cluster_name = 'a\nb'",
    "cluster_name = 'a' b",
    "cluster_name = 'a'b",
    "cluster_name = a'b'",
    'cluster_name = a b',
    'cluster_name = "a"',
    'cluster_name = a,b',
    'cluster_name = a\fb',
    'cluster_name-5',
    'cluster_name(5)',
  ];
  for (const text of refused) {
    it(`is refused here too: ${JSON.stringify(text)}`, () => {
      assert.equal(valueInPostgres(text, 'cluster_name'), undefined);
      assert.equal(valueInConmgr(text, 'cluster_name'), undefined);
    });
  }

  const kind: readonly (readonly [string, string])[] = [
    ['cluster_name = 127.0.0.1', '127.0.0.1'],
    ['cluster_name = ::1', '::1'],
    ['cluster_name = db.example', 'db.example'],
    ['cluster_name = fe80::1%eth0', 'fe80::1%eth0'],
    ['cluster_name = /etc/conmgr', '/etc/conmgr'],
    ['cluster_name = *', '*'],
    ['\ufeffcluster_name = x', 'x'],
  ];
  for (const [text, value] of kind) {
    it(`is read here as it is meant: ${JSON.stringify(text)}`, () => {
      assert.equal(valueInPostgres(text, 'cluster_name'), undefined);
      assert.equal(valueInConmgr(text, 'cluster_name'), value);
    });
  }
});

describe('at random', () => {
  it('a file that PostgreSQL accepts has the same value here', () => {
    const piece = fc.constantFrom(
      "'",
      "''",
      '\\',
      '#',
      ' ',
      '\t',
      '=',
      '.',
      '-',
      '+',
      ':',
      '/',
      'a',
      'e5',
      '7',
      '0x',
      '\\141',
      'ä',
      '\n',
    );
    const value = fc.array(piece, { maxLength: 8 }).map((pieces) => pieces.join(''));
    const quoted = value.map((text) => `'${text}'`);
    const text = fc.tuple(
      fc.constantFrom('', ' ', '=', ' = '),
      fc.oneof(value, quoted),
      fc.constantFrom('', ' ', '#', "# '", '\r'),
    );
    fc.assert(
      fc.property(text, ([equals, written, tail]) => {
        const file = `${RAW} = before\n${RAW}${equals}${written}${tail}\n`;
        const expected = valueInPostgres(file, RAW);
        if (expected !== undefined) assert.equal(valueInConmgr(file, RAW), expected);
      }),
      { numRuns: 60 },
    );
  });

  it('a value written by conmgr is read by PostgreSQL as the same', () => {
    const value = fc.string({ unit: 'grapheme', maxLength: 20 }).filter((text) => !/[\0\ufffd]/.test(text));
    fc.assert(
      fc.property(
        fc.oneof(value, fc.constantFrom("it's", 'a\\b', '5', '10s', 'a-b', '-', 'a\nb')),
        (text) => {
          assert.equal(valueInPostgres(`${RAW} = ${quoteValue(text)}`, RAW), text);
        },
      ),
      { numRuns: 20 },
    );
  });
});
