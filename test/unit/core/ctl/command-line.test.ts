import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { conmgrArguments, directoryOf } from '../../../../src/core/ctl/command-line.js';

describe('conmgrArguments', () => {
  const CONMGR: readonly (readonly [string, readonly string[]])[] = [
    ['/usr/bin/conmgr -D /d', ['-D', '/d']],
    ['conmgr', []],
    ['/usr/bin/node /usr/share/conmgr/conmgr.js -D /d', ['-D', '/d']],
    ['node --enable-source-maps -r ./x.js /opt/conmgr -D/d', ['-D/d']],
    ['/usr/bin/nodejs /usr/bin/conmgr', []],
  ];
  for (const [line, words] of CONMGR) {
    it(`knows "${line}"`, () => assert.deepEqual(conmgrArguments(line.split(' ')), words));
  }
  for (const line of [
    '',
    'node',
    'node server.js conmgr',
    'vi conmgr',
    '/usr/bin/conmgr-watchdog -D /p',
    'node /usr/share/conmgr/cm_ctl.js start',
    'bash /usr/bin/conmgr',
  ]) {
    it(`does not take "${line}" for one`, () => assert.equal(conmgrArguments(line.split(' ')), undefined));
  }
});

describe('directoryOf', () => {
  it('takes the last -D, apart or attached', () => {
    assert.deepEqual(directoryOf(['-D', '/a', '-D/b']), { by: 'path', path: '/b' });
    assert.equal(directoryOf(['-V']), undefined);
    assert.equal(directoryOf(['-D']), undefined);
  });

  it('takes the instance name of a unit, and whose it is', () => {
    assert.deepEqual(directoryOf(['--unit', 'app1']), { by: 'unit', unit: 'app1', user: false });
    assert.deepEqual(directoryOf(['--unit', 'srv-app', '--user']), {
      by: 'unit',
      unit: 'srv-app',
      user: true,
    });
    assert.equal(directoryOf(['--unit']), undefined);
  });
});
