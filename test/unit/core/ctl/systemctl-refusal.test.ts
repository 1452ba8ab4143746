import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Refusal, reasonIn, refusalIn } from '../../../../src/core/ctl/systemctl-refusal.js';

/** As systemctl of systemd 239, 252 and 257 says it. */
const SAID: readonly (readonly [Refusal, string])[] = [
  ['denied', 'Failed to start conmgr@a.service: Access denied'],
  [
    'denied',
    "Failed to start conmgr@a.service: Interactive authentication required.\nSee system logs and 'systemctl status conmgr@a.service' for details.",
  ],
  ['denied', 'Failed to connect to system scope bus via local transport: Permission denied'],
  ['unreachable', 'Failed to connect to bus: No medium found'],
  ['unreachable', 'Failed to connect to bus: No such file or directory'],
  ['unreachable', 'Failed to connect to user scope bus via local transport: No such file or directory'],
  ['missing', 'Failed to start conmgr@a.service: Unit conmgr@a.service not found.'],
  ['masked', 'Failed to start conmgr@a.service: Unit conmgr@a.service is masked.'],
  ['cancelled', 'Job for conmgr@a.service canceled.'],
  ['dependency', "A dependency job for conmgr@a.service failed. See 'journalctl -xe' for details."],
  [
    'too often',
    'Job for conmgr@a.service failed because start of the service was attempted too often.\nSee "systemctl status conmgr@a.service" and "journalctl -xeu conmgr@a.service" for details.\nTo force a start use "systemctl reset-failed conmgr@a.service"\nfollowed by "systemctl start conmgr@a.service" again.',
  ],
  [
    'failed',
    'Job for conmgr@a.service failed because the control process exited with error code.\nSee "systemctl status conmgr@a.service" and "journalctl -xeu conmgr@a.service" for details.',
  ],
  ['failed', 'Job for conmgr@a.service failed because a timeout was exceeded.'],
  ['other', 'Failed to start conmgr@a.service: Unit conmgr@a.service has a bad unit file setting.'],
  ['other', ''],
];

describe('why systemctl did not do it', () => {
  for (const [refusal, text] of SAID) {
    it(`is "${refusal}" when it says "${text.split('\n')[0]}"`, () => assert.equal(refusalIn(text), refusal));
  }

  it('is said without the words that every refusal begins with', () => {
    const text = 'Failed to start conmgr@a.service: Unit x.service not found.\nSee more.';
    assert.equal(reasonIn(text), 'Unit x.service not found');
    assert.equal(reasonIn('Failed to connect to bus: No medium found'), 'No medium found');
  });
});
