import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { INSTANCE_PARAMETERS, LISTENER_PARAMETERS } from '../../../../src/core/config/instance-spec.js';
import { defaultValue, type Parameter, type ParameterTable } from '../../../../src/core/config/parameter.js';
import { CONMGR_PARAMETERS } from '../../../../src/core/config/spec.js';
import { WATCHDOG_PARAMETERS } from '../../../../src/core/config/watchdog-spec.js';
import { CONFIG_MESSAGES } from '../../../../src/core/messages/config.js';

const TABLES: Readonly<Record<string, ParameterTable<never>>> = {
  'of an instance': INSTANCE_PARAMETERS,
  'of a listener': LISTENER_PARAMETERS,
  'of conmgr': CONMGR_PARAMETERS,
  'of the watchdog': WATCHDOG_PARAMETERS,
};

for (const [whose, table] of Object.entries(TABLES)) {
  describe(`every parameter ${whose}`, () => {
    for (const [name, row] of Object.entries<Parameter<unknown, never>>(table)) {
      it(`has a default that can be read, a place in the configuration and a doc text: ${name}`, () => {
        if (row.default === undefined)
          assert.ok(row.otherwise ?? row.example ?? row.availability === 'later');
        else assert.notEqual(defaultValue(row), undefined);
        if (row.availability === 'now') assert.ok(row.of);
        assert.match(row.doc, /^[A-Z].*\.$/s);
        assert.equal(name, name.toLowerCase());
        if (row.example !== undefined) assert.ok(row.type.parse(row.example).ok);
      });
    }
  });
}

describe('every message about configuration', () => {
  it('has a code of its own between CM1000 and CM1099', () => {
    const codes = Object.values(CONFIG_MESSAGES).map(({ code }) => code);
    assert.equal(new Set(codes).size, codes.length);
    for (const code of codes) assert.match(code, /^CM10[0-9]{2}$/);
  });

  it('says why and what to do, and is never held back', () => {
    for (const [name, { text, cause, cure, everyMs }] of Object.entries(CONFIG_MESSAGES)) {
      assert.doesNotMatch(text, /\.$/, name);
      assert.match(cause, /^(?:[A-Z"]|backend_).*\.$/s, name);
      assert.match(cure, /^[A-Z].*\.$/s, name);
      assert.equal(everyMs, 0, name);
    }
  });
});
