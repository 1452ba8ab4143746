import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import {
  fitsUnitFile,
  isOwnDropIn,
  limitsDropIn,
  type Registrar,
  serviceDropIn,
} from '../../../../src/core/ctl/drop-in.js';

const REGISTRAR: Registrar = { mode: 'register', unit: 'conmgr@app1.service', scope: 'system' };

/** Words of a value as systemd splits it, specifiers resolved (systemd.syntax(7), "Quoting"; systemd.unit(5)). */
function wordsOf(value: string): string[] {
  const words: string[] = [];
  let word: string | undefined;
  let quoted = false;
  for (let at = 0; at < value.length; at += 1) {
    const character = value[at] ?? '';
    if (character === '\\') {
      at += 1;
      word = (word ?? '') + (value[at] ?? '');
    } else if (character === '"') {
      quoted = !quoted;
      word ??= '';
    } else if (!quoted && /\s/.test(character)) {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else {
      assert.ok(quoted || character !== "'", 'a quote that stands alone begins a quotation');
      word = (word ?? '') + character;
    }
  }
  assert.ok(!quoted, value);
  if (word !== undefined) words.push(word);
  return words.map((one) => {
    assert.doesNotMatch(one.replaceAll('%%', ''), /%/, 'a single percent sign is a specifier');
    return one.replaceAll('%%', '%');
  });
}

describe('drop-ins', () => {
  it('say who wrote them, and hold the user and what may be written', () => {
    assert.equal(
      serviceDropIn(REGISTRAR, { user: 'alice', writable: ['/srv/app1'] }),
      [
        '# Written by "cm_ctl register", which may change it; "cm_ctl unregister" removes it.',
        '# Settings of your own belong into another file: systemctl edit conmgr@app1.service',
        '[Unit]',
        'RequiresMountsFor=/srv/app1',
        '[Service]',
        'User=alice',
        'ReadWritePaths=-/srv/app1',
        '',
      ].join('\n'),
    );
  });

  it('ask nothing to be mounted of the manager of a user', () => {
    const text = serviceDropIn({ ...REGISTRAR, scope: 'user' }, { user: undefined, writable: ['/srv/app1'] });
    assert.doesNotMatch(text ?? '', /Mounts/);
  });

  it('are not needed where the template will do', () => {
    assert.equal(serviceDropIn(REGISTRAR, { user: undefined, writable: [] }), undefined);
  });

  it('show how the figure came about', () => {
    const text = limitsDropIn(REGISTRAR, { figure: 30011, formula: '9 + 30002 = 30011' });
    assert.match(text, /\[Service\]\n# 9 \+ 30002 = 30011\nLimitNOFILE=30011\n$/);
  });

  it('name the command for the manager of a user, in words for a shell', () => {
    const text = serviceDropIn(
      { mode: 'watchdog register', unit: 'conmgr-watchdog@15-my\\x2dcl.service', scope: 'user' },
      { user: 'u', writable: [] },
    );
    assert.match(text ?? '', /"cm_ctl watchdog unregister" removes it/);
    assert.match(text ?? '', /systemctl --user edit 'conmgr-watchdog@15-my\\x2dcl\.service'\n/);
  });

  it('are recognised, and those of others are not', () => {
    assert.ok(isOwnDropIn(serviceDropIn(REGISTRAR, { user: 'u', writable: [] }) ?? ''));
    assert.ok(isOwnDropIn(limitsDropIn(REGISTRAR, { figure: 1, formula: '' })));
    assert.ok(!isOwnDropIn('[Service]\nUser=u\n'));
    assert.ok(!isOwnDropIn(''));
  });

  it('give back every path that fits: blanks, quotes, backslashes and percent signs', () => {
    const path = fc
      .string({ unit: fc.constantFrom('a', ' ', '"', "'", '\\', '%', ';', '#', 'ü', '/', '$'), minLength: 1 })
      .map((text) => `/${text}`);
    fc.assert(
      fc.property(fc.array(path, { minLength: 1, maxLength: 3 }), (writable) => {
        assert.ok(writable.every(fitsUnitFile));
        const text = serviceDropIn(REGISTRAR, { user: undefined, writable }) ?? '';
        const [, , , mounts = '', , places = '', ...rest] = text.split('\n');
        assert.deepEqual(rest, ['']);
        assert.deepEqual(wordsOf(mounts.replace(/^RequiresMountsFor=/, '')), writable);
        assert.deepEqual(
          wordsOf(places.replace(/^ReadWritePaths=/, '')),
          writable.map((one) => `-${one}`),
        );
      }),
    );
  });

  it('cannot hold a path with a line end', () => {
    for (const path of ['/a\nb', '/a\rb', '/a\u0000', '/a\u007f']) assert.ok(!fitsUnitFile(path));
    assert.ok(fitsUnitFile('/srv/my app'));
  });
});
