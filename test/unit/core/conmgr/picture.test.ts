import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { ConmgrCore } from '../../../../src/core/conmgr/core.js';
import { configOf, kinds, linkedCore, PRIMARY, tell } from './linked-core.js';

/** The watchdog of an instance beats at `now`; it echoes beat `echoSeq`, or none with 0. */
function beat(core: ConmgrCore, number: number, echoSeq: number, now: number) {
  const message = { name: 'beat', seq: 1, echoSeq, echoDelayUs: 0, attrVersion: 1 } as const;
  return core.link(number, { type: 'received', message }, now);
}

describe('the picture that conmgr has of its instances', () => {
  it('is the same one while packets tell nothing new', () => {
    const core = linkedCore(0, 1);
    tell(core, 0, PRIMARY, 1);
    const { view } = core;
    assert.deepEqual(kinds(beat(core, 0, 0, 2)), []);
    assert.equal(core.view, view);
  });

  it('has the round trip that was measured last, which is no change of it', () => {
    const core = linkedCore(0, 1);
    tell(core, 1, PRIMARY, 1);
    for (const now of [7, 9, 9]) {
      const before = core.viewNumber;
      assert.deepEqual(kinds(beat(core, 1, 1, now)), []);
      assert.deepEqual(
        core.view.members.map(({ rttMs }) => rttMs),
        [undefined, now],
      );
      assert.deepEqual([core.view.primary, core.viewNumber], [1, before]);
    }
  });

  it('has the instances that a reload leaves, adds or lets go', () => {
    const core = linkedCore(0, 1);
    tell(core, 0, PRIMARY, 1);
    for (const numbers of [[1], [1, 2], [0, 2]]) {
      core.reconfigure(configOf(...numbers), 2);
      assert.deepEqual(
        core.view.members.map(({ number }) => number),
        numbers,
      );
    }
  });

  it('is drawn anew when the cluster is to be learned afresh', () => {
    const core = linkedCore(0, 1);
    tell(core, 0, PRIMARY, 1);
    tell(core, 1, { ...PRIMARY, systemIdentifier: 2n }, 1);
    const foreign = () => core.view.members.map((one) => one.foreign);
    assert.deepEqual(foreign(), [false, true]);
    tell(core, 0, { ...PRIMARY, version: 2, systemIdentifier: 2n }, 2);
    assert.deepEqual(foreign(), [true, true]);
    core.forgetCluster(3);
    assert.deepEqual(foreign(), [false, false]);
  });
});
