import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { Cluster } from './harness/cluster.js';
import { Host } from './harness/host.js';
import { suites } from './harness/images.js';
import { Instance, QUICK } from './harness/instance.js';

const FILE = '/etc/conmgr/heartbeat-secret';
const DROP_IN = `[Service]\nLoadCredential=heartbeat-secret:${FILE}\n`;

for (const suite of suites()) {
  describe(`a secret as credential of the units on ${suite.name}`, () => {
    let host: Host;
    let cluster: Cluster;
    let app: Instance;
    const addCredential = async (unit: string): Promise<void> => {
      await host.output(['mkdir', '-p', `/etc/systemd/system/${unit}.d`]);
      await host.write(`/etc/systemd/system/${unit}.d/secret.conf`, DROP_IN);
      await host.output(['systemctl', 'daemon-reload']);
    };
    before(async () => {
      host = await Host.boot(suite.installed, { name: 'db1' });
      cluster = new Cluster(host, suite);
      await cluster.configure({ 'watchdog.secret_file': '%d/heartbeat-secret' });
      await cluster.start();
      app = await Instance.init(host, 'app1', {
        ...QUICK,
        backend_host0: 'localhost',
        backend_port0: 5432,
        heartbeat_secret_file: '%d/heartbeat-secret',
      });
      await host.output(['mkdir', '-p', '/etc/conmgr']);
      await host.output(['cm_ctl', 'secret', FILE]);
    });
    after(() => host?.remove());

    it('without the drop-in conmgr does not start and names it, and the watchdog closes its port', async () => {
      assert.notEqual((await host.run(['systemctl', 'start', app.unit])).status, 0);
      const { ExecMainStatus } = await host.unit(app.unit);
      assert.equal(ExecMainStatus, '78');
      await host.output(['systemctl', 'start', cluster.watchdogUnit]);
      for (const unit of [app.unit, cluster.watchdogUnit]) {
        const entries = await host.journal(`--unit=${unit}`);
        const said = entries.map((entry) => String(entry['MESSAGE'])).join('\n');
        assert.match(said, /needs the variable CREDENTIALS_DIRECTORY; LoadCredential= in a drop-in/);
      }
    });

    it('with it both read a file that is closed to their users, and are linked', async () => {
      assert.equal(await host.output(['stat', '-c', '%U %a', FILE]), 'root 600');
      await addCredential(app.unit);
      await addCredential(cluster.watchdogUnit);
      await host.output(['systemctl', 'restart', cluster.watchdogUnit]);
      await host.output(['systemctl', 'reset-failed', app.unit]);
      await host.output(['systemctl', 'start', app.unit]);
      await app.untilLink('up');
      await host.until('the view shows the link as encrypted and authenticated', async () => {
        const { stdout } = await host.run(`cat ${cluster.directory}/pg_stat_tmp/pgx_stat_watchdog`);
        return /\ttrue\ttrue\t/.test(stdout);
      });
    });

    it('neither journal nor systemctl nor the processes show the secret', async () => {
      const secret = (await host.read(FILE)).trim();
      assert.match(secret, /^[0-9a-f]{64}$/);
      const shown = await Promise.all([
        host.output(['journalctl', '--no-pager', '-o', 'export']),
        host.output(['systemctl', 'show', app.unit, cluster.watchdogUnit]),
        host.output(['cm_ctl', 'status', '-D', app.directory, '--json']),
        host.output(['cm_ctl', 'watchdog', 'status', '-D', cluster.directory, '--json']),
        host.output("ps axeww -o args; cat /proc/[0-9]*/environ | tr '\\0' '\\n'"),
      ]);
      assert.ok(shown.every((text) => !text.includes(secret)));
    });
  });
}
