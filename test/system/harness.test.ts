import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { RUN_ID, sweepDeadRuns } from '../runner/sweep.js';
import { groupOfRun } from './harness/control-groups.js';
import { Host } from './harness/host.js';
import { suites } from './harness/images.js';
import { Lab, type LabHost } from './harness/lab.js';
import { notedRuns, noteRun } from './harness/leftovers.js';

/** Its number in linux/capability.h. */
const CAP_SYS_TIME = 25n;

/** Whether a TCP connection from one host to another is accepted within a second. */
async function reaches(from: Host, to: LabHost): Promise<boolean> {
  const script = `exec 3<>/dev/tcp/${to}/9000`;
  return (await from.run(['timeout', '1', 'bash', '-c', script])).status === 0;
}

for (const suite of suites()) {
  describe(`a host of ${suite.name}`, () => {
    let host: Host;
    before(async () => {
      host = await Host.boot(suite.stock, { name: 'plain' });
    });
    after(() => host?.remove());

    it('runs systemd, has its name and no failed unit', async () => {
      assert.equal(await host.output(['systemctl', 'is-system-running']), 'running');
      assert.equal(await host.output(['uname', '-n']), 'plain');
    });

    it('hands on arguments, input, output and status as they are', async () => {
      const script = 'printf %s "$1"; cat; echo "$A" >&2; exit 7';
      const result = await host.run(['sh', '-c', script, 'sh', "it's  so\n"], {
        input: 'input',
        env: { A: 'b c' },
      });
      assert.deepEqual(result, { status: 7, stdout: "it's  so\ninput", stderr: 'b c\n' });
    });

    it('runs commands as another user with the environment of a login', async () => {
      const seen = await host.output('echo $(id -un) $(id -gn) $HOME', { user: 'postgres' });
      assert.equal(seen, 'postgres postgres /var/lib/postgresql');
    });

    it('ends a command that takes too long, with all that it started', async () => {
      await assert.rejects(host.run('sleep 1000 & sleep 1000', { timeoutMs: 200 }), /not done after 200 ms/);
      await host.until('no sleep is left', async () => (await host.run(['pgrep', 'sleep'])).status === 1);
    });

    it('has no right over the clock of the machine, in services and in commands', async () => {
      // The attempt itself would be the damage.
      for (const process of ['1', 'self']) {
        const [, rights = ''] = /^CapBnd:\t(\S+)$/m.exec(await host.read(`/proc/${process}/status`)) ?? [];
        assert.match(rights, /^[0-9a-f]{16}$/);
        assert.equal(BigInt(`0x${rights}`) & (1n << CAP_SYS_TIME), 0n, `process ${process}`);
      }
    });

    it('has a journal that can be asked', async () => {
      await host.output(['logger', '--tag', 'harness', '--priority', 'local3.warning', 'grüezi']);
      const [entry] = await host.until('the entry is there', async () => {
        const found = await host.journal('--identifier=harness');
        return found.length === 1 && found;
      });
      assert.equal(entry?.['MESSAGE'], 'grüezi');
      assert.equal(entry?.['PRIORITY'], '4');
    });

    it('reaches nothing but itself', async () => {
      const links = JSON.parse(await host.output(['ip', '-json', 'link'])) as { ifname: string }[];
      assert.deepEqual(
        links.map(({ ifname }) => ifname),
        ['lo'],
      );
    });

    it('keeps its disk when the power goes, and forgets what ran', async () => {
      await host.write('/srv/kept/file', 'text\n', { mode: '0600', owner: 'postgres:postgres' });
      const sleep = host.start(['sleep', '1000']);
      await host.losePower();
      assert.notEqual((await sleep.done).code, 0);
      await host.powerOn();
      assert.equal(await host.read('/srv/kept/file'), 'text\n');
      assert.equal(await host.output(['stat', '-c', '%a %U', '/srv/kept/file']), '600 postgres');
      assert.equal((await host.run(['pgrep', 'sleep'])).status, 1);
    });

    it('shuts down in order', async () => {
      const unit = '[Service]\nExecStart=sleep infinity\nExecStop=touch /srv/stopped\n';
      await host.write('/etc/systemd/system/last.service', unit);
      await host.output(['systemctl', 'start', 'last']);
      await host.reboot();
      assert.equal(await host.output(['ls', '/srv/stopped']), '/srv/stopped');
    });
  });
}

for (const suite of suites()) {
  describe(`three hosts of ${suite.name} on a switch`, () => {
    let lab: Lab;
    before(async () => {
      lab = await Lab.up(suite.stock);
      const socket = '[Socket]\nListenStream=9000\nAccept=yes\n';
      for (const host of [lab.app, lab.db1, lab.db2]) {
        await host.write('/etc/systemd/system/echo.socket', socket);
        await host.write(
          '/etc/systemd/system/echo@.service',
          '[Service]\nExecStart=cat\nStandardInput=socket\n',
        );
        await host.output(['systemctl', 'start', 'echo.socket']);
      }
    });
    after(() => lab?.remove());

    it('know each other by name', async () => {
      assert.equal(await reaches(lab.app, 'db1'), true);
      assert.equal(await reaches(lab.db1, 'db2'), true);
      assert.equal(await reaches(lab.db2, 'app'), true);
    });

    it('lose one another when a cable is pulled, until it is back', async () => {
      await lab.cut('db1');
      assert.equal(await reaches(lab.app, 'db1'), false);
      assert.equal(await reaches(lab.app, 'db2'), true);
      await lab.mend('db1');
      await lab.app.until('db1 is back', () => reaches(lab.app, 'db1'));
    });

    it('can be split in pairs', async () => {
      await lab.split('app', 'db1');
      assert.equal(await reaches(lab.app, 'db1'), false);
      assert.equal(await reaches(lab.db2, 'db1'), true);
      await lab.heal();
      assert.equal(await reaches(lab.app, 'db1'), true);
    });
  });
}

describe('a run that was killed together with its sweeper', () => {
  it('is swept by the next one: hosts, network and directories', async () => {
    const run = `0-${randomBytes(4).toString('hex')}`;
    const own = process.env[RUN_ID];
    const directory = mkdtempSync(join(tmpdir(), 'dead-run-'));
    noteRun(run, [directory]);
    process.env[RUN_ID] = run;
    try {
      const lab = await Lab.up(suites()[0]?.stock ?? []);
      const sleep = lab.app.start(['sleep', '1000']);
      assert.ok(existsSync(groupOfRun(run)));
      await sweepDeadRuns();
      await sleep.done;
    } finally {
      process.env[RUN_ID] = own;
    }
    assert.ok(!existsSync(groupOfRun(run)));
    assert.ok(!existsSync(directory));
    assert.ok(!notedRuns().has(run));
    assert.deepEqual(
      readdirSync('/run/netns').filter((name) => name.includes(run)),
      [],
    );
  });
});
