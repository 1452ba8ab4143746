import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import {
  foldCase,
  MAX_FILE_CHARACTERS,
  MAX_LINE_CHARACTERS,
  MAX_SYNTAX_ERRORS,
  parseConfig,
} from '../../../../src/core/config/parse.js';
import { quoteValue } from '../../../../src/core/config/render.js';

/** `name=value@line` of each setting. */
function settings(text: string): string[] {
  return parseConfig(text).entries.map(({ name, value, line }) => `${name}=${value}@${line}`);
}

/** `message@line` of each problem. */
function problems(text: string): string[] {
  return parseConfig(text).problems.map(({ message, line }) => `${message}@${line}`);
}

describe('a line of conmgr.conf', () => {
  const read: readonly (readonly [string, string, string])[] = [
    ['name = value', 'port = 5', 'port=5'],
    ['no blanks', 'port=5', 'port=5'],
    ['no equals sign', 'port 5', 'port=5'],
    ['tabs and carriage returns', '\tport\t=\t5\t\r', 'port=5'],
    ['upper case in the name', 'PORT = Five', 'port=Five'],
    ['a comment after a blank', 'port = 5 # five', 'port=5'],
    ['a comment straight after the value', 'port = 5#five', 'port=5'],
    ['a comment straight after a quoted value', "a = 'b'#c", 'a=b'],
    ['a # in quotes', "a = 'b # c' # d", 'a=b # c'],
    ['a doubled quote', "a = 'it''s'", "a=it's"],
    ['an escaped quote', "a = 'it\\'s'", "a=it's"],
    ['only quotes', "a = ''''''", "a=''"],
    ['an escaped backslash', "a = 'b\\\\c'", 'a=b\\c'],
    ['an escape before the closing quote', "a = 'b\\\\'", 'a=b\\'],
    ['escapes for control characters', "a = '\\b\\f\\n\\r\\t'", 'a=\b\f\n\r\t'],
    ['an octal escape', "a = '\\101\\60'", 'a=A0'],
    ['at most three octal digits', "a = '\\1011'", 'a=A1'],
    ['octal escapes of UTF-8 bytes', "a = '\\303\\244'", 'a=ä'],
    ['an octal escape above a byte, cut to a byte', "a = '\\501'", 'a=A'],
    ['an octal escape that is cut to NUL', "a = 'b\\400c'", 'a=b'],
    ['an octal NUL as the end of the value', "a = 'b\\000c'", 'a=b'],
    ['an escape without meaning', "a = '\\q\\9'", 'a=q9'],
    ['text outside ASCII', "a = 'größe\\\\ü'", 'a=größe\\ü'],
    ['an empty value', "a = ''", 'a='],
    ['a quoted value straight after the name', "a'b'", 'a=b'],
    ['a signed number straight after the name', 'a+5', 'a=+5'],
    ['a bare IPv4 address', 'a = 127.0.0.1', 'a=127.0.0.1'],
    ['a bare IPv6 address', 'a = ::1', 'a=::1'],
    ['a bare IPv6 address with zone', 'a = fe80::1%eth0', 'a=fe80::1%eth0'],
    ['a bare host name with a hyphen', 'a = db-1.example', 'a=db-1.example'],
    ['a bare host name with a dot', 'a = db.example', 'a=db.example'],
    ['a bare path', 'a = /etc/conmgr/secret', 'a=/etc/conmgr/secret'],
    ['a bare asterisk', 'a = *', 'a=*'],
    ['a qualified name', 'a.b = 5', 'a.b=5'],
  ];
  for (const [what, text, expected] of read) {
    it(`may have ${what}`, () => {
      assert.deepEqual(settings(text), [`${expected}@1`]);
      assert.deepEqual(problems(text), []);
    });
  }

  const wrong: readonly (readonly [string, string, string])[] = [
    ['a value without a name', '= 5', 'syntax'],
    ['a name that starts with a digit', '5 = 5', 'syntax'],
    ['two equals signs', 'a == 5', 'syntax'],
    ['brackets straight after the name', 'a(5)', 'syntax'],
    ['no value', 'a', 'missingValue'],
    ['no value after the equals sign', 'a =', 'missingValue'],
    ['only a comment after the equals sign', 'a = # 5', 'missingValue'],
    ['no closing quote', "a = 'b", 'unterminatedQuote'],
    ['no closing quote after a doubled one', "a = 'b''", 'unterminatedQuote'],
    ['no closing quote after an escaped one', "a = 'b\\'", 'unterminatedQuote'],
    ['text after a quoted value', "a = 'b' c", 'textAfterValue'],
    ['text straight after a quoted value', "a = 'b'c", 'textAfterValue'],
    ['two bare words', 'a = b c', 'textAfterValue'],
    ['a quote inside a bare word', "a = b'c'", 'textAfterValue'],
    ['two settings', "backend_host0='host0' backend_port0=5432", 'textAfterValue'],
    ['double quotes', 'a = "b"', 'doubleQuote'],
    ['double quotes inside a bare word', 'a = b"c"', 'doubleQuote'],
    ['a comma outside quotes', 'a = b,c', 'unquotedComma'],
    ['a control character', 'a = b\fc', 'controlCharacter'],
    ['an include directive', "include 'other.conf'", 'includeDirective'],
    ['an include_if_exists directive', "Include_If_Exists 'other.conf'", 'includeDirective'],
    ['an include_dir directive', "include_dir = 'conf.d'", 'includeDirective'],
    ['a NUL byte', 'a = b\0', 'nulByte'],
    ['bytes outside UTF-8', "a = 'b\ufffd'", 'notUtf8'],
    ['an octal escape that is no UTF-8', "a = '\\377'", 'notUtf8'],
    ['too many characters', `a = ${'b'.repeat(MAX_LINE_CHARACTERS)}`, 'lineTooLong'],
  ];
  for (const [what, text, expected] of wrong) {
    it(`must not have ${what}, and the others are still read`, () => {
      assert.deepEqual(problems(`x = 1\n${text}\ny = 2\n`), [`${expected}@2`]);
      assert.deepEqual(settings(`x = 1\n${text}\ny = 2\n`), ['x=1@1', 'y=2@3']);
    });
  }

  it('is a comment or empty as often as one likes', () => {
    assert.deepEqual(parseConfig("# a\n\n \t\r\n  # b = 'c\n#\ufffd\0"), {
      entries: [],
      problems: [],
      lastLine: 5,
    });
  });

  it('may lack its newline at the end of the file', () => {
    assert.deepEqual(settings('a = 1\nb = 2'), ['a=1@1', 'b=2@2']);
    assert.equal(parseConfig('a = 1\nb = 2').lastLine, 2);
    assert.equal(parseConfig('a = 1\nb = 2\n').lastLine, 2);
    assert.equal(parseConfig('').lastLine, 1);
  });

  it('keeps the name as written beside the one in lower case', () => {
    assert.equal(parseConfig('Max_Lag = 1').entries[0]?.written, 'Max_Lag');
  });
});

describe('a text of conmgr.conf', () => {
  it('may begin with a byte order mark', () => assert.deepEqual(settings('\ufeffport = 5'), ['port=5@1']));

  it('is not read when it is too large', () => {
    assert.deepEqual(problems('#'.repeat(MAX_FILE_CHARACTERS + 1)), ['fileTooLarge@1']);
    assert.deepEqual(problems(`${'#\n'.repeat(MAX_FILE_CHARACTERS / 2)}`), []);
  });

  it('is given up after a hundred errors', () => {
    const found = problems('?\n'.repeat(MAX_SYNTAX_ERRORS + 50));
    assert.equal(found.length, MAX_SYNTAX_ERRORS + 1);
    assert.equal(found.at(-1), `tooManyErrors@${MAX_SYNTAX_ERRORS + 1}`);
  });

  it('never makes the parser throw, nor a problem or setting outside its lines', () => {
    const piece = fc.constantFrom(
      'a',
      '=',
      "'",
      "''",
      '\\',
      '#',
      ' ',
      '\t',
      '\n',
      '\r',
      '"',
      ',',
      '\0',
      '5',
      '.',
      '\\777',
      '\ufffd',
    );
    const text = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.array(piece, { maxLength: 40 }).map((all) => all.join('')),
    );
    fc.assert(
      fc.property(text, (content) => {
        const { entries, problems: found, lastLine } = parseConfig(content);
        const lines = content.split('\n').length;
        for (const { line } of [...entries, ...found]) assert.ok(line >= 1 && line <= lines);
        assert.ok(lastLine >= 1 && lastLine <= lines);
        assert.equal(
          new Set([...entries, ...found].map(({ line }) => line)).size,
          entries.length + found.length,
        );
      }),
      { numRuns: 2000 },
    );
  });

  it('reads back any value that quoteValue wrote', () => {
    const value = fc.string({ unit: 'grapheme', maxLength: 30 }).filter((text) => !/[\0\ufffd]/.test(text));
    fc.assert(
      fc.property(
        fc.oneof(value, fc.constantFrom("'", '\\', "\\'", "a'b''c\\", ' ', '#', '\n', '\x7f')),
        (text) => {
          assert.deepEqual(settings(`name = ${quoteValue(text)}`), [`name=${text}@1`]);
          assert.deepEqual(settings(`name ${quoteValue(text)} # comment`), [`name=${text}@1`]);
        },
      ),
      { numRuns: 1000 },
    );
  });
});

it('letters outside ASCII keep their case: the Kelvin sign is no k', () => {
  assert.equal(foldCase('Bac\u212AEND'), 'bac\u212Aend');
});
