import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { journalCommand, unitWords, unmaskCommand } from '../../../../src/core/ctl/unit-words.js';

describe('a unit on the command line of systemctl', () => {
  it('has no suffix, quotes where the shell needs them, and the option of a user', () => {
    assert.equal(unitWords('system', 'conmgr@app1.service'), 'conmgr@app1');
    assert.equal(unitWords('user', 'conmgr@my\\x2dapp.service'), "--user 'conmgr@my\\x2dapp'");
  });

  it('has its journal shown by journalctl of the same manager', () => {
    assert.equal(journalCommand('system', 'conmgr@app1.service'), 'journalctl -u conmgr@app1');
    assert.equal(journalCommand('user', 'conmgr@app1.service'), 'journalctl --user -u conmgr@app1');
  });
});

describe('what undoes a mask', () => {
  const UNIT = 'conmgr@app1.service';
  const CASES = [
    ['system', '', 'systemctl unmask conmgr@app1'],
    ['system', `/etc/systemd/system/${UNIT}`, 'systemctl unmask conmgr@app1'],
    ['system', `/run/systemd/system/${UNIT}`, 'systemctl unmask --runtime conmgr@app1'],
    ['system', '/etc/systemd/system/conmgr@.service', 'systemctl unmask conmgr@.service'],
    ['user', '/srv/alice/.config/systemd/user/conmgr@app1.service', 'systemctl --user unmask conmgr@app1'],
    ['user', `/run/user/1000/systemd/user/${UNIT}`, 'systemctl --user unmask --runtime conmgr@app1'],
    ['user', '/etc/systemd/user/conmgr@.service', 'systemctl --global unmask conmgr@.service'],
  ] as const;
  for (const [scope, file, command] of CASES) {
    it(`of the ${scope} at "${file}" is ${command}`, () =>
      assert.equal(unmaskCommand(scope, UNIT, file), command));
  }
});
