import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import { eventually } from '../support/eventually.js';
import { freePort } from '../support/free-ports.js';
import { conmgrFor, endScene, watchdog } from '../support/link-scene.js';
import { NameServer } from '../support/name-server.js';
import { STANDBY, TEST_CLUSTER } from '../support/scripted-watchdog.js';

afterEach(endScene);

describe('names and addresses of a link', () => {
  it('all addresses of a name are walked in order, and the one that works is used', async () => {
    const names = new NameServer({ 'db.test': ['127.0.0.2', '127.0.0.3', '127.0.0.4'] });
    const scripted = await watchdog({ host: '127.0.0.4' });
    const silent = await watchdog({ host: '127.0.0.3', port: scripted.port, greeting: 'silence' });
    const conmgr = await conmgrFor(
      [{ host: 'db.test', backendPort: await freePort(), watchdogPort: scripted.port }],
      { heartbeat_connect_timeout: '200ms' },
      names,
    );
    const { instances } = await conmgr.linked();
    assert.equal(instances[0]?.link.address, '127.0.0.4');
    assert.equal(silent.links.length, 1);
    assert.equal(scripted.links.length, 1);
    assert.deepEqual(conmgr.linesLike(/could not set up link/), []);
  });

  it('candidates carry the name and the address of the link', async () => {
    const names = new NameServer({ 'db.test': ['127.0.0.4'] });
    const scripted = await watchdog({ host: '127.0.0.4' });
    const backendPort = await freePort();
    const conmgr = await conmgrFor(
      [{ host: 'db.test', backendPort, watchdogPort: scripted.port }],
      {},
      names,
    );
    await conmgr.linked();
    const [candidate] = await conmgr.ask().candidates();
    assert.deepEqual(
      [candidate?.host, candidate?.hostaddr, candidate?.port],
      ['db.test', '127.0.0.4', backendPort],
    );
  });

  it('an address is pinned while its link lasts; the name is resolved anew at every attempt', async () => {
    const names = new NameServer({ 'db.test': ['127.0.0.2'] });
    const first = await watchdog({ host: '127.0.0.2' });
    const second = await watchdog({ host: '127.0.0.3', port: first.port });
    const conmgr = await conmgrFor(
      [{ host: 'db.test', backendPort: await freePort(), watchdogPort: first.port }],
      {},
      names,
    );
    await conmgr.linked();
    names.answer({ 'db.test': ['127.0.0.3'] });
    const beats = first.link.count('beat');
    await eventually(() => first.link.count('beat') > beats + 2, { what: 'conmgr beats' });
    assert.equal(second.links.length, 0);
    first.link.close();
    await second.nextLink(0);
    assert.equal(names.asked.length, 2);
  });

  it('when resolution fails, the last address that worked is tried', async () => {
    const names = new NameServer({ 'db.test': ['127.0.0.2'] });
    const scripted = await watchdog({ host: '127.0.0.2' });
    const conmgr = await conmgrFor(
      [{ host: 'db.test', backendPort: await freePort(), watchdogPort: scripted.port }],
      {},
      names,
    );
    await conmgr.linked();
    for (const answer of ['error', 'silence'] as const) {
      names.answer({ 'db.test': answer });
      const before = scripted.links.length;
      scripted.link.close();
      await scripted.nextLink(before);
    }
  });

  it('a name that cannot be resolved at the start is logged once and tried again; other instances are served', async () => {
    const names = new NameServer({ 'db.test': 'error' });
    const [one, two] = [await watchdog({ host: '127.0.0.2' }), await watchdog({ attributes: STANDBY })];
    const conmgr = await conmgrFor(
      [{ host: 'db.test', backendPort: await freePort(), watchdogPort: one.port }, two],
      {},
      names,
    );
    await conmgr.logged(
      /WARNING: .*instance 0 .*could not resolve host name "db\.test": name server does not answer/,
    );
    await conmgr.untilInstance(1, 'is up', ({ link }) => link.phase === 'up');
    await eventually(() => names.asked.length >= 3, { what: 'three look-ups' });
    assert.equal(conmgr.linesLike(/could not set up link/).length, 1);
    names.answer({ 'db.test': ['127.0.0.2'] });
    await conmgr.linked();
  });

  it('a name server that does not answer is not in the way of the other links', async () => {
    const names = new NameServer({ 'db.test': 'silence' });
    const two = await watchdog({ attributes: STANDBY });
    const conmgr = await conmgrFor(
      [{ host: 'db.test', backendPort: await freePort(), watchdogPort: await freePort() }, two],
      { heartbeat_connect_timeout: '300ms' },
      names,
    );
    await conmgr.logged(/instance 0 .*host name resolution timed out/);
    assert.equal((await conmgr.status()).instances[1]?.link.phase, 'up');
    assert.equal(two.links.length, 1);
  });

  it('backend_hostaddr is used without name resolution', async () => {
    const names = new NameServer({ 'db.test': ['127.0.0.3'] });
    const scripted = await watchdog({ host: '127.0.0.2' });
    const conmgr = await conmgrFor(
      [
        {
          host: 'db.test',
          hostaddr: '127.0.0.2',
          backendPort: await freePort(),
          watchdogPort: scripted.port,
        },
      ],
      {},
      names,
    );
    await conmgr.linked();
    assert.deepEqual(names.asked, []);
    const [candidate] = await conmgr.ask().candidates();
    assert.deepEqual([candidate?.host, candidate?.hostaddr], ['db.test', '127.0.0.2']);
  });

  it('once the cluster is known, an address that leads to another one is left for the next', async () => {
    const names = new NameServer({ 'db.test': ['127.0.0.2'] });
    const own = await watchdog({ host: '127.0.0.2' });
    const conmgr = await conmgrFor(
      [{ host: 'db.test', backendPort: await freePort(), watchdogPort: own.port }],
      {},
      names,
    );
    await conmgr.linked();
    const other = await watchdog({
      host: '127.0.0.3',
      port: own.port,
      attributes: { ...STANDBY, systemIdentifier: 4711n },
    });
    names.answer({ 'db.test': ['127.0.0.3', '127.0.0.2'] });
    own.link.close();
    const refused = await other.nextLink(0);
    assert.equal((await refused.hello()).systemIdentifier, TEST_CLUSTER);
    await own.nextLink(1);
    const { instances } = await conmgr.linked();
    assert.deepEqual([instances[0]?.link.address, instances[0]?.foreign], ['127.0.0.2', false]);
  });
});
