import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { eventually } from '../support/eventually.js';
import { Cluster } from './harness/cluster.js';
import type { CommandResult } from './harness/commands.js';
import { Host } from './harness/host.js';
import { suites } from './harness/images.js';
import { HELPER_UNIT } from './harness/kernel-helper.js';

const CONFIGURATION = `backend_hostaddr0 = 127.0.0.1
backend_port0 = 5432
guard = on
listener_port0 = 27547
heartbeat_interval = 500ms
heartbeat_timeout = 3s
`;
const DIRECT = 'PGPASSWORD=secret psql -h 127.0.0.1 -U postgres -XAtq';

for (const suite of suites()) {
  for (const user of ['conmgr', 'alice']) {
    describe(`guard = on for an instance of ${user} on ${suite.name}`, () => {
      let host: Host;
      let cluster: Cluster;
      const directory = '/var/lib/conmgr/app1';
      const list = '/etc/conmgr/targets.d/app1.conf';
      const ctl = (words: string): Promise<CommandResult> => host.run(`cm_ctl ${words}`);
      before(async () => {
        host = await Host.boot(suite.installed, { name: 'guard' });
        cluster = new Cluster(host, suite);
        await cluster.start();
        await host.output(['systemctl', 'start', cluster.watchdogUnit]);
        await cluster.sql("alter role postgres password 'secret'");
        if (user !== 'conmgr') await host.output(`useradd --create-home ${user}`);
        await host.output(['systemctl', 'stop', HELPER_UNIT]);
        await host.output(`cm_ctl register -N app1 -U ${user}`);
        await host.output(`cat >${directory}/conmgr.conf`, { input: CONFIGURATION });
      });
      after(() => host?.remove());

      it('is allowed by the list that cm_ctl register writes, which says what is still to be switched on', async () => {
        const { status, stdout, stderr } = await ctl('register -N app1');
        assert.equal(status, 0, stderr);
        assert.match(stdout, new RegExp(`wrote ${list}`));
        assert.match(
          stderr,
          /conmgr-helper does not run\nHINT: +Switch it on: systemctl enable --now conmgr-helper/,
        );
        assert.equal(await host.output(`stat --format='%U %a' ${list}`), 'root 644');
        const text = await host.read(list);
        assert.match(text, new RegExp(`^user ${user}$`, 'm'));
        assert.match(text, /^target 127\.0\.0\.1 5432$/m);
        assert.match(text, /^listener 27547$/m);
      });

      it('keeps conmgr from starting as long as the helper does not run; check says so before', async () => {
        const { status, stdout, stderr } = await ctl(`check -D ${directory}`);
        assert.equal(status, 78, stdout + stderr);
        assert.match(stdout, /^guard: not possible$/m);
        assert.match(stderr, /guard = on is not possible: conmgr-helper cannot be reached/);
        assert.equal((await ctl(`start -D ${directory}`)).status, 78);
        assert.equal((await host.unit('conmgr@app1'))['ExecMainStatus'], '78');
      });

      it('works once the helper is switched on', async () => {
        await host.output(['systemctl', 'enable', '--now', HELPER_UNIT]);
        const { status, stdout, stderr } = await ctl(`check -D ${directory}`);
        assert.equal(status, 0, stdout + stderr);
        assert.match(stdout, /^guard: possible$/m);
        const started = await ctl(`start -W -D ${directory}`);
        assert.equal(started.status, 0, started.stderr);
        assert.match((await ctl(`status -D ${directory}`)).stdout, /^Guard: +on/m);
      });

      it('ends a direct session that waits for its server when that is lost', async () => {
        const session = host.run(`${DIRECT} -c 'select pg_sleep(600)'`);
        await eventually(
          async () =>
            /on, [1-9]\d* connection/.test((await ctl(`status -i application -D ${directory}`)).stdout),
          { what: 'the session is under guard' },
        );
        // Nothing answers any more: neither watchdog nor postmaster.
        for (const unit of [cluster.watchdogUnit, cluster.unit]) await host.signal(unit, 'SIGSTOP');
        const { status, stderr } = await session;
        assert.notEqual(status, 0);
        assert.match(stderr, /Software caused connection abort/);
      });

      it('is taken away with the instance', async () => {
        await host.output(`cm_ctl stop -D ${directory}; cm_ctl unregister -N app1`);
        assert.notEqual((await host.run(['test', '-e', list])).status, 0);
      });
    });
  }
}
