import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { Cluster } from './harness/cluster.js';
import { assertDone, cmCtl, STARTED, STOPPED } from './harness/cm-ctl.js';
import { Host } from './harness/host.js';
import { type Suite, suites } from './harness/images.js';
import { Instance, QUICK, type Settings } from './harness/instance.js';
import { copyNodePackage } from './harness/node-packages.js';

const toItself: Settings = { ...QUICK, backend_host0: '127.0.0.1', backend_port0: 5432 };

/** Keeps one session and one attachment, whatever becomes of them. */
const APPLICATION = `
const { CmClient } = require('conmgr/client');
const client = new CmClient({
  host: 'localhost', port: 27546, user: 'postgres', database: 'postgres', target_session_attrs: 'read-write',
});
client.on('error', () => {});
client.connect()
  .then(() => client.query('select pg_sleep(1000)'))
  .catch((error) => console.log('lost: ' + error.code));
`;

async function stateOf({ host, unit }: Instance): Promise<Record<string, string | undefined>> {
  const { ActiveState, Result, NRestarts } = await host.unit(unit);
  return { ActiveState, Result, NRestarts };
}

/** Waits until systemd has seen the end of the process, and what it made of it: no attempt to start it again. */
async function assertStopped(instance: Instance): Promise<void> {
  await instance.host.until(`${instance.unit} has no process`, async () => {
    const { MainPID, Job = '' } = await instance.host.unit(instance.unit);
    return MainPID === '0' && ['', '0'].includes(Job);
  });
  assert.deepEqual(await stateOf(instance), { ActiveState: 'inactive', Result: 'success', NRestarts: '0' });
}

/** PostgreSQL with its watchdog, and an instance of conmgr that has it for its primary. */
async function boot(suite: Suite): Promise<Instance> {
  const host = await Host.boot(suite.installed, { name: 'ctl' });
  const cluster = new Cluster(host, suite);
  await cluster.configure({ 'watchdog.allowed_clients': '127.0.0.1' });
  await host.write(
    `/etc/postgresql/${suite.postgres}/main/pg_hba.conf`,
    'local all all trust\nhost all all 127.0.0.1/32 trust\n',
    { owner: 'postgres:postgres' },
  );
  await cluster.start();
  await host.output(['systemctl', 'start', cluster.watchdogUnit]);
  return Instance.init(host, 'app1', toItself);
}

/** What tells one start of a process from another way to start it. */
async function circumstances({ host, unit }: Instance): Promise<Record<string, string>> {
  const pid = await host.mainPid(unit);
  const ofOneStart = 'INVOCATION_ID|JOURNAL_STREAM|SYSTEMD_EXEC_PID|MANAGERPIDFDID|WATCHDOG_PID';
  const environment = `tr '\\0' '\\n' </proc/${pid}/environ | grep -vE '^(${ofOneStart})=' | sort`;
  const rights = `grep -E '^(Uid|Gid|Groups|Cap|NoNewPrivs|Seccomp:)' /proc/${pid}/status`;
  const entries = Object.entries({
    environment,
    rights,
    command: `tr '\\0' ' ' </proc/${pid}/cmdline`,
    limits: `cat /proc/${pid}/limits`,
    group: `cat /proc/${pid}/cgroup`,
    directory: `readlink /proc/${pid}/cwd`,
    stdio: `readlink /proc/${pid}/fd/0`,
  });
  return Object.fromEntries(
    await Promise.all(entries.map(async ([what, script]) => [what, await host.output(script)] as const)),
  );
}

for (const suite of suites()) {
  describe(`cm_ctl as root on ${suite.name}`, () => {
    let instance: Instance;
    before(async () => {
      instance = await boot(suite);
    });
    after(() => instance?.host.remove());

    it('starts the service, and returns when the primary can be reached', async () => {
      assertDone(await cmCtl(instance, 'start'), STARTED);
      assert.match((await cmCtl(instance, 'resolve read-write')).stdout, /^host=127\.0\.0\.1 .*port=5432\n$/);
      assert.deepEqual(await stateOf(instance), { ActiveState: 'active', Result: 'success', NRestarts: '0' });
    });

    it('does not start it twice', async () => {
      const pid = await instance.host.mainPid(instance.unit);
      const { status, stderr } = await cmCtl(instance, 'start');
      assert.equal(status, 1);
      assert.match(
        stderr,
        new RegExp(`already running in directory "${instance.directory}" \\(PID ${pid}\\)`),
      );
      assert.equal(await instance.host.mainPid(instance.unit), pid);
    });

    it('starts the same process as systemctl does', async () => {
      const byCtl = await circumstances(instance);
      await instance.host.output(['systemctl', 'stop', instance.unit]);
      await instance.host.output(['systemctl', 'start', instance.unit]);
      assert.deepEqual(await circumstances(instance), byCtl);
    });

    it('shows the service in its status', async () => {
      assertDone(await cmCtl(instance, 'status'), /^Unit: +conmgr@app1\.service$/m);
      const { unit, manager, pid } = JSON.parse((await cmCtl(instance, 'status --json')).stdout);
      const running = await instance.host.mainPid(instance.unit);
      assert.deepEqual({ unit, manager, pid }, { unit: instance.unit, manager: 'system', pid: running });
    });

    it('reloads it, as the same process, and says what changed', async () => {
      const pid = await instance.host.mainPid(instance.unit);
      await instance.append({ max_connections: 123 });
      assertDone(await cmCtl(instance, 'reload'), /^conmgr reloaded\nchanged: max_connections\n/);
      assert.equal(await instance.host.mainPid(instance.unit), pid);
      await instance.append({ max_connections: 'many' });
      const { status, stderr } = await cmCtl(instance, 'reload');
      assert.equal(status, 78);
      assert.match(stderr, /was not loaded.*\nDETAIL: .*max_connections/);
      await instance.append({ max_connections: 123 });
    });

    it('restarts it in one job, and applications keep their sessions', async () => {
      const { host, unit } = instance;
      const cluster = new Cluster(host, suite);
      await copyNodePackage(host, 'pg');
      await host.write('/srv/application.js', APPLICATION);
      const application = host.start(['node', '/srv/application.js'], { user: 'postgres' });
      const session = (): Promise<string> =>
        cluster.sql(
          "select string_agg(pid::text, ',') from pg_stat_activity where query ~ '^select pg_sleep'",
        );
      const attached = async (): Promise<boolean> => (await instance.status()).applications.length === 1;
      await host.until('it has its session', async () => (await session()) !== '' && (await attached()));
      const before = { pid: await host.mainPid(unit), session: await session() };
      const [cursor = ''] = await host
        .journal('--lines=1')
        .then((entries) => entries.map((one) => one['__CURSOR'] ?? ''));
      const { status, stdout, stderr } = await cmCtl(instance, 'restart');
      assert.deepEqual({ status, stderr }, { status: 0, stderr: '' });
      assert.match(
        stdout,
        /^waiting .* shut down\.+ done\nconmgr stopped\nwaiting .* start\.+ done\nconmgr started\n$/,
      );
      assert.notEqual(await host.mainPid(unit), before.pid);
      const jobs = (await host.journal(`--after-cursor=${cursor}`, `UNIT=${unit}`)).map(
        (entry) => entry['JOB_ID'],
      );
      assert.equal(new Set(jobs.filter(Boolean)).size, 1, `jobs ${jobs.join(', ')}`);
      await host.until('the application is attached again', attached);
      assert.equal(await session(), before.session);
      application.killAll();
    });

    it('with -W only orders a restart', async () => {
      const { host, unit } = instance;
      const before = await host.mainPid(unit);
      assertDone(await cmCtl(instance, 'restart -W'), /^conmgr restarting\n$/);
      await host.until('another process runs', async () => {
        const { ActiveState, MainPID } = await host.unit(unit);
        return ActiveState === 'active' && MainPID !== String(before);
      });
    });

    it('starts by a restart what does not run', async () => {
      assertDone(await cmCtl(instance, 'stop'), STOPPED);
      const { status, stdout, stderr } = await cmCtl(instance, 'restart');
      assert.equal(status, 0);
      assert.match(stdout, STARTED);
      assert.match(stderr, /notice: conmgr is not running .*\nHINT: +Starting it anyway\.\n/);
    });

    for (const words of ['stop', 'stop -m fast', 'stop -m smart', 'stop -m immediate']) {
      it(`stops it for good with ${words}`, async () => {
        await instance.host.output(['systemctl', 'start', instance.unit]);
        assertDone(await cmCtl(instance, words), STOPPED);
        await assertStopped(instance);
        const again = await cmCtl(instance, words);
        assert.equal(again.status, 1);
        assert.match(again.stderr, /conmgr is not running in directory/);
      });
    }

    it('waits with a smart stop until no application is attached', async () => {
      const { host } = instance;
      await cmCtl(instance, 'start');
      const application = host.start(['node', '/srv/application.js'], { user: 'postgres' });
      await host.until('it is attached', async () => (await instance.status()).applications.length === 1);
      const { status, stderr } = await cmCtl(instance, 'stop -m smart -t 1');
      assert.equal(status, 1);
      assert.match(stderr, /does not shut down: it waits for applications to detach \(1 left\)/);
      assert.equal((await host.unit(instance.unit))['ActiveState'], 'active');
      application.killAll();
      await assertStopped(instance);
    });

    it('with -W starts and stops without waiting', async () => {
      assertDone(await cmCtl(instance, 'start -W'), /^conmgr starting\n$/);
      assert.equal((await instance.host.unit(instance.unit))['ActiveState'], 'active');
      assertDone(await cmCtl(instance, 'stop -W'), /^conmgr shutting down\n$/);
      await assertStopped(instance);
    });

    it('waits no longer than -t for a primary, and leaves the service running', async () => {
      const { watchdogUnit } = new Cluster(instance.host, suite);
      await instance.host.output(['systemctl', 'stop', watchdogUnit]);
      const { status, stdout, stderr } = await cmCtl(instance, 'start -t 1');
      assert.equal(status, 1);
      assert.match(stdout, /\.+ stopped waiting\n$/);
      assert.match(
        stderr,
        /no link to a primary within 1 s; conmgr runs on\nDETAIL: +instance 0 \(127\.0\.0\.1:5432\)/,
      );
      assert.equal((await instance.host.unit(instance.unit))['ActiveState'], 'active');
      await instance.host.output(['systemctl', 'start', watchdogUnit]);
      assertDone(await cmCtl(instance, 'stop'), STOPPED);
    });
  });
}
