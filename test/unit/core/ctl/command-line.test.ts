import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { conmgrArguments, directoryOf, unitOf } from '../../../../src/core/ctl/command-line.js';

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
    assert.equal(directoryOf(['-D', '/a', '-D/b']), '/b');
    assert.equal(directoryOf(['-V']), undefined);
    assert.equal(directoryOf(['-D']), undefined);
  });
});

describe('unitOf', () => {
  it('finds the service in a control group path of version 1 and 2', () => {
    assert.equal(unitOf('0::/system.slice/system-conmgr.slice/conmgr@app1.service\n'), 'conmgr@app1.service');
    assert.equal(
      unitOf('12:pids:/x\n1:name=systemd:/user.slice/conmgr@srv-a\\x2db.service/sub\n'),
      'conmgr@srv-a\\x2db.service',
    );
    assert.equal(unitOf('0::/user.slice/session-1.scope\n'), undefined);
  });
});
