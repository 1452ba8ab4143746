import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { AFTER_PURGE, type Disk, difference, diskOf } from './harness/disk.js';
import { Host } from './harness/host.js';
import { suites } from './harness/images.js';
import { Instance, QUICK } from './harness/instance.js';
import {
  HELPER_UNIT,
  OWN_DROP_IN,
  probeHelper,
  programsAreLoaded,
  REDIRECT_UNIT,
  switchOnHelper,
} from './harness/kernel-helper.js';
import { bringPackages, changesOf, installDebs, noQuestions } from './harness/packages.js';

const KERNEL_UNITS = [HELPER_UNIT, REDIRECT_UNIT];

for (const suite of suites()) {
  describe(`conmgr-helper in the packages on ${suite.name}`, () => {
    let host: Host;
    let stock: Disk;
    let app1: Instance;
    let account: string;
    before(async () => {
      host = await Host.boot(suite.stock, { name: 'helper' });
      await bringPackages(host);
      stock = await diskOf(host);
      await installDebs(host, 1, ['conmgr']);
      app1 = await Instance.init(host, 'app1', { ...QUICK, backend_host0: '127.0.0.1' });
      account = await host.output('getent passwd conmgr-helper');
    });
    after(() => host?.remove());

    const upgradeTo = (revision: 1 | 2, units: readonly string[]) =>
      changesOf(host, units, () => installDebs(host, revision, ['conmgr']));
    const enabledUnits = (): Promise<string> =>
      host.output("systemctl list-unit-files --state=enabled --no-legend 'conmgr*' | awk '{ print $1 }'");
    const statesOfUnits = async (): Promise<string[]> =>
      Promise.all(KERNEL_UNITS.map(async (unit) => (await host.unit(unit))['ActiveState'] ?? ''));
    const assertNothingRuns = async (): Promise<void> => {
      assert.equal(await host.output("systemctl list-units --plain --no-legend 'conmgr-*'"), '');
      assert.equal(await programsAreLoaded(host), false);
      assert.equal((await host.run(['pgrep', '-u', 'conmgr-helper'])).status, 1);
      assert.equal(await host.output("find /run -name 'conmgr*'"), '');
    };

    it('is off after the installation, and stays so where presets are applied', async () => {
      assert.match(account, /:\/usr\/sbin\/nologin$/);
      assert.match(await host.output('getent shadow conmgr-helper'), /^conmgr-helper:!\*?:/);
      assert.deepEqual(await statesOfUnits(), ['inactive', 'inactive']);
      await host.output(['systemctl', 'preset', 'conmgr.target', ...KERNEL_UNITS]);
      assert.equal(await enabledUnits(), 'conmgr.target');
    });

    it('may end sockets once it is switched on', async () => {
      await switchOnHelper(host);
      await host.output(['systemctl', 'enable', '--now', app1.unit]);
      assert.deepEqual(await statesOfUnits(), ['active', 'active']);
      const { guard, refused } = await probeHelper(host);
      assert.deepEqual({ guard, refused }, { guard: null, refused: [] });
    });

    it('is restarted once by an upgrade, before conmgr, and the redirect programs stay in the kernel', async () => {
      const changes = await upgradeTo(2, [...KERNEL_UNITS, app1.unit]);
      assert.deepEqual(changes, {
        restarted: [HELPER_UNIT, app1.unit],
        untouched: [REDIRECT_UNIT],
        idle: [],
        other: [],
      });
      assert.equal(await programsAreLoaded(host), true);
      assert.equal((await probeHelper(host))['guard'], null);
      const helperReady = Number((await host.unit(HELPER_UNIT))['ActiveEnterTimestampMonotonic']);
      const conmgrStopped = Number((await host.unit(app1.unit))['InactiveEnterTimestampMonotonic']);
      assert.ok(helperReady < conmgrStopped, `${helperReady} < ${conmgrStopped}`);
    });

    it('takes the redirect programs along when it is stopped, and no downgrade starts it', async () => {
      await host.output(['systemctl', 'stop', HELPER_UNIT]);
      await host.until('the redirect programs are unloaded', async () => !(await programsAreLoaded(host)));
      const changes = await upgradeTo(1, [...KERNEL_UNITS, app1.unit]);
      assert.deepEqual(changes, { restarted: [app1.unit], untouched: [], idle: KERNEL_UNITS, other: [] });
    });

    it('is stopped by a removal, which takes the redirect programs out of the kernel', async () => {
      await host.output(['systemctl', 'start', HELPER_UNIT]);
      assert.equal(await programsAreLoaded(host), true);
      await noQuestions(host, 'apt-get remove --yes conmgr');
      await assertNothingRuns();
    });

    it('starts when the package is installed again, since it is enabled', async () => {
      await installDebs(host, 2, ['conmgr']);
      assert.deepEqual(await statesOfUnits(), ['active', 'active']);
      assert.equal((await probeHelper(host))['guard'], null);
    });

    it('leaves nothing but its account when it runs while the package is purged', async () => {
      await noQuestions(host, 'apt-get purge --yes conmgr');
      await assertNothingRuns();
      assert.equal(await host.output('systemctl --failed --no-legend'), '');
      const left = difference(stock, await diskOf(host), [...AFTER_PURGE, /^\/var\/lib\/conmgr/]);
      assert.deepEqual(left, OWN_DROP_IN);
      assert.equal(await host.output('getent passwd conmgr-helper'), account);
    });

    it('is off, with the same account, after an installation that follows', async () => {
      await installDebs(host, 1, ['conmgr']);
      assert.deepEqual(await statesOfUnits(), ['inactive', 'inactive']);
      assert.equal(await enabledUnits(), 'conmgr.target');
      assert.equal(await host.output('getent passwd conmgr-helper'), account);
    });
  });
}
