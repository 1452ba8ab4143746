import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { Cluster } from './harness/cluster.js';
import { type Disk, difference, diskOf } from './harness/disk.js';
import { Host } from './harness/host.js';
import { suites } from './harness/images.js';
import { Instance, QUICK } from './harness/instance.js';
import {
  HELPER_UNIT,
  OWN_DROP_IN,
  programsAreLoaded,
  REDIRECT_UNIT,
  switchOnHelper,
} from './harness/kernel-helper.js';
import { NEXT_VERSION } from './harness/next-version.js';
import { BOTH, bringPackages, changesOf, packageFiles, type Revision } from './harness/packages.js';

const toItself = { ...QUICK, backend_host0: '127.0.0.1', backend_port0: 5432 };

/** What an erasure may leave or change, although nobody's data are in it. */
const NOT_OURS: readonly RegExp[] = [
  // The account stays: its number must not be given to somebody else.
  /^\/etc\/(passwd|group|shadow|gshadow)-?$/,
  // What rpm knows of packages.
  /^\/(var\/lib|usr\/lib\/sysimage|root)\/\.?rpm(db)?(\/|$)/,
  /^\/var\/log\//,
  // Made anew of what lies in /usr/lib/systemd/catalog, whenever a package is installed or removed there.
  /^\/var\/lib\/systemd\/catalog\/database$/,
  // What a cluster that runs does to its files.
  /^\/var\/lib\/postgresql\/\d+\/main\/(?!.*watchdog)/,
  /^\/var\/lib\/systemd\/timers/,
];

/**
 * rpm on Debian: its database is empty, so a package without files stands for the host and provides what the host has.
 * Debian 12's rpm refuses to change anything without --force-debian, which that of Debian 13 does not know.
 */
class Rpm {
  readonly #host: Host;
  #program: readonly string[] = ['rpm'];

  constructor(host: Host) {
    this.#host = host;
  }

  async begin(): Promise<void> {
    const { stdout } = await this.#host.run('rpm --help');
    if (stdout.includes('--force-debian')) this.#program = ['rpm', '--force-debian'];
    const files = [await this.files(1), await this.files(2)].flat();
    const needed = await this.#host.output(['rpm', '--query', '--package', '--requires', ...files]);
    // rpmlib() is of rpm itself, conmgr of the other package; what must be at least 18 is there as what the host has.
    const provided = [...new Set(needed.split('\n'))]
      .filter((line) => !/^(rpmlib\(|conmgr )/.test(line))
      .map((line) => line.replace(/ *>= *\S+$/, ''));
    const version = (await this.#host.output('node --version')).slice(1);
    const lines = [
      ...['Name: host', 'Version: 1', 'Release: 1', 'Summary: what the host has', 'License: none'],
      'BuildArch: noarch',
      ...provided.map((name) => `Provides: ${name}${name === 'nodejs(engine)' ? ` = ${version}` : ''}`),
      ...['%description', 'What the host has.', '%files', ''],
    ];
    await this.#host.write('/srv/host/host.spec', lines.join('\n'));
    const places = ['--define', '_topdir /srv/host', '--define', '_rpmdir /srv/host'];
    await this.#host.output(['rpmbuild', '-bb', '--quiet', ...places, '/srv/host/host.spec']);
    await this.run('--install', '/srv/host/noarch/host-1-1.noarch.rpm');
  }

  /** Runs rpm, which has nothing to say when all is well. */
  async run(...args: string[]): Promise<void> {
    const result = await this.#host.run([...this.#program, ...args], { timeoutMs: 120_000 });
    assert.deepEqual(result, { status: 0, stdout: '', stderr: '' });
  }

  files(revision: Revision, names = BOTH): Promise<string[]> {
    return packageFiles(this.#host, 'rpm', revision, names);
  }
}

for (const suite of suites()) {
  describe(`the .rpm on ${suite.name}`, () => {
    let host: Host;
    let rpm: Rpm;
    let cluster: Cluster;
    let app1: Instance;
    let stock: Disk;
    before(async () => {
      host = await Host.boot(suite.stock, { name: 'rpm' });
      await bringPackages(host);
      cluster = new Cluster(host, suite);
      await cluster.configure({ 'watchdog.allowed_clients': '127.0.0.1' });
      rpm = new Rpm(host);
      await rpm.begin();
      stock = await diskOf(host);
    });
    after(() => host?.remove());

    const stateOf = async (unit: string): Promise<string> => (await host.unit(unit))['ActiveState'] ?? '';
    const unitsOfInstances = (): Promise<string> =>
      host.output("systemctl list-units --all --no-legend --plain 'conmgr@*' 'conmgr-watchdog@*'");
    const idle = ['conmgr@off.service'];
    const running = (): string[] => [app1.unit, cluster.watchdogUnit, HELPER_UNIT];
    const upgrade = async (...args: string[]): Promise<void> =>
      rpm.run('--upgrade', ...args, ...(await rpm.files(2)));

    it('installs: account, directory, the empty target', async () => {
      await rpm.run('--install', ...(await rpm.files(1, ['conmgr'])));
      assert.equal(await stateOf('conmgr.target'), 'active');
      assert.equal(await host.output(['systemctl', 'is-enabled', 'conmgr.target']), 'enabled');
      assert.equal(await unitsOfInstances(), '');
      assert.equal(await host.output(['stat', '-c', '%U:%G %a', '/var/lib/conmgr']), 'conmgr:conmgr 755');
      assert.match(await host.output('journalctl --list-catalog'), /conmgr/);
      assert.equal(await stateOf(HELPER_UNIT), 'inactive');
      assert.match((await host.run(['systemctl', 'is-enabled', HELPER_UNIT])).stdout, /^disabled$/m);
    });

    it('leaves nothing when it is erased unused', async () => {
      await rpm.run('--erase', 'conmgr');
      assert.deepEqual(difference(stock, await diskOf(host), NOT_OURS), []);
    });

    it('starts an instance, with native calls from where they are in an .rpm, and a watchdog', async () => {
      await rpm.run('--install', ...(await rpm.files(1)));
      await cluster.start();
      app1 = await Instance.init(host, 'app1', toItself);
      await Instance.init(host, 'off', { ...toItself, port: 27_600 });
      await host.output(['systemctl', 'enable', ...idle]);
      await host.output(['systemctl', 'enable', '--now', app1.unit, cluster.watchdogUnit]);
      await app1.untilResolved('read-write', '127.0.0.1');
      const [line] = await host.journal(`--unit=${app1.unit}`, '--grep=^starting conmgr');
      assert.equal(line?.['_TRANSPORT'], 'journal', 'only native calls reach the journal');
      await switchOnHelper(host);
    });

    it('is as it was packaged', async () => {
      await rpm.run('--verify', ...BOTH);
    });

    it('restarts what runs at an upgrade, once, in one job, and nothing else', async () => {
      const before = await host.output('md5sum /var/lib/conmgr/*/conmgr.conf');
      const changes = await changesOf(host, [...running(), REDIRECT_UNIT, ...idle], () => upgrade());
      assert.deepEqual(changes, { restarted: running(), untouched: [REDIRECT_UNIT], idle, other: [] });
      assert.equal(await programsAreLoaded(host), true);
      assert.equal(await host.output('md5sum /var/lib/conmgr/*/conmgr.conf'), before);
      const installed = (await host.output('rpm --query conmgr conmgr-watchdog')).split('\n');
      for (const [at, name] of BOTH.entries())
        assert.ok(installed[at]?.startsWith(`${name}-${NEXT_VERSION}-1.`), installed[at]);
    });

    it('does the same when one version is installed again', async () => {
      const changes = await changesOf(host, [...running(), ...idle], () => upgrade('--replacepkgs'));
      assert.deepEqual(changes, { restarted: running(), untouched: [], idle, other: [] });
    });

    it('starts nothing at a downgrade when the administrator has stopped everything', async () => {
      await host.output("systemctl stop conmgr.target 'conmgr@*' 'conmgr-watchdog@*' conmgr-helper");
      const units = ['conmgr.target', ...running(), ...idle];
      const changes = await changesOf(host, units, async () =>
        rpm.run('--upgrade', '--oldpackage', ...(await rpm.files(1))),
      );
      assert.deepEqual(changes, { restarted: [], untouched: [], idle: units, other: [] });
      await host.output(['systemctl', 'disable', ...idle]);
      await host.output(['systemctl', 'start', 'conmgr.target', HELPER_UNIT]);
      assert.equal(await stateOf(app1.unit), 'active');
    });

    it('leaves user data and nothing else when it is erased while everything runs', async () => {
      await host.output('useradd --create-home shop && install -d -o conmgr /srv/shop');
      await host.output('cm_ctl init -D /srv/shop && echo backend_host0 = db1 >>/srv/shop/conmgr.conf', {
        user: 'conmgr',
      });
      await host.output('cm_ctl register -D /srv/shop -N shop');
      await host.output('cm_ctl register -N named -U shop');
      await host.write('/etc/systemd/system/conmgr@app1.service.d/own.conf', '[Service]\nNice=1\n');
      await rpm.run('--erase', ...BOTH);
      assert.equal(await unitsOfInstances(), '');
      assert.equal((await host.run(['pgrep', '-u', 'conmgr,conmgr-helper'])).status, 1);
      assert.equal(await programsAreLoaded(host), false);
      const ofUsers = [/^\/home\/shop(\/|$)/, /^\/etc\/sub[ug]id-?$/, /^\/var\/(mail|spool\/mail)\/shop$/];
      assert.deepEqual(difference(stock, await diskOf(host), [...NOT_OURS, ...ofUsers]), [
        ...OWN_DROP_IN,
        '+ /etc/systemd/system/conmgr@app1.service.d',
        '+ /etc/systemd/system/conmgr@app1.service.d/own.conf',
        '+ /var/lib/conmgr',
        ...['app1', 'named', 'off'].flatMap((name) => [
          `+ /var/lib/conmgr/${name}`,
          `+ /var/lib/conmgr/${name}/conmgr.conf`,
        ]),
      ]);
      assert.equal(await host.output('ls /srv/shop'), 'conmgr.conf');
    });

    it('begins anew after an erasure', async () => {
      await rpm.run('--install', ...(await rpm.files(2)));
      assert.equal(await stateOf('conmgr.target'), 'active');
      assert.equal(await stateOf(HELPER_UNIT), 'inactive');
      assert.equal(await unitsOfInstances(), '');
      assert.match(await host.read(`${app1.directory}/conmgr.conf`), /backend_host0/);
    });
  });
}
