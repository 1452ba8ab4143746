import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { Cluster } from './harness/cluster.js';
import { Host } from './harness/host.js';
import { suites } from './harness/images.js';
import { Instance, QUICK } from './harness/instance.js';

/** Highest figure of `systemd-analyze security` that is accepted. */
const MOST_EXPOSED = 1.5;

const toItself = { ...QUICK, backend_host0: '127.0.0.1', backend_port0: 5432 };

for (const suite of suites()) {
  describe(`the units as the packages install them on ${suite.name}`, () => {
    let host: Host;
    let cluster: Cluster;
    let instance: Instance;
    before(async () => {
      host = await Host.boot(suite.installed, { name: 'units' });
      cluster = new Cluster(host, suite);
      await cluster.configure({ 'watchdog.allowed_clients': '127.0.0.1' });
      instance = await Instance.init(host, 'app1', toItself);
    });
    after(() => host?.remove());

    const targetOf = async (path: string): Promise<string> =>
      (await host.run(['findmnt', '--noheadings', '--output', 'TARGET', path])).stdout.trim();

    it('have nothing that systemd-analyze finds wrong', async () => {
      const verify = ['systemd-analyze', 'verify', '--man=no'];
      const system = [instance.unit, cluster.watchdogUnit, 'conmgr@my-app.service', 'conmgr.target'];
      const { status, stdout, stderr } = await host.run([...verify, ...system, 'conmgr-helper.service']);
      assert.deepEqual({ status, said: stdout + stderr }, { status: 0, said: '' });
      const users = ['conmgr@app1.service', 'conmgr-watchdog@srv-data.service'];
      const env = { XDG_RUNTIME_DIR: '/run' };
      const found = await host.run([...verify, '--user', ...users], { env });
      assert.deepEqual({ status: found.status, said: found.stdout + found.stderr }, { status: 0, said: '' });
    });

    for (const name of ['conmgr@app1', `conmgr-watchdog@${suite.postgres}-main`, 'conmgr-helper']) {
      it(`expose ${name} to the rest of the host hardly at all`, async () => {
        const shown = await host.output(['systemd-analyze', 'security', '--no-pager', `${name}.service`]);
        const [, figure] = /Overall exposure level for .*: (\d+\.\d+)/.exec(shown) ?? [];
        assert.ok(Number(figure) <= MOST_EXPOSED, shown.slice(-200));
      });
    }

    it('leave instances to the administrator when presets are applied', async () => {
      const names = [instance.unit, cluster.watchdogUnit, 'conmgr-helper.service'];
      await host.output(['systemctl', 'preset', ...names]);
      const { stdout } = await host.run(['systemctl', 'is-enabled', ...names]);
      assert.deepEqual(stdout.trim().split('\n'), ['disabled', 'disabled', 'disabled']);
    });

    it('keep what is in /var/lib/conmgr when its directory is made once more', async () => {
      const look = (): Promise<string> =>
        host.output(
          'find /var/lib/conmgr -printf "%p %u:%g %m %i\\n" | sort && getent passwd conmgr conmgr-helper',
        );
      const found = await look();
      await host.output('systemd-sysusers && systemd-tmpfiles --create && systemd-tmpfiles --create');
      assert.equal(await look(), found);
      assert.match(found, /^\/var\/lib\/conmgr conmgr:conmgr 755 /m);
    });

    it('mount the file system of a directory before they start', async () => {
      await host.write(
        '/etc/systemd/system/srv-late.mount',
        '[Mount]\nWhat=/var/late\nWhere=/srv/late\nType=none\nOptions=bind\n',
      );
      await host.output(
        `mkdir -p /var/late /srv/late; cp -a ${instance.directory} /var/late/app; systemctl daemon-reload`,
      );
      assert.notEqual(await targetOf('/srv/late'), '/srv/late');
      await host.output(['systemctl', 'start', 'conmgr@srv-late-app.service']);
      assert.equal(await targetOf('/srv/late'), '/srv/late');
      await host.output(['systemctl', 'stop', 'conmgr@srv-late-app.service']);
      for (const [unit, place] of [
        ['conmgr@my\\x2dapp.service', '/var/lib/conmgr/my-app'],
        [cluster.watchdogUnit, cluster.directory],
      ] as const) {
        const { RequiresMountsFor = '' } = await host.unit(unit);
        assert.ok(RequiresMountsFor.split(' ').includes(place), RequiresMountsFor);
      }
    });

    it('are restarted with the target: a restart to their peers, and nothing else is started', async () => {
      await cluster.start();
      await host.output(['systemctl', 'start', instance.unit, cluster.watchdogUnit]);
      await instance.untilResolved('read-write', '127.0.0.1');
      const before = await Promise.all(
        [instance.unit, cluster.watchdogUnit].map((unit) => host.mainPid(unit)),
      );
      await host.output(['systemctl', 'restart', 'conmgr.target']);
      await host.until('both have stopped for a restart', async () => {
        const entries = await host.journal(`--unit=${instance.unit}`, `--unit=${cluster.watchdogUnit}`);
        return ['received restart request', 'stopping on SIGTERM (restart)'].every((line) =>
          entries.some(({ MESSAGE = '' }) => MESSAGE.includes(line)),
        );
      });
      await instance.untilResolved('read-write', '127.0.0.1');
      const now = await Promise.all([instance.unit, cluster.watchdogUnit].map((unit) => host.mainPid(unit)));
      assert.ok(now.every((pid, index) => pid !== before[index]));
      const listed = await host.output("systemctl list-units --no-legend --plain 'conmgr*@*.service'");
      assert.equal(listed.split('\n').length, 2, listed);
    });

    it('are what cm_ctl lists: a conmgr in a container is not one of this host', async () => {
      const directory = '/var/lib/conmgr/inside';
      await host.output(`cp -a ${instance.directory} ${directory} && rm -f ${directory}/conmgr.[ps]*`);
      await host.output(`echo port=27999 >>${directory}/conmgr.conf`);
      const container = host.start(
        `exec unshare --pid --fork --mount-proc runuser -u conmgr -- conmgr -D ${directory}`,
      );
      try {
        await container.waitForLine(/listening on .*27999/);
        const listed = JSON.parse(await host.output(['cm_ctl', 'list', '--json'])) as { directory: string }[];
        assert.deepEqual(
          listed.map((one) => one.directory).filter((one) => one !== '/var/late/app'),
          [instance.directory],
        );
      } finally {
        container.killAll();
      }
    });
  });
}
