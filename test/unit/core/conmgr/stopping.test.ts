import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { CoreStopMode } from '../../../../src/core/conmgr/core.js';
import { configOf, kinds, linkedCore, runOn } from './linked-core.js';

describe('a reload while conmgr ends', () => {
  for (const mode of ['fast', 'restart'] as const satisfies readonly CoreStopMode[]) {
    it(`${mode}: adds no instance, and the end comes`, () => {
      const core = linkedCore(0);
      assert.ok(!kinds(core.stop(mode, 1000)).includes('exit'));
      const effects = core.reconfigure(configOf(0, 1), 1001);
      assert.ok(!kinds(effects).includes('resolve'));
      assert.ok(kinds(runOn(core, 3000)).includes('exit'));
    });
  }

  it('that changes the address of an instance links to no other, and the end comes', () => {
    const core = linkedCore(0);
    core.stop('fast', 1000);
    const [instance] = configOf(0).instances;
    assert.ok(instance !== undefined);
    core.reconfigure({ ...configOf(0), instances: [{ ...instance, hostaddr: '127.0.0.9' }] }, 1001);
    const effects = runOn(core, 3000);
    assert.ok(!kinds(effects).includes('resolve'));
    assert.ok(kinds(effects).includes('exit'));
  });
});
