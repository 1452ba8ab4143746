import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { resolveConmgrConfig } from '../../../../src/core/config/resolve.js';
import type { ConmgrConfig } from '../../../../src/core/config/types.js';
import { ConmgrCore, type CoreStopMode } from '../../../../src/core/conmgr/core.js';
import type { ConmgrEffect } from '../../../../src/core/conmgr/effects.js';
import { NEVER } from '../../../../src/core/time.js';

const ID = '0123456789abcdef0123456789abcdef';

/** A configuration with one instance for each number. */
function configOf(...numbers: readonly number[]): ConmgrConfig {
  const { config } = resolveConmgrConfig(
    numbers.map((n) => `backend_hostaddr${n} = 127.0.0.${n + 1}\n`).join(''),
  );
  assert.ok(config !== undefined);
  return config;
}

/** A core whose link to instance 0 is up. */
function linkedCore(): ConmgrCore {
  const identity = { conmgrId: ID, bootId: ID, software: 'conmgr 1', label: 'test' };
  const core = new ConmgrCore(configOf(0), { identity, random: () => 0 });
  core.start(0);
  core.link(0, { type: 'resolved', addresses: ['127.0.0.1'] }, 0);
  core.link(0, { type: 'connected' }, 0);
  const welcome = {
    name: 'welcome',
    version: 1,
    intervalMs: 10_000,
    timeoutMs: 20_000,
    restartGraceMs: 10_000,
    bootId: ID,
    systemIdentifier: 1n,
    maxFrame: 4096,
    software: '',
  } as const;
  core.link(0, { type: 'received', message: welcome }, 0);
  assert.equal(core.instances[0]?.link.phase, 'up');
  return core;
}

/** Calls wake whenever something is due, as the shell does, until nothing is or `until` has come. */
function runOn(core: ConmgrCore, until: number): readonly ConmgrEffect[] {
  const effects: ConmgrEffect[] = [];
  for (let at = core.wakeAt(); at !== NEVER && at <= until; at = core.wakeAt())
    effects.push(...core.wake(at));
  return effects;
}

const kinds = (effects: readonly ConmgrEffect[]): readonly string[] => effects.map((effect) => effect.do);

describe('a reload while conmgr ends', () => {
  for (const mode of ['fast', 'restart'] as const satisfies readonly CoreStopMode[]) {
    it(`${mode}: adds no instance, and the end comes`, () => {
      const core = linkedCore();
      assert.ok(!kinds(core.stop(mode, 1000)).includes('exit'));
      const effects = core.reconfigure(configOf(0, 1), 1001);
      assert.ok(!kinds(effects).includes('resolve'));
      assert.ok(kinds(runOn(core, 3000)).includes('exit'));
    });
  }

  it('that changes the address of an instance links to no other, and the end comes', () => {
    const core = linkedCore();
    core.stop('fast', 1000);
    const [instance] = configOf(0).instances;
    assert.ok(instance !== undefined);
    core.reconfigure({ ...configOf(0), instances: [{ ...instance, hostaddr: '127.0.0.9' }] }, 1001);
    const effects = runOn(core, 3000);
    assert.ok(!kinds(effects).includes('resolve'));
    assert.ok(kinds(effects).includes('exit'));
  });
});
