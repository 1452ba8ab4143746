import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { Cluster } from './harness/cluster.js';
import { Host } from './harness/host.js';
import { suites } from './harness/images.js';
import { Instance, QUICK } from './harness/instance.js';

/** Exit statuses: sysexits.h, EX_NOPERM and EX_CONFIG. */
const NO_PERMISSION = 77;
const CONFIGURATION = 78;
/** conmgr(8), EXIT STATUS. */
const USAGE = 2;

/** A start that must end, at once and for good. */
interface BadStart {
  readonly what: string;
  readonly unit: string;
  /** Makes it bad; a shell's command. */
  readonly prepare?: string;
  /** A drop-in of the unit, below [Service]. */
  readonly setting?: string;
  readonly status: number;
  /** The one line that says why. */
  readonly line: RegExp;
}

async function assertEndsAtOnce(
  host: Host,
  { unit, prepare, setting, status, line }: BadStart,
): Promise<void> {
  if (prepare !== undefined) await host.output(prepare);
  if (setting !== undefined) {
    await host.write(`/run/systemd/system/${unit}.d/bad.conf`, `[Service]\n${setting}\n`);
    await host.output(['systemctl', 'daemon-reload']);
  }
  assert.notEqual((await host.run(['systemctl', 'start', unit])).status, 0);
  const { ActiveState, SubState, NRestarts, ExecMainStatus, StatusText } = await host.unit(unit);
  // A unit that systemd will start again is "activating", in its pauses too.
  assert.deepEqual(
    { ActiveState, SubState, NRestarts, ExecMainStatus },
    { ActiveState: 'failed', SubState: 'failed', NRestarts: '0', ExecMainStatus: String(status) },
  );
  assert.match(StatusText ?? '', line);
  const shown = (await host.run(['systemctl', 'status', '--full', '--lines=20', unit])).stdout;
  const fatal = shown.split('\n').filter((one) => one.includes('FATAL:'));
  assert.equal(fatal.length, 1, shown);
  assert.match(fatal[0] ?? '', line);
  assert.doesNotMatch(shown, /^ +at .*:\d+:\d+\)?$/m, 'no stack trace');
}

for (const suite of suites()) {
  const { postgres } = suite;
  const directory = '/var/lib/conmgr/app1';
  const dataDirectory = `/var/lib/postgresql/${postgres}/main`;
  const watchdog = `conmgr-watchdog@${postgres}-main.service`;
  /** All as it was, whatever the case before did to it. */
  const restore = async (host: Host): Promise<void> => {
    await host.output(
      `rm -rf ${directory} ${dataDirectory} /run/systemd/system/conmgr*.d; systemctl daemon-reload`,
    );
    await host.output(`cp -a /srv/app1 ${directory}; cp -a /srv/main ${dataDirectory}`);
  };
  const cases: readonly BadStart[] = [
    {
      what: 'a name without a directory',
      unit: 'conmgr@nothing.service',
      status: CONFIGURATION,
      line: /"\/var\/lib\/conmgr\/nothing".*no such file or directory/i,
    },
    {
      what: 'a path where nothing is',
      unit: 'conmgr@srv-nothing.service',
      status: CONFIGURATION,
      line: /"\/srv\/nothing".*no such file or directory/i,
    },
    {
      what: 'a directory that cannot be read',
      unit: 'conmgr@app1.service',
      prepare: `chmod 0 ${directory}`,
      status: CONFIGURATION,
      line: /"\/var\/lib\/conmgr\/app1".*permission denied/i,
    },
    {
      what: 'a directory of somebody else',
      unit: 'conmgr@app1.service',
      prepare: `chmod 755 ${directory}; chown -R postgres ${directory}`,
      status: CONFIGURATION,
      line: /"\/var\/lib\/conmgr\/app1" belongs to user postgres, but conmgr runs as user conmgr/,
    },
    {
      what: 'a unit that runs as root',
      unit: 'conmgr@app1.service',
      setting: 'User=root',
      status: NO_PERMISSION,
      line: /"root" execution of conmgr is not permitted/,
    },
    {
      what: 'a mistake in conmgr.conf',
      unit: 'conmgr@app1.service',
      prepare: `echo 'heartbeat_intervall = 3' >>${directory}/conmgr.conf`,
      status: CONFIGURATION,
      line: /conmgr\.conf" contains errors/,
    },
    {
      what: 'fewer descriptors than the configuration needs',
      unit: 'conmgr@app1.service',
      prepare: `echo 'max_connections = 1000' >>${directory}/conmgr.conf`,
      setting: 'LimitNOFILE=64',
      status: CONFIGURATION,
      line: /limit of 64 open files is too low: at least 1011 are needed/,
    },
    {
      what: 'fewer descriptors than conmgr takes by itself',
      unit: 'conmgr@app1.service',
      setting: 'LimitNOFILE=24',
      status: CONFIGURATION,
      line: /limit of 24 open files is too low: at least 48 are needed/,
    },
    {
      what: 'fewer descriptors than the watchdog takes by itself',
      unit: watchdog,
      setting: 'LimitNOFILE=36',
      status: CONFIGURATION,
      line: /limit of 36 open files is too low: at least 48 are needed/,
    },
    {
      what: 'a cluster that is not there',
      unit: `conmgr-watchdog@${postgres}-other.service`,
      status: CONFIGURATION,
      line: new RegExp(`cluster ${postgres}/other.*no such file or directory`, 'i'),
    },
    {
      what: 'a data directory that is not there',
      unit: 'conmgr-watchdog@srv-nothing.service',
      status: CONFIGURATION,
      line: /"\/srv\/nothing".*no such file or directory/i,
    },
    {
      what: 'a data directory that cannot be read',
      unit: watchdog,
      prepare: `chmod 0 ${dataDirectory}`,
      status: CONFIGURATION,
      line: /\/main".*permission denied/i,
    },
    {
      what: 'a data directory of somebody else',
      unit: watchdog,
      prepare: `chown -R conmgr ${dataDirectory}`,
      status: CONFIGURATION,
      line: /\/main" belongs to user conmgr, but the watchdog runs as user postgres/,
    },
    {
      what: 'a watchdog that runs as root',
      unit: watchdog,
      setting: 'User=root',
      status: NO_PERMISSION,
      line: /"root" execution of conmgr-watchdog is not permitted/,
    },
  ];

  describe(`on ${suite.name} a start ends at once, for good, with one line that says why, for`, () => {
    let host: Host;
    before(async () => {
      host = await Host.boot(suite.installed, { name: 'bad' });
      await Instance.init(host, 'app1', { ...QUICK, backend_host0: '127.0.0.1', backend_port0: 5432 });
      await host.output(`cp -a ${directory} /srv/app1; cp -a ${dataDirectory} /srv/main`);
    });
    after(() => host?.remove());
    for (const one of cases) {
      it(one.what, async () => {
        await restore(host);
        await assertEndsAtOnce(host, one);
      });
    }

    it('an option that there is not', async () => {
      await restore(host);
      const wrong = 'ExecStart=\nExecStart=/usr/bin/conmgr --unit %i --nonsense';
      await host.write('/run/systemd/system/conmgr@app1.service.d/bad.conf', `[Service]\n${wrong}\n`);
      await host.output(['systemctl', 'daemon-reload']);
      assert.notEqual((await host.run(['systemctl', 'start', 'conmgr@app1'])).status, 0);
      const { ActiveState, NRestarts, ExecMainStatus } = await host.unit('conmgr@app1');
      assert.deepEqual(
        { ActiveState, NRestarts, ExecMainStatus },
        { ActiveState: 'failed', NRestarts: '0', ExecMainStatus: String(USAGE) },
      );
      const { stdout } = await host.run(['systemctl', 'status', 'conmgr@app1']);
      assert.match(stdout, /conmgr: unknown argument "--nonsense"/);
    });

    it('nothing that is as it should be', async () => {
      await restore(host);
      const cluster = new Cluster(host, suite);
      await host.output(['systemctl', 'start', 'conmgr@app1', cluster.watchdogUnit]);
    });

    it('no watchdog of an instance that runs, whose file has a mistake by now', async () => {
      await restore(host);
      const cluster = new Cluster(host, suite);
      const file = `/etc/postgresql/${postgres}/main/conf.d/mistake.conf`;
      await host.output(['systemctl', 'restart', cluster.unit]);
      await host.write(file, 'listen_addresses = 10.0.0.1\n');
      await host.output(['systemctl', 'restart', cluster.watchdogUnit]);
      await host.until('it serves the instance', async () =>
        /^instance up /.test((await host.unit(cluster.watchdogUnit))['StatusText'] ?? ''),
      );
      await host.output(['rm', file]);
    });

    it('no watchdog with few descriptors: it takes fewer links, and says so', async () => {
      await restore(host);
      const { watchdogUnit } = new Cluster(host, suite);
      await host.write(`/run/systemd/system/${watchdogUnit}.d/bad.conf`, '[Service]\nLimitNOFILE=64\n');
      await host.output('systemctl daemon-reload');
      await host.output(['systemctl', 'restart', watchdogUnit]);
      const { ActiveState, NRestarts } = await host.unit(watchdogUnit);
      assert.deepEqual({ ActiveState, NRestarts }, { ActiveState: 'active', NRestarts: '0' });
      const lines = (await host.journal(`--unit=${watchdogUnit}`, '--boot')).map(
        ({ MESSAGE = '' }) => MESSAGE,
      );
      const warning = 'limit of 64 open files allows 14 heartbeat connections instead of 100';
      assert.ok(
        lines.some((line) => line.includes(warning)),
        lines.join('\n'),
      );
    });
  });
}
