import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { parseProperties, parseUnitFiles, parseUnits } from '../../../../src/core/ctl/systemctl-output.js';

describe('what systemctl show prints', () => {
  it('is a value for each name, which may be empty and may have equals signs', () => {
    const text = 'MainPID=12\nStatusText=port = 1\nDropInPaths=\n';
    assert.deepEqual(parseProperties(text), { MainPID: '12', StatusText: 'port = 1', DropInPaths: '' });
  });
});

describe('what systemctl list-units prints', () => {
  const LINE = 'conmgr@a\\x2db.service loaded activating auto-restart Connection manager for PostgreSQL, a/b';
  const unit = {
    unit: 'conmgr@a\\x2db.service',
    load: 'loaded',
    active: 'activating',
    sub: 'auto-restart',
  };

  it('is a unit a line, whatever stands around it', () => {
    assert.deepEqual(parseUnits(`${LINE}\n\n  ${LINE}   \n`), [unit, unit]);
  });

  for (const mark of ['●', '*', '○', '↻', '×']) {
    it(`may have the mark ${mark} in front`, () => assert.deepEqual(parseUnits(`${mark} ${LINE}`), [unit]));
  }

  it('is never misread as something that throws', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => parseUnits(text).length >= 0));
  });
});

describe('what systemctl list-unit-files prints', () => {
  it('names the instances; the template is none', () => {
    const text = 'conmgr@.service        disabled disabled\nconmgr@app1.service    enabled  disabled\n\n';
    assert.deepEqual(parseUnitFiles(text), ['conmgr@app1.service']);
  });
});
