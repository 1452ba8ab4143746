import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { Authority, type Issued } from '../support/authority.js';
import { Cluster } from './harness/cluster.js';
import { Host } from './harness/host.js';
import { suites } from './harness/images.js';
import { Instance, QUICK } from './harness/instance.js';

const SERVER = '/etc/ssl/private/db1.key';
const CLIENT = '/etc/conmgr/app1.key';
const DROP_IN = `[Service]\nLoadCredential=app1.key:${CLIENT}\n`;

for (const suite of suites()) {
  describe(`certificates of the links on ${suite.name}`, () => {
    const authority = new Authority('example');
    const client = authority.issue('app1');
    let host: Host;
    let cluster: Cluster;
    let app: Instance;
    /** As Debian has it: the key is root's, and the group ssl-cert of postgres reads it. */
    async function install({ cert, key }: Issued): Promise<void> {
      await host.write('/etc/ssl/certs/db1.crt', readFileSync(cert));
      await host.write(SERVER, readFileSync(key), { mode: '0640', owner: 'root:ssl-cert' });
    }
    before(async () => {
      host = await Host.boot(suite.installed, { name: 'db1' });
      cluster = new Cluster(host, suite);
      await host.write('/etc/ssl/certs/example.crt', readFileSync(authority.cert));
      await install(authority.issue('db1', { names: 'DNS:localhost', usage: 'serverAuth' }));
      await host.write('/etc/conmgr/app1.crt', readFileSync(client.cert));
      await host.write(CLIENT, readFileSync(client.key), { mode: '0600' });
      await cluster.configure({
        'watchdog.ssl': 'on',
        ssl_cert_file: '/etc/ssl/certs/db1.crt',
        ssl_key_file: SERVER,
        ssl_ca_file: '/etc/ssl/certs/example.crt',
      });
      await cluster.start();
      await host.output(['systemctl', 'start', cluster.watchdogUnit]);
      app = await Instance.init(host, 'app1', {
        ...QUICK,
        backend_host0: 'localhost',
        backend_port0: 5432,
        heartbeat_sslmode: 'verify-full',
        heartbeat_sslrootcert: '/etc/ssl/certs/example.crt',
        heartbeat_sslcert: '/etc/conmgr/app1.crt',
        heartbeat_sslkey: '%d/app1.key',
      });
      await host.write(`/etc/systemd/system/${app.unit}.d/certificate.conf`, DROP_IN);
      await host.output(['systemctl', 'daemon-reload']);
    });
    after(() => host?.remove());

    it('with keys that only root and a group may read both units are linked, and PostgreSQL uses the same files', async () => {
      await host.output(['systemctl', 'start', app.unit]);
      await app.untilLink('up');
      const { instances } = await app.status();
      assert.equal(instances[0]?.link.protection, 'certificate');
      await host.until('the view shows the link as encrypted and authenticated', async () => {
        const { stdout } = await host.run(`cat ${cluster.directory}/pg_stat_tmp/pgx_stat_watchdog`);
        return /\ttrue\ttrue\t/.test(stdout);
      });
      assert.equal(await cluster.sql('show ssl'), 'on');
    });

    it('a certificate for another name is refused after a reload of the watchdog, and the good one taken after the next', async () => {
      await install(authority.issue('db9', { names: 'DNS:db9' }));
      await host.output(['systemctl', 'reload', cluster.watchdogUnit]);
      await app.untilLink('up');
      await host.output(['systemctl', 'restart', app.unit]);
      await host.until('conmgr says why', async () => {
        const { instances } = await app.status();
        return instances[0]?.link.failure === 'watchdog\'s certificate is for "DNS:db9", not for "localhost"';
      });
      await install(authority.issue('db1', { names: 'DNS:localhost' }));
      await host.output(['systemctl', 'reload', cluster.watchdogUnit]);
      await app.untilLink('up');
    });

    it('neither journal nor systemctl nor the processes show a key', async () => {
      const shown = await Promise.all([
        host.output(['journalctl', '--no-pager', '-o', 'export']),
        host.output(['systemctl', 'show', app.unit, cluster.watchdogUnit]),
        host.output(['cm_ctl', 'status', '-D', app.directory, '--json']),
        host.output(['cm_ctl', 'watchdog', 'status', '-D', cluster.directory, '--json']),
        host.output("ps axeww -o args; cat /proc/[0-9]*/environ | tr '\\0' '\\n'"),
      ]);
      for (const file of [SERVER, CLIENT]) {
        const secret = (await host.read(file)).split('\n')[1] ?? '';
        assert.match(secret, /^[A-Za-z0-9+/]{40,}$/);
        assert.ok(shown.every((text) => !text.includes(secret)));
      }
    });
  });
}
