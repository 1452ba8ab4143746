import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { resolveConmgrConfig } from '../../../../src/core/config/resolve.js';
import { attributeBits } from '../../../../src/core/protocol/attributes.js';
import { kinds, linkedCore, PRIMARY, tell, WRITER } from './linked-core.js';

describe('what status shows', () => {
  it('is said to have changed when only the timeline is another', () => {
    const core = linkedCore(0);
    tell(core, 0, PRIMARY, 1);
    assert.ok(kinds(tell(core, 0, { ...PRIMARY, version: 2, timeline: 2 }, 2)).includes('changed'));
  });

  it('is not said to have changed when only the position moved', () => {
    const core = linkedCore(0);
    tell(core, 0, PRIMARY, 1);
    assert.ok(!kinds(tell(core, 0, { ...PRIMARY, version: 2, position: 2n }, 2)).includes('changed'));
  });
});

describe('what the kernel is to do', () => {
  const LISTENERS =
    'listener_port0 = 1\nlistener_target_session_attrs0 = primary\nlistener_port1 = 2\nlistener_target_session_attrs1 = standby\n';
  const STANDBY = { ...PRIMARY, bits: attributeBits('accepting', 'standby', 'readOnlyByRecovery') };

  /** Instances 0 and 1 with these listeners; routes as numbers of instances, by listener. */
  const setUp = (more = '') => {
    const core = linkedCore(0, 1);
    const { config } = resolveConmgrConfig(
      `backend_hostaddr0 = 127.0.0.1\nbackend_hostaddr1 = 127.0.0.2\n${LISTENERS}${more}`,
    );
    assert.ok(config);
    core.reconfigure(config, 0);
    tell(core, 0, PRIMARY, 1);
    tell(core, 1, STANDBY, 1);
    const routes = () =>
      core.kernelWishes().routes.map(({ destinations }) => destinations.map(({ instance }) => instance));
    const misplaced = () => core.kernelWishes().misplaced.map((one) => [one.port, one.destination.instance]);
    return { core, routes, misplaced };
  };

  it('is another thing when a role has changed, and its revision is another', () => {
    const { core, routes, misplaced } = setUp();
    assert.deepEqual([routes(), misplaced()], [[[0], [1]], [[1, 1]]]);
    const before = core.revision;
    tell(core, 0, { ...STANDBY, version: 2, timeline: 2 }, 2);
    tell(core, 1, { ...PRIMARY, version: 2, timeline: 2 }, 2);
    assert.notEqual(core.revision, before);
    assert.deepEqual([routes(), misplaced()], [[[1], [0]], [[1, 0]]]);
  });

  it('has the same revision when only a session or a position is another', () => {
    const { core } = setUp();
    const before = core.revision;
    core.ask(1, WRITER, 2);
    core.bound(1, 0, '127.0.0.1', 5432);
    core.closed(1, 3);
    tell(core, 0, { ...PRIMARY, version: 2, position: 2n }, 4);
    assert.equal(core.revision, before);
  });

  it('has another revision when a standby has fallen too far behind', () => {
    const { core, routes } = setUp(
      'max_lag = 100B\nlistener_port2 = 3\nlistener_target_session_attrs2 = any\n',
    );
    assert.deepEqual(routes()[2], [0, 1]);
    const before = core.revision;
    tell(core, 0, { ...PRIMARY, version: 2, position: 1000n }, 2);
    assert.notEqual(core.revision, before);
    assert.deepEqual(routes()[2], [0]);
  });

  it('is to evict by every listener from a primary that has lost its conflict, as soon as that is decided', () => {
    const { core, misplaced } = setUp();
    tell(core, 1, { ...PRIMARY, version: 2, timeline: 2 }, 2);
    assert.deepEqual(misplaced(), []);
    const before = core.revision;
    const { effects } = core.resolveConflict(0, 3);
    assert.ok(kinds(effects).includes('changed'));
    assert.notEqual(core.revision, before);
    assert.deepEqual(misplaced(), [
      [1, 0],
      [2, 0],
    ]);
  });

  it('is to lead nowhere once conmgr ends, also while it waits for sessions', () => {
    const { core, routes } = setUp();
    core.ask(1, WRITER, 2);
    core.stop('smart', 3);
    assert.deepEqual(routes(), [[], []]);
  });
});
