import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { Cluster } from './harness/cluster.js';
import { Host } from './harness/host.js';
import { suites } from './harness/images.js';
import { Instance, QUICK } from './harness/instance.js';

/** A daemon under systemd: what all must keep. */
interface Daemon {
  readonly host: Host;
  readonly unit: string;
  /** Changes a setting that a reload takes over, named `watched`. */
  readonly change?: () => Promise<void>;
  readonly watched?: string;
}

/** Loaded into a daemon: its event loop stands still from the signal on, while its other threads go on. */
const BLOCK_LOOP = "process.on('SIGIO', () => { for (;;); });\n";
const BLOCK_FILE = '/srv/block-loop.js';

/** Waits until the unit was started again `times` times and runs. */
function startedAgain({ host, unit }: Daemon, times: number): Promise<true> {
  return host.until(`${unit} was started again`, async () => {
    const { ActiveState, SubState, NRestarts } = await host.unit(unit);
    return ActiveState === 'active' && SubState === 'running' && NRestarts === String(times);
  });
}

function daemonRules(daemon: () => Daemon): void {
  it('is ready when systemctl start returns, and says in a line how it is', async () => {
    const { host, unit } = daemon();
    await host.output(['systemctl', 'start', unit]);
    const { ActiveState, Type, NotifyAccess, StatusText } = await host.unit(unit);
    assert.deepEqual(
      { ActiveState, Type, NotifyAccess },
      { ActiveState: 'active', Type: 'notify', NotifyAccess: 'main' },
    );
    assert.match(StatusText ?? '', /\S/);
    assert.match(await host.output(['systemctl', 'status', unit]), /^ *Status: "\S.*"$/m);
  });

  it('reads its configuration again at systemctl reload, as the same process', async () => {
    const { host, unit, change, watched } = daemon();
    const before = await host.mainPid(unit);
    await change?.();
    await host.output(['systemctl', 'reload', unit]);
    if (watched !== undefined) {
      await host.until('the change is in the journal', async () =>
        (await host.journal(`--unit=${unit}`)).some(({ MESSAGE = '' }) => MESSAGE.includes(watched)),
      );
    }
    const { ActiveState } = await host.unit(unit);
    assert.equal(ActiveState, 'active');
    assert.equal(await host.mainPid(unit), before);
  });

  it('is another process after systemctl restart, and ready', async () => {
    const { host, unit } = daemon();
    const before = await host.mainPid(unit);
    await host.output(['systemctl', 'restart', unit]);
    assert.notEqual(await host.mainPid(unit), before);
    assert.equal((await host.unit(unit))['ActiveState'], 'active');
  });

  it('is started again when it was killed', async () => {
    const { host, unit } = daemon();
    const before = await host.mainPid(unit);
    await host.signal(unit, 'SIGKILL');
    await startedAgain(daemon(), 1);
    assert.notEqual(await host.mainPid(unit), before);
  });

  for (const [how, signal] of [
    ['is stopped', 'SIGSTOP'],
    ['hangs in its event loop alone', 'SIGIO'],
  ] as const) {
    it(`is ended by WatchdogSec when it ${how}, and started again`, async () => {
      const { host, unit } = daemon();
      await host.write(BLOCK_FILE, BLOCK_LOOP);
      await host.write(
        `/etc/systemd/system/${unit}.d/quick.conf`,
        [
          '[Service]',
          'WatchdogSec=2s',
          'TimeoutAbortSec=1s',
          'UnsetEnvironment=',
          `Environment=NODE_OPTIONS=--require=${BLOCK_FILE}`,
          '',
        ].join('\n'),
      );
      await host.output(['systemctl', 'daemon-reload']);
      await host.output(['systemctl', 'restart', unit]);
      const { InvocationID } = await host.unit(unit);
      await host.signal(unit, signal);
      await startedAgain(daemon(), 1);
      const lines = (await host.journal(`UNIT=${unit}`, `INVOCATION_ID=${InvocationID}`)).map(
        ({ MESSAGE = '' }) => MESSAGE,
      );
      assert.ok(
        lines.some((line) => line.includes('Watchdog timeout (limit 2s)!')),
        lines.join('\n'),
      );
    });
  }

  it('stops when told to, with status 0', async () => {
    const { host, unit } = daemon();
    await host.output(['systemctl', 'stop', unit]);
    const { ActiveState, Result, ExecMainStatus } = await host.unit(unit);
    assert.deepEqual(
      { ActiveState, Result, ExecMainStatus },
      { ActiveState: 'inactive', Result: 'success', ExecMainStatus: '0' },
    );
  });
}

/** Twice the sum of the times must be less than WatchdogSec= of the tests, or conmgr lengthens that. */
const toItself = {
  ...QUICK,
  heartbeat_interval: '200ms',
  heartbeat_timeout: '700ms',
  backend_host0: '127.0.0.1',
  backend_port0: 5432,
};

for (const suite of suites()) {
  describe(`conmgr@app1 on ${suite.name}`, () => {
    let host: Host;
    let instance: Instance;
    before(async () => {
      host = await Host.boot(suite.installed, { name: 'app' });
      instance = await Instance.init(host, 'app1', toItself);
    });
    after(() => host?.remove());
    daemonRules(() => ({
      host,
      unit: instance.unit,
      watched: 'max_connections',
      change: () => instance.append({ max_connections: 123 }),
    }));
  });

  describe(`conmgr-watchdog@${suite.postgres}-main on ${suite.name}`, () => {
    let host: Host;
    let cluster: Cluster;
    before(async () => {
      host = await Host.boot(suite.installed, { name: 'db1' });
      cluster = new Cluster(host, suite);
      await cluster.configure({ 'watchdog.allowed_clients': '127.0.0.1' });
      await cluster.start();
    });
    after(() => host?.remove());
    daemonRules(() => ({
      host,
      unit: cluster.watchdogUnit,
      watched: 'watchdog.allowed_clients',
      change: async () => {
        await cluster.configure({ 'watchdog.allowed_clients': '127.0.0.0/8' });
        await cluster.sql('select pg_reload_conf()');
      },
    }));
  });

  describe(`conmgr-helper on ${suite.name}, which may not load programs into the kernel`, () => {
    let host: Host;
    before(async () => {
      host = await Host.boot(suite.installed, { name: 'app' });
    });
    after(() => host?.remove());
    daemonRules(() => ({ host, unit: 'conmgr-helper.service' }));

    it('says what keeps the programs out, without trying for ever', async () => {
      const { ActiveState, ExecMainStatus, NRestarts } = await host.unit('conmgr-redirect.service');
      assert.deepEqual(
        { ActiveState, ExecMainStatus, NRestarts },
        { ActiveState: 'failed', ExecMainStatus: '78', NRestarts: '0' },
      );
    });
  });
}
