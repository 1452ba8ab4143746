import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { Cluster } from './harness/cluster.js';
import { AFTER_PURGE, type Disk, difference, diskOf } from './harness/disk.js';
import { Host } from './harness/host.js';
import { suites } from './harness/images.js';
import { Instance, QUICK } from './harness/instance.js';
import { NEXT_VERSION } from './harness/next-version.js';
import { bringPackages, changesOf, installDebs, noQuestions } from './harness/packages.js';

const toItself = { ...QUICK, backend_host0: '127.0.0.1', backend_port0: 5432 };

/** The service manager of a user, as that user asks it. */
class OwnManager {
  readonly #host: Host;
  readonly #user: string;
  #env: Record<string, string> = {};

  constructor(host: Host, user: string) {
    this.#host = host;
    this.#user = user;
  }

  /** Makes the account, whose manager runs from now on without a login. */
  async begin(): Promise<void> {
    await this.#host.output(`useradd --create-home ${this.#user} && loginctl enable-linger ${this.#user}`);
    const id = await this.#host.output(['id', '-u', this.#user]);
    this.#env = { XDG_RUNTIME_DIR: `/run/user/${id}` };
    await this.#host.until('the manager of the user runs', () =>
      this.#host.unit(`user@${id}.service`).then(({ ActiveState }) => ActiveState === 'active'),
    );
  }

  run(command: string): Promise<string> {
    return this.#host.output(command, { user: this.#user, env: this.#env });
  }
}

/** Runs `action` on a host whose administrator lets no package start, stop or restart anything. */
async function forbiddenByPolicy(host: Host, action: () => Promise<void>): Promise<void> {
  await host.write('/usr/sbin/policy-rc.d', '#!/bin/sh\nexit 101\n', { mode: '0755' });
  await action();
  await host.output('rm /usr/sbin/policy-rc.d');
}

/** Package, version, and whether it is wanted and there: `ii`; `rc` is one that was removed and not purged. */
function installedOn(host: Host): Promise<string> {
  return host.output("dpkg --list 'conmgr*' | awk '/^[a-z][a-z] / { print $2, $3, $1 }'");
}

for (const suite of suites()) {
  describe(`the packages on ${suite.name}`, () => {
    let host: Host;
    let stock: Disk;
    let cluster: Cluster;
    let app1: Instance;
    let own: OwnManager;
    before(async () => {
      host = await Host.boot(suite.stock, { name: 'pkg' });
      await bringPackages(host);
      cluster = new Cluster(host, suite);
      await cluster.configure({ 'watchdog.allowed_clients': '127.0.0.1' });
      own = new OwnManager(host, 'shop');
      await own.begin();
      stock = await diskOf(host);
    });
    after(() => host?.remove());

    const states = async (...units: string[]): Promise<Record<string, string>> =>
      Object.fromEntries(
        await Promise.all(
          units.map(async (unit) => [unit, (await host.unit(unit))['ActiveState'] ?? ''] as const),
        ),
      );
    const unitsOfInstances = (): Promise<string> =>
      host.output("systemctl list-units --all --no-legend --plain 'conmgr@*' 'conmgr-watchdog@*'");

    it('install: the empty target runs, and nothing else', async () => {
      await installDebs(host, 1, ['conmgr']);
      assert.deepEqual(await states('conmgr.target'), { 'conmgr.target': 'active' });
      assert.equal(await host.output(['systemctl', 'is-enabled', 'conmgr.target']), 'enabled');
      assert.equal(await unitsOfInstances(), '');
      assert.equal(await host.output('systemctl --failed --no-legend'), '');
      assert.equal(await host.output(['stat', '-c', '%U:%G %a', '/var/lib/conmgr']), 'conmgr:conmgr 755');
    });

    it('make an account that nobody can log in to', async () => {
      assert.match(await host.output('getent shadow conmgr'), /^conmgr:!\*?:/);
      assert.match(await host.output('getent passwd conmgr'), /:\/usr\/sbin\/nologin$/);
    });

    it('explain their messages to journalctl -x from the first moment', async () => {
      assert.match(await host.output('journalctl --list-catalog'), /conmgr/);
    });

    it('bring all that their dependencies promise: the programs run', async () => {
      for (const program of ['conmgr', 'cm_ctl']) {
        assert.match(await host.output([program, '--version']), /^\S+ \(?.*\d+\.\d+\.\d+/);
      }
    });

    it('leave nothing of an installation that was purged', async () => {
      await installDebs(host, 1, ['conmgr-watchdog']);
      await noQuestions(host, 'apt-get purge --yes conmgr conmgr-watchdog');
      assert.deepEqual(difference(stock, await diskOf(host), AFTER_PURGE), []);
      assert.equal(await unitsOfInstances(), '');
    });

    it('start nothing where policy-rc.d forbids it', async () => {
      await forbiddenByPolicy(host, () => installDebs(host, 1));
      assert.deepEqual(await states('conmgr.target'), { 'conmgr.target': 'inactive' });
      assert.equal(await host.output(['systemctl', 'is-enabled', 'conmgr.target']), 'enabled');
      await host.output('systemctl start conmgr.target');
    });

    it('start what an administrator enables', async () => {
      await cluster.start();
      app1 = await Instance.init(host, 'app1', toItself);
      await host.output(['systemctl', 'enable', '--now', app1.unit, cluster.watchdogUnit]);
      await app1.untilResolved('read-write', '127.0.0.1');
    });

    upgradeRules(() => ({ host, cluster, own }));

    it('take the watchdog away without touching conmgr', async () => {
      const changes = await changesOf(host, [app1.unit], () =>
        noQuestions(host, 'apt-get remove --yes conmgr-watchdog'),
      );
      assert.deepEqual(changes.untouched, [app1.unit]);
      assert.deepEqual(await states(cluster.watchdogUnit), { [cluster.watchdogUnit]: 'inactive' });
    });

    it('start it when it is installed again, since it is enabled', async () => {
      const changes = await changesOf(host, [app1.unit], () => installDebs(host, 1, ['conmgr-watchdog']));
      assert.deepEqual(changes.untouched, [app1.unit]);
      assert.deepEqual(await states(cluster.watchdogUnit), { [cluster.watchdogUnit]: 'active' });
    });

    it('stop everything when they are removed, and forget no data', async () => {
      await noQuestions(host, 'apt-get remove --yes conmgr');
      assert.match(await installedOn(host), /^conmgr \S+ rc\nconmgr-watchdog \S+ rc$/);
      assert.equal(await unitsOfInstances(), '');
      assert.equal((await host.run(['pgrep', '-u', 'conmgr'])).status, 1);
      assert.equal((await host.run(['pgrep', '-f', 'conmgr-watchdog'])).status, 1);
      assert.match(await host.read(`${app1.directory}/conmgr.conf`), /backend_host0/);
    });

    it('start what was enabled when they are installed again', async () => {
      await installDebs(host, 2);
      assert.deepEqual(await states(app1.unit, cluster.watchdogUnit, 'conmgr@srv-shop.service'), {
        [app1.unit]: 'active',
        [cluster.watchdogUnit]: 'active',
        'conmgr@srv-shop.service': 'inactive',
      });
      await app1.untilResolved('read-write', '127.0.0.1');
    });

    it('leave user data and nothing else when they are purged while everything runs', async () => {
      await host.output('cm_ctl register -N named -U shop');
      await host.output('cm_ctl register -D /srv/shop -N shop');
      await host.output(['cm_ctl', 'watchdog', 'register', '-D', cluster.directory]);
      await host.write('/etc/systemd/system/conmgr@app1.service.d/own.conf', '[Service]\nNice=1\n');
      await noQuestions(host, 'apt-get purge --yes conmgr conmgr-watchdog');
      assert.equal(await unitsOfInstances(), '');
      assert.equal((await host.run(['pgrep', '-u', 'conmgr'])).status, 1);
      const instances = ['app1', 'broken', 'named', 'never', 'stopped'];
      assert.deepEqual(difference(stock, await diskOf(host), [...AFTER_PURGE, /^\/home\/shop\//]), [
        '+ /etc/systemd/system/conmgr@app1.service.d',
        '+ /etc/systemd/system/conmgr@app1.service.d/own.conf',
        '+ /var/lib/conmgr',
        ...instances.flatMap((name) => [
          `+ /var/lib/conmgr/${name}`,
          `+ /var/lib/conmgr/${name}/conmgr.conf`,
        ]),
      ]);
      assert.equal(await host.output('ls /srv/shop'), 'conmgr.conf');
    });

    it('begin anew after a purge', async () => {
      await host.output('rm -rf /var/lib/conmgr');
      await installDebs(host, 1);
      assert.equal(await unitsOfInstances(), '');
      assert.deepEqual(await states('conmgr.target'), { 'conmgr.target': 'active' });
      assert.equal(await host.output('ls -A /var/lib/conmgr'), '');
    });
  });
}

/** What an upgrade does to instances in every state, and to the files of users. */
function upgradeRules(context: () => { host: Host; cluster: Cluster; own: OwnManager }): void {
  const watchdogUnit = (): string => context().cluster.watchdogUnit;
  const running = (): string[] => ['conmgr@app1.service', 'conmgr@srv-shop.service', watchdogUnit()];
  const idle = ['conmgr@stopped.service', 'conmgr@never.service', 'conmgr@broken.service'];
  const all = (): string[] => [...running(), ...idle];
  let files = '';

  const filesOfUsers = (): Promise<string> =>
    context().host.output(
      "find /var/lib/conmgr /srv/shop ~shop -name conmgr.conf -printf '%p %i %m %u:%g %T@ ' -exec md5sum {} \\;",
    );
  const ownInstance = (): Promise<string> =>
    context().own.run('systemctl --user show --property=ActiveState,MainPID,InvocationID conmgr@mine');

  it('leave alone what they find: instances in every state', async () => {
    const { host, own } = context();
    for (const [index, name] of ['stopped', 'never', 'broken'].entries()) {
      await Instance.init(host, name, { ...toItself, port: 27_600 + index });
      await host.output(['systemctl', 'enable', `conmgr@${name}`]);
    }
    await host.output('systemctl start conmgr@stopped && systemctl stop conmgr@stopped');
    await host.output('echo "port = none" >>/var/lib/conmgr/broken/conmgr.conf');
    assert.notEqual((await host.run('systemctl start conmgr@broken')).status, 0);
    const conf = 'printf "backend_host0 = \'127.0.0.1\'\\nport = %s\\n"';
    await host.output('install -d -o conmgr -g conmgr /srv/shop');
    await host.output(`cm_ctl init -D /srv/shop && ${conf} 27610 >>/srv/shop/conmgr.conf`, {
      user: 'conmgr',
    });
    await host.output('systemctl start conmgr@srv-shop');
    const mine = '.local/state/conmgr/mine';
    await own.run(`cd && cm_ctl init -D ${mine} && ${conf} 27611 >>${mine}/conmgr.conf`);
    await own.run('systemctl --user enable --now conmgr@mine');
    files = await filesOfUsers();
    assert.equal(files.split('\n').length, 6);
  });

  it('restart what runs at an upgrade, once, in one job, and nothing else', async () => {
    const { host } = context();
    const before = await ownInstance();
    assert.match(before, /ActiveState=active/);
    const changes = await changesOf(host, all(), () => installDebs(host, 2));
    assert.deepEqual(changes, { restarted: running(), untouched: [], idle, other: [] });
    assert.equal(await ownInstance(), before, 'an instance of the manager of a user');
    assert.equal(
      await installedOn(host),
      `conmgr ${NEXT_VERSION}-1 ii\nconmgr-watchdog ${NEXT_VERSION}-1 ii`,
    );
  });

  it('do the same when one version is installed again', async () => {
    const { host } = context();
    const changes = await changesOf(host, all(), () => installDebs(host, 2));
    assert.deepEqual(changes, { restarted: running(), untouched: [], idle, other: [] });
  });

  it('restart nothing where policy-rc.d forbids it', async () => {
    const { host } = context();
    const changes = await changesOf(host, all(), () => forbiddenByPolicy(host, () => installDebs(host, 2)));
    assert.deepEqual(changes, { restarted: [], untouched: running(), idle, other: [] });
  });

  it('start nothing at a downgrade when the administrator has stopped everything', async () => {
    const { host } = context();
    await host.output("systemctl stop conmgr.target 'conmgr@*' 'conmgr-watchdog@*'");
    const units = ['conmgr.target', ...all()];
    const changes = await changesOf(host, units, () => installDebs(host, 1));
    assert.deepEqual(changes, { restarted: [], untouched: [], idle: units, other: [] });
    await host.output(['systemctl', 'disable', ...idle]);
    await host.output(['systemctl', 'start', 'conmgr.target', 'conmgr@srv-shop']);
  });

  it('have not touched any conmgr.conf in all of this', async () => {
    assert.equal(await filesOfUsers(), files);
  });
}
