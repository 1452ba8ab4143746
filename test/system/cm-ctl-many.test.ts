import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { assertDone, cmCtl, STOPPED } from './harness/cm-ctl.js';
import { Host } from './harness/host.js';
import { suites } from './harness/images.js';
import { Instance, QUICK, type Settings } from './harness/instance.js';

const toItself: Settings = { ...QUICK, backend_host0: '127.0.0.1', backend_port0: 5432 };

for (const suite of suites()) {
  describe(`cm_ctl beside several instances on ${suite.name}`, () => {
    let host: Host;
    let running: Instance;
    let own: Instance;
    before(async () => {
      host = await Host.boot(suite.installed, { name: 'many' });
      running = await Instance.init(host, 'running', { ...toItself, port: 27501 });
      own = await Instance.init(host, 'own', { ...toItself, port: 27502 });
      await Instance.init(host, 'stopped', { ...toItself, port: 27503 });
      const failed = await Instance.init(host, 'failed', { ...toItself, nonsense: 1 });
      await host.output(['systemctl', 'enable', 'conmgr@stopped']);
      await cmCtl(running, 'start -W');
      assert.equal((await cmCtl(failed, 'start -W')).status, 78);
    });
    after(() => host?.remove());

    it('starts a process of its own with --manager none, which no unit knows', async () => {
      const words = 'start -W --manager none';
      assertDone(await cmCtl(own, words, { user: 'conmgr' }), /^conmgr starting\n$/);
      const { unit, manager, pid } = JSON.parse((await cmCtl(own, 'status --json')).stdout);
      assert.deepEqual({ unit, manager }, { unit: null, manager: 'none' });
      assert.doesNotMatch(await host.read(`/proc/${pid}/cgroup`), /conmgr@/);
      assert.equal((await host.unit(own.unit))['ActiveState'], 'inactive');
    });

    it('runs no process of its own as root, neither anew nor again', async () => {
      const pid = (await own.status()).pid;
      for (const [directory, words] of [
        ['/var/lib/conmgr/stopped', 'start --manager none'],
        [own.directory, 'restart'],
      ]) {
        const { status, stderr } = await host.run(`cm_ctl ${words} -D ${directory}`);
        assert.equal(status, 1);
        assert.match(stderr, /cannot be run as root/);
      }
      assert.equal((await own.status()).pid, pid);
    });

    it('leaves a service that runs to systemd, whatever --manager says', async () => {
      const before = await host.mainPid(running.unit);
      assertDone(await cmCtl(running, 'restart -W --manager none'), /^conmgr restarting\n$/);
      await host.until('another process runs', async () => {
        const { ActiveState, MainPID } = await host.unit(running.unit);
        return ActiveState === 'active' && MainPID !== String(before);
      });
    });

    it('lists what runs, what is to run and what has failed', async () => {
      const list: Record<string, unknown>[] = JSON.parse(await host.output('cm_ctl list --json'));
      const pids = { running: await host.mainPid(running.unit), own: (await own.status()).pid };
      const row = (name: string, state: string, pid: number | null): unknown => ({
        directory: `/var/lib/conmgr/${name}`,
        unit: name === 'own' ? null : `conmgr@${name}.service`,
        manager: name === 'own' ? 'none' : 'system',
        pid,
        user: 'conmgr',
        state,
      });
      const byName = (one: unknown): string => (one as { directory: string }).directory;
      assert.deepEqual(
        [...list].sort((a, b) => (byName(a) < byName(b) ? -1 : 1)),
        [
          row('failed', 'failed', null),
          row('own', 'running', pids.own),
          row('running', 'running', pids.running),
          row('stopped', 'stopped', null),
        ],
      );
      const table = await host.output('cm_ctl list');
      assert.match(table, /^directory +unit +pid +user +state$/m);
      assert.match(table, /^\/var\/lib\/conmgr\/failed +conmgr@failed\.service +- +conmgr +failed$/m);
    });

    it('does not start the service of a directory that a process of its own has', async () => {
      assert.notEqual((await host.run(['systemctl', 'start', own.unit])).status, 0);
      const { ActiveState, StatusText } = await host.unit(own.unit);
      assert.match(StatusText ?? '', /is in use by another process \(PID \d+\)/);
      assert.notEqual(ActiveState, 'active');
      await host.output(['systemctl', 'stop', own.unit]);
    });

    it('shows the log of each: the journal of the service, the file of the process of its own', async () => {
      const journal = await cmCtl(running, 'logs -n 100');
      assert.equal(journal.status, 0, journal.stderr);
      assert.match(
        journal.stdout,
        / conmgr\[\d+\]: .*starting conmgr .* in directory "\/var\/lib\/conmgr\/running"/,
      );
      assert.doesNotMatch(journal.stdout, /conmgr\/own/);
      const file = await cmCtl(own, 'logs', { user: 'conmgr' });
      assert.equal(file.status, 0, file.stderr);
      assert.equal(file.stdout, await host.read(`${own.directory}/conmgr.log`));
      assert.equal((await cmCtl(running, 'logs -n 2')).stdout.split('\n').length, 3);
    });

    it('follows the journal until it is interrupted', async () => {
      const following = host.start(['cm_ctl', 'logs', '-f', '-n', '1', '-D', running.directory]);
      await following.waitForLine(/conmgr\[\d+\]/);
      await cmCtl(running, 'reload');
      await following.waitForLine(/reload/i);
      following.kill('SIGINT');
      assert.equal((await following.done).code, 0);
    });

    it('stops a process of its own as such', async () => {
      assertDone(await cmCtl(own, 'stop'), STOPPED);
      assert.equal((await cmCtl(own, 'status')).status, 3);
    });
  });
}
