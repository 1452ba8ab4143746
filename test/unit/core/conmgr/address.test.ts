import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { linkedCore, PRIMARY, runOn, tell, toldTo, WRITER } from './linked-core.js';

describe('the address of an instance whose link is being set up again', () => {
  it('is the last one that worked, for applications and for probes, not the one that is being tried', () => {
    const core = linkedCore(0);
    tell(core, 0, PRIMARY, 0);
    core.link(0, { type: 'closed', text: 'connection closed by peer' }, 1000);
    core.probed(0, true, '', 1001);
    runOn(core, 2001);
    assert.equal(core.instances[0]?.link.phase, 'resolving');
    core.link(0, { type: 'resolved', addresses: ['192.0.2.1', '127.0.0.1'] }, 2001);
    const [instance] = core.instances;
    assert.deepEqual([instance?.link.phase, instance?.health.phase], ['connecting', 'unmonitored']);
    assert.equal(instance?.link.data.address, '192.0.2.1');
    assert.equal(instance?.address, '127.0.0.1');
    const [, told] = toldTo(1, core.ask(1, WRITER, 2002));
    assert.ok(told?.kind === 'candidates');
    assert.deepEqual(
      told.candidates.map(({ hostaddr }) => hostaddr),
      ['127.0.0.1'],
    );
  });
});
