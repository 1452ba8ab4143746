import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { type Column, paint, renderTable, type TableRow } from '../../../../src/core/ctl/table.js';
import { cut, pad, textWidth, wrap } from '../../../../src/core/ctl/text-width.js';

const COLUMNS: readonly Column[] = [
  { title: '#', align: 'right' },
  { title: 'host', shrinkTo: 6 },
  { title: 'port', align: 'right' },
  { title: 'state' },
];
const row = (number: string, host: string, remark = ''): TableRow => ({
  cells: [number, host, '5432', 'up'],
  remark,
});
const render = (rows: readonly TableRow[], width: number) =>
  renderTable(COLUMNS, rows, 'reason', { width, colour: false });

describe('renderTable', () => {
  it('aligns columns under their titles and leaves no blank at a line end', () => {
    assert.deepEqual(render([row('0', 'db1'), row('12', 'db2.example')], 80), [
      ' #  host         port  state',
      ' 0  db1          5432  up',
      '12  db2.example  5432  up',
    ]);
  });

  it('wraps a remark into the room behind the columns', () => {
    const rows = [row('0', 'db1', 'nobody there has answered any call at all'), row('1', 'db2')];
    assert.deepEqual(render(rows, 54), [
      '#  host  port  state  reason',
      '0  db1   5432  up     nobody there has answered any',
      '                      call at all',
      '1  db2   5432  up',
    ]);
  });

  it('puts a remark under its row where there is too little room', () => {
    assert.deepEqual(render([row('0', 'db1', 'the host does not answer at all')], 30), [
      '#  host  port  state',
      '0  db1   5432  up',
      '    the host does not answer',
      '    at all',
    ]);
  });

  it('cuts names only on a terminal', () => {
    const rows = [row('0', 'a-long-name.of.a.host.example')];
    assert.deepEqual(render(rows, 24), ['# host        port state', '0 a-long-nam… 5432 up']);
    assert.deepEqual(render(rows, Number.POSITIVE_INFINITY), [
      '#  host                           port  state',
      '0  a-long-name.of.a.host.example  5432  up',
    ]);
  });

  it('does not wrap a remark where nothing limits the width', () => {
    const remark = 'word '.repeat(100).trim();
    const lines = render([row('0', 'db1', remark)], Number.POSITIVE_INFINITY);
    assert.equal(lines.length, 2);
    assert.ok(lines[1]?.endsWith(remark));
  });

  it('shows control characters of a foreign name instead of sending them', () => {
    const lines = render([row('0', 'x\x1b[2J\n')], 80);
    assert.equal(lines[1], '0  x\\x1b[2J\\n  5432  up');
  });

  it('uses colour only where it is wanted, and never changes the layout by it', () => {
    const rows: TableRow[] = [
      { cells: ['0', { text: 'db1', style: 'good' }, '5432', { text: '', style: 'bad' }], remark: 'x' },
    ];
    const plain = renderTable(COLUMNS, rows, 'reason', { width: 80, colour: false });
    const coloured = renderTable(COLUMNS, rows, 'reason', { width: 80, colour: true });
    assert.match(coloured.join('\n'), /\x1b\[32mdb1 *\x1b\[0m/);
    assert.deepEqual(
      coloured.map((line) => line.replace(/\x1b\[[0-9]+m/g, '').trimEnd()),
      plain,
    );
  });

  it('never exceeds a width that its columns can shrink to', () => {
    const text = fc.string({ unit: 'grapheme', maxLength: 60 });
    fc.assert(
      fc.property(
        fc.array(fc.tuple(text, text), { minLength: 1, maxLength: 5 }),
        fc.integer({ min: 30, max: 120 }),
        (cells, width) => {
          const lines = render(
            cells.map(([host, remark]) => row('0', host, remark)),
            width,
          );
          for (const line of lines) assert.ok(textWidth(line) <= width, line);
        },
      ),
    );
  });
});

describe('text width', () => {
  it('counts wide characters twice and combining marks not at all', () => {
    assert.equal(textWidth('データ'), 6);
    assert.equal(textWidth('u\u0308'), 1);
    assert.equal(pad('データ', 8), 'データ  ');
    assert.equal(pad('7', 3, 'right'), '  7');
  });

  it('cuts to the width it was given', () => {
    assert.equal(cut('abcdef', 6), 'abcdef');
    assert.equal(cut('abcdef', 5), 'abcd…');
    assert.equal(cut('データ', 4), 'デ…');
    assert.equal(cut('ab', 0), '');
  });

  it('wraps at blanks, and inside a word only where it must', () => {
    assert.deepEqual(wrap('one two three', 7), ['one two', 'three']);
    assert.deepEqual(wrap('abcdefgh ij', 3), ['abc', 'def', 'gh', 'ij']);
    assert.deepEqual(wrap('', 10), ['']);
  });

  it('loses nothing by wrapping', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 80 }), fc.integer({ min: 1, max: 20 }), (text, width) => {
        assert.equal(wrap(text, width).join('').replaceAll(' ', ''), text.replaceAll(' ', ''));
      }),
    );
  });
});

describe('paint', () => {
  it('does not colour blanks', () => {
    assert.equal(paint('  ', 'bad', true), '  ');
    assert.equal(paint('x', 'bad', true), '\x1b[31mx\x1b[0m');
    assert.equal(paint('x', 'bad', false), 'x');
  });
});
