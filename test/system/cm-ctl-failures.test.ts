import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { assertDone, cmCtl } from './harness/cm-ctl.js';
import { Host } from './harness/host.js';
import { suites } from './harness/images.js';
import { Instance, QUICK } from './harness/instance.js';

for (const suite of suites()) {
  describe(`a start by cm_ctl that fails on ${suite.name}`, () => {
    let instance: Instance;
    before(async () => {
      const host = await Host.boot(suite.installed, { name: 'fails' });
      instance = await Instance.init(host, 'app1', { ...QUICK, backend_host0: '127.0.0.1' });
      await instance.host.output(`cp -a ${instance.directory} /srv/good`);
    });
    after(() => instance?.host.remove());
    const restore = async (): Promise<void> => {
      const { host, directory, unit } = instance;
      await host.output(`systemctl stop ${unit}; systemctl reset-failed ${unit} || true`);
      await host.output(`rm -rf ${directory} && cp -a /srv/good ${directory}`);
    };
    const listed = async (): Promise<string> => {
      const list: { unit: string; state: string }[] = JSON.parse(
        await instance.host.output('cm_ctl list --json'),
      );
      return list.find(({ unit }) => unit === instance.unit)?.state ?? 'not listed';
    };

    for (const words of ['start', 'start -W']) {
      it(`${words} says what is wrong in conmgr.conf, with status 78`, async () => {
        await restore();
        await instance.append({ nonsense: 1 });
        const { status, stderr } = await cmCtl(instance, words);
        assert.equal(status, 78);
        assert.match(stderr, /^ERROR: +conmgr\.conf:\d+: unrecognized configuration parameter "nonsense"$/m);
        assert.match(
          stderr,
          /^cm_ctl: could not start conmgr: its configuration is wrong\nHINT: +"cm_ctl check"/m,
        );
        const { ActiveState, Result, NRestarts } = await instance.host.unit(instance.unit);
        assert.deepEqual(
          { ActiveState, Result, NRestarts },
          { ActiveState: 'failed', Result: 'exit-code', NRestarts: '0' },
        );
        assert.equal(await listed(), 'failed');
        const seen = await cmCtl(instance, 'status');
        assert.equal(seen.status, 3);
        assert.match(
          seen.stdout,
          /^conmgr is not running .*\nunit conmgr@app1\.service: failed, exit status 78: .*nonsense/,
        );
      });
    }

    it('a restart with a mistake in conmgr.conf stops nothing', async () => {
      await restore();
      assertDone(await cmCtl(instance, 'start -W'), /./);
      const pid = await instance.host.mainPid(instance.unit);
      await instance.append({ nonsense: 1 });
      const { status, stderr } = await cmCtl(instance, 'restart');
      assert.equal(status, 78);
      assert.match(stderr, /contains errors\nDETAIL: .*"nonsense"/);
      assert.equal(await instance.host.mainPid(instance.unit), pid);
    });

    it('what may pass is tried again by systemd, until cm_ctl stops it', async () => {
      await restore();
      const taken = instance.host.start(
        `exec node -e "require('net').createServer().listen(27546, () => console.log('taken'))"`,
      );
      await taken.waitForLine(/taken/);
      const { status, stderr } = await cmCtl(instance, 'start');
      assert.equal(status, 1);
      assert.match(stderr, /^FATAL: +could not listen on port 27546: /m);
      assert.match(
        stderr,
        /could not start conmgr; systemd goes on trying\nHINT: .*"journalctl -u conmgr@app1"/,
      );
      assert.equal((await cmCtl(instance, 'status')).status, 3);
      assert.equal(await listed(), 'starting');
      assertDone(await cmCtl(instance, 'stop'), /conmgr stopped\n$/);
      const { ActiveState = '' } = await instance.host.unit(instance.unit);
      assert.match(ActiveState, /^(inactive|failed)$/);
      taken.killAll();
    });

    it('a directory of another user', async () => {
      await restore();
      await instance.host.output(['chown', '-R', 'postgres:', instance.directory]);
      const { status, stderr } = await cmCtl(instance, 'start');
      assert.equal(status, 78);
      assert.match(
        stderr,
        /belongs to user postgres, but conmgr runs as user conmgr\nHINT: .*cm_ctl register -D/,
      );
    });

    it('a unit that is masked, by itself or with its template: no start, no register, and the cure', async () => {
      await restore();
      const { host, unit } = instance;
      const files = 'find /etc/systemd/system /var/lib/conmgr | sort';
      for (const [option, masked, undo] of [
        ['--system', unit, 'systemctl unmask conmgr@app1'],
        ['--runtime', unit, 'systemctl unmask --runtime conmgr@app1'],
        ['--system', 'conmgr@.service', 'systemctl unmask conmgr@.service'],
      ] as const) {
        await host.output(['systemctl', 'mask', option, masked]);
        const before = await host.output(files);
        const said = new RegExp(`unit "conmgr@(app1)?\\.service" is masked\nHINT: +"${undo}" undoes it\\.`);
        for (const words of ['start', 'restart', 'register']) {
          const { status, stderr } = await cmCtl(instance, words);
          assert.equal(status, 1);
          assert.match(stderr, said, words);
        }
        const seen = await cmCtl(instance, 'status');
        assert.equal(seen.status, 3);
        assert.match(seen.stdout, /^unit conmgr@app1\.service: inactive \(dead\), masked$/m);
        const another = await host.run('cm_ctl register -N app9 -U conmgr');
        assert.equal(another.status, masked === unit ? 0 : 1, another.stderr);
        await host.run('cm_ctl unregister -N app9 && rm -r /var/lib/conmgr/app9');
        assert.equal(await host.output(files), before);
        await host.output(undo);
      }
    });

    it('a unit whose files have changed, have a condition that fails, or name nobody', async () => {
      await restore();
      const { host, unit, directory } = instance;
      const dropIn = `/etc/systemd/system/${unit}.d/override.conf`;
      // systemd sees a change of what it knows; of a new file Debian 12 learns by daemon-reload alone.
      await host.write(dropIn, '[Service]\nNice=1\n');
      await host.output('systemctl daemon-reload');
      assertDone(await cmCtl(instance, 'start -W'), /./);
      await host.write(dropIn, '[Service]\nLimitNOFILE=100\n');
      const stale =
        /warning: files of unit "conmgr@app1\.service" have changed .*\nHINT: .*: systemctl daemon-reload$/m;
      for (const words of ['check', 'restart -W']) {
        assert.match((await cmCtl(instance, words)).stderr, stale, words);
      }
      // It reads them itself, because what it says of limits is to hold.
      const registered = await cmCtl(instance, 'register --write-limits');
      assert.equal(registered.status, 0, registered.stderr);
      assert.equal((await host.unit(unit))['LimitNOFILE'], '100');
      assert.doesNotMatch((await cmCtl(instance, 'restart -W')).stderr, stale);
      assert.equal((await cmCtl(instance, 'unregister')).status, 0);
      await host.run(['systemctl', 'stop', unit]);

      await host.write(dropIn, '[Unit]\nConditionPathExists=/nothing\n');
      await host.output('systemctl daemon-reload');
      for (const words of ['start', 'start -W']) {
        const { status, stderr } = await cmCtl(instance, words);
        assert.equal(status, 1);
        assert.match(
          stderr,
          /^cm_ctl: unit .* does not run although .*\nDETAIL: +A condition .*\nHINT: .*journalctl -u /,
        );
      }

      await host.write(dropIn, '[Service]\nUser=nobody-here\n');
      await host.output('systemctl daemon-reload');
      const { status, stderr } = await cmCtl(instance, 'start');
      assert.equal(status, 1);
      assert.match(stderr, /217\/USER|credentials|step USER/);
      assertDone(await cmCtl(instance, 'stop'), /conmgr stopped\n$/);
      await host.output(`rm -r /etc/systemd/system/${unit}.d; systemctl daemon-reload; ls ${directory}`);
    });

    it('a directory that was moved while it runs: it can be stopped, and its log read', async () => {
      await restore();
      const { host, unit, directory } = instance;
      assertDone(await cmCtl(instance, 'start -W'), /./);
      await host.output(`mv ${directory} /srv/moved`);
      const seen = await cmCtl(instance, 'status');
      assert.equal(seen.status, 4);
      assert.match(seen.stderr, /does not exist/);
      assert.match(seen.stdout, /^unit conmgr@app1\.service: active \(running\), PID \d+/);
      assert.match((await cmCtl(instance, 'logs')).stdout, /starting conmgr .* in directory/);
      assertDone(await cmCtl(instance, 'stop'), /conmgr stopped\n$/);
      assert.equal((await host.unit(unit))['ActiveState'], 'inactive');
      assert.match((await cmCtl(instance, 'stop')).stderr, /does not exist/);
      await host.output(`mv /srv/moved ${directory}`);
    });

    it('a directory that is not there: status 4 of status, 1 of start, 3 of one that does not run', async () => {
      await restore();
      const missing = { host: instance.host, directory: '/var/lib/conmgr/nothing' };
      for (const [words, expected] of [
        ['start', 1],
        ['stop', 1],
        ['status', 4],
      ] as const) {
        const { status, stderr } = await cmCtl(missing, words);
        assert.equal(status, expected, words);
        assert.match(stderr, /directory "\/var\/lib\/conmgr\/nothing" does not exist/);
      }
      const { status, stdout } = await cmCtl(instance, 'status');
      assert.deepEqual(
        { status, stdout },
        { status: 3, stdout: `conmgr is not running in directory "${instance.directory}"\n` },
      );
    });
  });
}
