import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { assertDone, cmCtl, STOPPED } from './harness/cm-ctl.js';
import { Host } from './harness/host.js';
import { suites } from './harness/images.js';
import { Instance } from './harness/instance.js';

const MEMBER = { user: 'op' };
const OTHER = { user: 'eve' };
const REFUSED = /Interactive authentication required|Access denied|Permission denied|may not be isolated/;

for (const suite of suites()) {
  describe(`group conmgr on ${suite.name}`, () => {
    let host: Host;
    let app: Instance;
    /** An instance by the path of its directory. */
    const path = { unit: 'conmgr@srv-my\\x2dapp.service', directory: '/srv/my-app' };
    before(async () => {
      host = await Host.boot(suite.installed, { name: 'polkit' });
      await host.output('useradd --groups conmgr op; useradd eve');
      app = await Instance.init(host, 'app1', { backend_host0: '127.0.0.1', port: 27501 });
      await host.write(`${path.directory}/conmgr.conf`, 'backend_host0 = 127.0.0.1\nport = 27502\n');
      await host.output(`chown -R conmgr: ${path.directory}`);
    });
    after(() => host?.remove());
    const stateOf = async (unit: string): Promise<string | undefined> =>
      (await host.unit(unit))['ActiveState'];

    it('starts, restarts, reloads and stops each instance with systemctl, without a password', async () => {
      for (const unit of [app.unit, path.unit]) {
        let pid = 0;
        for (const [verb, same] of [
          ['start', false],
          ['reload', true],
          ['restart', false],
          ['try-restart', false],
          ['reload-or-restart', true],
        ] as const) {
          await host.output(['systemctl', verb, unit], MEMBER);
          const now = await host.mainPid(unit);
          assert.equal(now === pid, same, `${verb} of ${unit}`);
          pid = now;
        }
        await host.output(['systemctl', 'stop', unit], MEMBER);
        assert.equal(await stateOf(unit), 'inactive');
      }
    });

    it('does the same with cm_ctl, which says what only the owner can see', async () => {
      const unseen =
        /^cm_ctl: notice: .* only the owner may look into "\/var\/lib\/conmgr\/app1"\nHINT: .*\n$/;
      for (const [words, stdout, stderr] of [
        ['start', /^waiting for conmgr to start\.{3,} done\nconmgr started\n$/, unseen],
        ['status', /^unit conmgr@app1\.service: active \(running\), PID \d+: primary none, /, /^$/],
        ['reload', /^conmgr reloaded\n$/, unseen],
        ['restart', /^waiting .* done\nconmgr stopped\nwaiting .* done\nconmgr started\n$/, unseen],
        ['restart -W', /^conmgr restarting\n$/, /^$/],
        ['stop', STOPPED, /^$/],
      ] as const) {
        const result = await cmCtl(app, words, MEMBER);
        assert.equal(result.status, 0, `${words}: ${result.stderr}`);
        assert.match(result.stdout, stdout);
        assert.match(result.stderr, stderr);
      }
      assert.equal(await stateOf(app.unit), 'inactive');
      assert.equal((await cmCtl(app, 'status', MEMBER)).status, 3);
    });

    it('takes a failure back with reset-failed', async () => {
      await app.append({ nonsense: 1 });
      const { status, stderr } = await cmCtl(app, 'start', MEMBER);
      assert.equal(status, 78);
      // The journal is closed to it, so it reads what the process said to its manager.
      assert.match(stderr, /^unit conmgr@app1\.service: failed, exit status 78: .*"nonsense"$/m);
      await host.output(['systemctl', 'reset-failed', app.unit], MEMBER);
      assert.equal(await stateOf(app.unit), 'inactive');
      await host.output(`sed -i /nonsense/d ${app.directory}/conmgr.conf`);
    });

    it('has no right to anything else', async () => {
      await host.output(['systemctl', 'start', app.unit]);
      const pid = await host.mainPid(app.unit);
      const files = 'find /etc/systemd /run/systemd/system | sort';
      const before = await host.output(files);
      for (const words of [
        'start conmgr-watchdog@15-main.service',
        'start conmgr.target',
        'stop conmgr.target',
        'start conmgr-helper.service',
        'start conmgr-redirect.service',
        'restart rsyslog.service',
        'stop dbus.socket',
        'start conmgr@app1.socket',
        'kill conmgr@app1.service',
        'set-property conmgr@app1.service CPUWeight=10',
        'set-property --runtime conmgr@app1.service CPUWeight=10',
        'enable conmgr@app1.service',
        'disable conmgr@app1.service',
        'mask conmgr@app1.service',
        'mask --runtime conmgr@app1.service',
        `link ${path.directory}/conmgr.conf`,
        'daemon-reload',
        'isolate conmgr@app1.service',
        'poweroff',
      ]) {
        const { status, stderr } = await host.run(['systemctl', ...words.split(' ')], MEMBER);
        assert.notEqual(status, 0, words);
        assert.match(stderr, REFUSED, words);
      }
      assert.equal(await host.output(files), before);
      assert.equal(await host.mainPid(app.unit), pid);
    });

    it('is not asked to register: that is for root, whose command is told', async () => {
      for (const mode of ['register', 'unregister']) {
        const { status, stderr } = await cmCtl(app, mode, MEMBER);
        assert.equal(status, 1);
        assert.equal(
          stderr,
          `cm_ctl: only root may ${mode} an instance with the service manager of the host\n` +
            `HINT:  Use: sudo cm_ctl ${mode} -D ${app.directory}\n`,
        );
      }
    });

    it('is what others need: they get one line, status 1 and no question', async () => {
      const pid = await host.mainPid(app.unit);
      const denied = (verb: string): string =>
        `cm_ctl: permission denied to ${verb} unit "${app.unit}"\n` +
        'HINT:  Use root, or let root add you to group conmgr.\n';
      for (const [words, verb] of [
        ['stop', 'stop'],
        ['stop -W', 'stop'],
        ['restart', 'restart'],
        ['restart -W', 'restart'],
        ['reload', 'reload'],
      ] as const) {
        const { status, stderr } = await cmCtl(app, words, OTHER);
        assert.deepEqual({ status, stderr }, { status: 1, stderr: denied(verb) }, words);
      }
      const smart = await cmCtl(app, 'stop -m smart', OTHER);
      assert.equal(smart.status, 1);
      assert.match(smart.stderr, /^cm_ctl: permission denied to stop unit .* in smart mode\n/);
      for (const verb of ['start', 'stop', 'reload', 'reset-failed']) {
        const { status, stderr } = await host.run(['systemctl', verb, app.unit], OTHER);
        assert.notEqual(status, 0);
        assert.match(stderr, REFUSED);
      }
      assert.equal(await host.mainPid(app.unit), pid);
      assertDone(await cmCtl(app, 'status', OTHER), /^unit conmgr@app1\.service: active \(running\), PID /);
      await host.output(['systemctl', 'stop', app.unit]);
      for (const words of ['start', 'start -W']) {
        const { status, stderr } = await cmCtl(app, words, OTHER);
        assert.deepEqual({ status, stderr }, { status: 1, stderr: denied('start') }, words);
      }
      assert.equal(await stateOf(app.unit), 'inactive');
    });

    it('has no part in what only the owner sees: check and resolve say who does', async () => {
      for (const who of [MEMBER, OTHER]) {
        for (const words of ['check', 'resolve read-write']) {
          const { status, stderr } = await cmCtl(app, words, who);
          assert.equal(status, 1);
          assert.match(
            stderr,
            /^cm_ctl: could not access directory .*: permission denied\nHINT: .*owns it\.\n$/,
          );
        }
      }
    });
  });
}
