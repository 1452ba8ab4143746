import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { ConmgrCore } from '../../../../src/core/conmgr/core.js';
import { linkedCore, OTHER_ID, PRIMARY, runOn, tell, toldTo, WELCOME, WRITER } from './linked-core.js';

const OURS = '127.0.0.1';
const OTHER = '192.0.2.1';

/** The link to OURS has closed, the postmaster there answers, and the name now leads to OTHER first. */
function unmonitoredCore(): ConmgrCore {
  const core = linkedCore(0);
  tell(core, 0, PRIMARY, 0);
  core.link(0, { type: 'closed', text: 'connection closed by peer' }, 1000);
  core.probed(0, true, '', 1001);
  runOn(core, 2001);
  core.link(0, { type: 'resolved', addresses: [OTHER, OURS] }, 2001);
  const [instance] = core.instances;
  assert.deepEqual([instance?.link.phase, instance?.health.phase], ['connecting', 'unmonitored']);
  assert.equal(instance?.link.data.address, OTHER);
  return core;
}

/** The connection that is being tried is made and welcomed. */
function welcomed(core: ConmgrCore, bootId: string, now: number): void {
  core.link(0, { type: 'connected' }, now);
  core.link(0, { type: 'received', message: { ...WELCOME, bootId } }, now);
}

describe('the address of an instance whose link is being set up again', () => {
  it('is the last one that worked, for applications and for probes, not the one that is being tried', () => {
    const core = unmonitoredCore();
    assert.equal(core.instances[0]?.address, OURS);
    const [, told] = toldTo(1, core.ask(1, WRITER, 2002));
    assert.ok(told?.kind === 'candidates');
    assert.deepEqual(
      told.candidates.map(({ hostaddr }) => hostaddr),
      [OURS],
    );
  });
});

describe('a name with several addresses may be several hosts of one cluster', () => {
  it('while sessions stay because the postmaster answers, the watchdog of another host is not taken for theirs', () => {
    const core = unmonitoredCore();
    welcomed(core, OTHER_ID, 2002);
    const link = core.instances[0]?.link;
    assert.deepEqual([link?.phase, link?.data.address], ['connecting', OURS]);
    welcomed(core, OTHER_ID, 2003);
    assert.deepEqual([core.instances[0]?.link.phase, core.instances[0]?.address], ['up', OURS]);
  });

  it('the same watchdog is taken at any address', () => {
    const core = unmonitoredCore();
    welcomed(core, WELCOME.bootId, 2002);
    assert.deepEqual([core.instances[0]?.link.phase, core.instances[0]?.address], ['up', OTHER]);
  });

  it('once the instance is lost any address will do', () => {
    const core = unmonitoredCore();
    const state = (): readonly unknown[] =>
      core.instances.map(({ health, link }) => `${health.phase} ${link.phase}`);
    while (state()[0] !== 'lost resolving') core.wake(core.wakeAt());
    core.link(0, { type: 'resolved', addresses: [OTHER] }, 30_000);
    welcomed(core, OTHER_ID, 30_001);
    assert.deepEqual([core.instances[0]?.link.phase, core.instances[0]?.address], ['up', OTHER]);
  });
});
