import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { takeStoredDescriptors } from '../../../src/io/stored-descriptors.js';

describe('descriptors that systemd passes', () => {
  it('begin at 3 and have the names by which they were stored', () => {
    const env = { LISTEN_PID: '42', LISTEN_FDS: '3', LISTEN_FDNAMES: 'port:state:', PATH: '/bin' };
    assert.deepEqual(takeStoredDescriptors(env, 42), [
      { fd: 3, name: 'port' },
      { fd: 4, name: 'state' },
      { fd: 5, name: '' },
    ]);
    assert.deepEqual(env, { PATH: '/bin' }, 'no child sees them');
  });

  for (const [what, env] of [
    ['for another process', { LISTEN_PID: '43', LISTEN_FDS: '1' }],
    ['of nobody', { LISTEN_FDS: '1' }],
    ['without a number', { LISTEN_PID: '42', LISTEN_FDS: 'many' }],
    ['that are none', { LISTEN_PID: '42', LISTEN_FDS: '0' }],
    ['that are fewer than none', { LISTEN_PID: '42', LISTEN_FDS: '-1' }],
  ] as const) {
    it(`${what} are not taken, and are named to no child either`, () => {
      const given: NodeJS.ProcessEnv = { ...env };
      assert.deepEqual(takeStoredDescriptors(given, 42), []);
      assert.deepEqual(given, {});
    });
  }
});
