import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { TARGETS } from '../../../../src/core/cluster/target-session.js';
import { type Ask, encodeAsk, MAX_ASK_BYTES, parseAsk } from '../../../../src/core/protocol/ask.js';

const instances = fc.array(fc.integer({ min: 0, max: 65_535 }), { maxLength: 64 });
const ask: fc.Arbitrary<Ask> = fc.record({
  target: fc.constantFrom(...TARGETS),
  prefer: instances,
  exclude: instances,
  attach: fc.option(fc.integer({ min: 0, max: 65_535 }), { nil: undefined }),
  ping: fc.boolean(),
  app: fc.string({ unit: 'grapheme', maxLength: 40 }),
});

function refusalOf(text: string) {
  const parsed = parseAsk(text);
  assert.ok('refusal' in parsed, `"${text}" was taken`);
  return parsed.refusal;
}

function askOf(text: string): Ask {
  const parsed = parseAsk(text);
  assert.ok('ask' in parsed, `"${text}" was refused`);
  return parsed.ask;
}

describe('the question of the first phase', () => {
  it('says the same after encoding and parsing, its application name cut to 20 characters', () => {
    fc.assert(
      fc.property(ask, (given) => {
        const text = encodeAsk(given);
        assert.ok(
          Buffer.byteLength(text) <= MAX_ASK_BYTES || given.prefer.length + given.exclude.length > 100,
        );
        if (Buffer.byteLength(text) > MAX_ASK_BYTES) return;
        assert.deepEqual(askOf(text), { ...given, app: [...given.app].slice(0, 20).join('') });
      }),
    );
  });

  it('is printable ASCII without blanks in a value, whatever the application is called', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (app) => {
        const text = encodeAsk({
          target: 'any',
          prefer: [],
          exclude: [],
          attach: undefined,
          ping: false,
          app,
        });
        assert.match(text, /^1 target_session_attrs=any( app=[\x21-\x7e]+)?$/);
      }),
    );
  });

  it('can be asked by an application whose name is broken UTF-16', () => {
    const text = encodeAsk({
      target: 'any',
      prefer: [],
      exclude: [],
      attach: undefined,
      ping: false,
      app: 'a\ud800b',
    });
    assert.equal(askOf(text).app, 'a\ufffdb');
  });

  it('is never an exception, whatever stands there', () => {
    const words = fc.constantFrom(
      '1',
      ' ',
      'prefer=',
      'exclude=',
      'attach=',
      '!',
      '%',
      ',',
      '9',
      'ping=1',
      '=',
      'x',
    );
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.array(words).map((parts) => parts.join('')),
        ),
        (text) => {
          const parsed = parseAsk(text);
          assert.ok('ask' in parsed || parsed.refusal.message.startsWith('conmgr: '));
        },
      ),
    );
  });

  it('asks for any when target_session_attrs is left out', () => {
    assert.equal(askOf('1').target, 'any');
  });

  it('ignores a key it does not know, and refuses it with 0A000 behind "!"', () => {
    assert.equal(askOf('1 color=blue target_session_attrs=standby').target, 'standby');
    assert.equal(refusalOf('1 !color=blue').sqlState, '0A000');
  });

  it('takes a known key behind "!"', () => {
    assert.equal(askOf('1 !attach=3').attach, 3);
  });

  it('takes a higher version with the keys it knows', () => {
    assert.equal(askOf('7 target_session_attrs=primary').target, 'primary');
  });

  it('refuses a wrong value with 22023 and names the key', () => {
    for (const wrong of [
      'prefer=1,x',
      'attach=1,2',
      'attach=',
      'ping=yes',
      'exclude=65536',
      'target_session_attrs=best',
    ]) {
      const { sqlState, message } = refusalOf(`1 ${wrong}`);
      assert.equal(sqlState, '22023', wrong);
      assert.ok(message.includes(wrong.slice(0, wrong.indexOf('='))), message);
    }
  });

  it('refuses preferPrimary, which cannot be used with a connection manager', () => {
    assert.match(refusalOf('1 target_session_attrs=preferPrimary').detail, /connection manager/);
  });

  it('refuses what is no question at all with 08P01', () => {
    const long = `1 app=${'a'.repeat(MAX_ASK_BYTES)}`;
    for (const malformed of [
      '',
      'x',
      '0',
      '1  ping=1',
      '1 ping',
      '1 ping=1 ',
      '1 app=%zz',
      '1 Ping=1',
      long,
    ]) {
      assert.equal(refusalOf(malformed).sqlState, '08P01', malformed.slice(0, 20));
    }
  });

  it('is not fooled by the names of built-in properties', () => {
    assert.equal(refusalOf('1 !constructor=1').sqlState, '0A000');
    assert.equal(askOf('1 __proto__=1').target, 'any');
  });
});
