import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { Cluster } from './harness/cluster.js';
import { Host } from './harness/host.js';
import { suites } from './harness/images.js';
import { Instance, QUICK } from './harness/instance.js';

const toItself = { ...QUICK, backend_host0: '127.0.0.1', backend_port0: 5432 };

for (const suite of suites()) {
  describe(`a host of ${suite.name} with everything enabled`, () => {
    let host: Host;
    let cluster: Cluster;
    let instance: Instance;
    before(async () => {
      host = await Host.boot(suite.installed, { name: 'all' });
      cluster = new Cluster(host, suite);
      await cluster.configure({ 'watchdog.allowed_clients': '127.0.0.1' });
      instance = await Instance.init(host, 'app1', toItself);
    });
    after(() => host?.remove());

    const allIsWell = async (): Promise<void> => {
      await instance.untilResolved('read-write', '127.0.0.1');
      for (const unit of [instance.unit, cluster.watchdogUnit, cluster.unit]) {
        const { ActiveState, NRestarts } = await host.unit(unit);
        assert.deepEqual({ unit, ActiveState, NRestarts }, { unit, ActiveState: 'active', NRestarts: '0' });
      }
    };

    it('starts nothing of conmgr that nobody enabled', async () => {
      await cluster.startAtBoot(true);
      await host.reboot();
      assert.equal(await host.output(['systemctl', 'is-active', 'conmgr.target']), 'active');
      assert.equal(
        await host.output("systemctl list-units --all --no-legend 'conmgr@*' 'conmgr-watchdog@*'"),
        '',
      );
    });

    it('has it all after a boot', async () => {
      await host.output(['systemctl', 'enable', instance.unit, cluster.watchdogUnit]);
      await host.reboot();
      await allIsWell();
    });

    it('has it all after the power was gone', async () => {
      await host.losePower();
      await host.powerOn();
      await allIsWell();
    });

    it('lets the watchdog say goodbye before PostgreSQL ends, at power-off', async () => {
      // Its own unit alone, not the one of all clusters.
      await host.output(['systemctl', 'stop', 'postgresql.service']);
      await host.output(['systemctl', 'start', cluster.unit]);
      await host.output(['systemctl', 'restart', cluster.watchdogUnit]);
      await allIsWell();
      await host.reboot();
      const entries = await host.journal('--boot=-1', `UNIT=${cluster.unit}`, `UNIT=${cluster.watchdogUnit}`);
      const ends = entries
        .filter(({ MESSAGE = '' }) => /^(Stopping|Stopped) /.test(MESSAGE))
        .map(({ MESSAGE = '', UNIT }) => `${MESSAGE.split(' ')[0]} ${UNIT}`);
      assert.deepEqual(ends.slice(-4), [
        `Stopping ${cluster.watchdogUnit}`,
        `Stopped ${cluster.watchdogUnit}`,
        `Stopping ${cluster.unit}`,
        `Stopped ${cluster.unit}`,
      ]);
      await allIsWell();
    });

    it('does not mind when PostgreSQL comes long after the watchdog', async () => {
      await cluster.startAtBoot(false);
      await host.reboot();
      assert.equal((await host.unit(cluster.unit))['ActiveState'], 'inactive');
      assert.equal((await host.unit(cluster.watchdogUnit))['ActiveState'], 'active');
      await cluster.start();
      await allIsWell();
    });

    it('does not mind when conmgr was there first', async () => {
      await host.output(['systemctl', 'stop', 'conmgr.target', cluster.unit]);
      for (const unit of [instance.unit, cluster.watchdogUnit, cluster.unit]) {
        await host.output(['systemctl', 'start', unit]);
      }
      await allIsWell();
    });
  });
}
