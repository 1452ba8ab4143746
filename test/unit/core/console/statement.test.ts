import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { parseStatements, SUBJECTS } from '../../../../src/core/console/statement.js';

const kindsOf = (sql: string): readonly string[] => parseStatements(sql).map(({ kind }) => kind);

describe('a statement of the console', () => {
  it('SHOW shows each of its subjects, in any letter case and with any blanks', () => {
    for (const subject of Object.keys(SUBJECTS)) {
      for (const sql of [
        `SHOW ${subject}`,
        ` show\n\t${subject.toLowerCase()} ; `,
        `/* a */ SHOW ${subject} -- b`,
      ]) {
        assert.deepEqual(parseStatements(sql), [{ kind: 'show', subject }]);
      }
    }
  });

  it('a ping is answered: SELECT of a number or a string, with or without a name', () => {
    for (const [sql, column, value] of [
      ['SELECT 1', '?column?', '1'],
      ['select 1 as x', 'x', '1'],
      ["select 'ok'", '?column?', 'ok'],
      ['select -5 "n"', 'n', '-5'],
    ] as const) {
      assert.deepEqual(parseStatements(sql), [{ kind: 'constant', column, value, tag: 'SELECT 1' }]);
    }
  });

  it('what drivers send around a query is taken', () => {
    for (const [sql, kind] of [
      ['BEGIN', 'begin'],
      ['begin read only', 'begin'],
      ['START TRANSACTION ISOLATION LEVEL SERIALIZABLE', 'begin'],
      ['COMMIT', 'commit'],
      ['end', 'commit'],
      ['ROLLBACK', 'rollback'],
      ['ABORT', 'rollback'],
      ['SET extra_float_digits = 3', 'ignored'],
      ["SET application_name = 'x;y'", 'ignored'],
      ['RESET ALL', 'ignored'],
      ['DISCARD ALL', 'ignored'],
      ['DEALLOCATE ALL', 'ignored'],
      ['SHOW TRANSACTION ISOLATION LEVEL', 'constant'],
      ['show transaction_read_only', 'constant'],
      ['', 'empty'],
      [' ; -- nothing', 'empty'],
    ] as const) {
      assert.deepEqual(kindsOf(sql), [kind], sql);
    }
  });

  it('anything else is none', () => {
    for (const sql of [
      'SELECT * FROM pg_class',
      'SELECT version()',
      'SHOW TABLES',
      'SHOW constructor',
      'SHOW INSTANCES WHERE 1=1',
      'INSERT INTO a VALUES (1)',
      'KILL 5',
      'RELOAD',
      'SHUTDOWN',
      'select $1',
    ]) {
      assert.deepEqual(kindsOf(sql), ['unknown'], sql);
    }
  });

  it('several are taken in their order; a semicolon in quotes ends none', () => {
    assert.deepEqual(kindsOf("BEGIN; SET a = 'b;''c'; SHOW VERSION; select \"a;b\"; COMMIT;"), [
      'begin',
      'ignored',
      'show',
      'unknown',
      'commit',
    ]);
  });

  it('any text is something, soon', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (sql) => {
        assert.ok(parseStatements(sql).length > 0);
      }),
    );
    const begun = performance.now();
    for (const piece of ["'", '"', '/*', '--', '-', '/', ' ', 'select '])
      parseStatements(piece.repeat(60_000));
    assert.ok(performance.now() - begun < 2000);
  });
});
