import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { Cluster } from './harness/cluster.js';
import { cmCtl } from './harness/cm-ctl.js';
import type { CommandResult } from './harness/commands.js';
import { Host } from './harness/host.js';
import { suites } from './harness/images.js';

const UNITS = '/etc/systemd/system';

function assertSaid({ status, stdout, stderr }: CommandResult, expected: number, ...said: RegExp[]): void {
  const text = stdout + stderr;
  assert.equal(status, expected, text);
  for (const one of said) assert.match(text, one);
}

/** All files and links that say what systemd is to do beyond what the packages brought. */
function settings(host: Host): Promise<string> {
  const named = 'find /var/lib/conmgr -mindepth 1 -maxdepth 1 -type l';
  return host.output(`find ${UNITS} -path '*conmgr*' | sort; ${named}`);
}

/** Who runs the process of a unit. */
async function runsAs(host: Host, unit: string): Promise<string> {
  return host.output(['stat', '--format=%U', `/proc/${await host.mainPid(unit)}`]);
}

const servers = (port: number): string => `backend_host0 = 127.0.0.1\nport = ${port}\n`;

for (const suite of suites()) {
  describe(`cm_ctl register on ${suite.name}`, () => {
    let host: Host;
    let untouched: string;
    const named = '/var/lib/conmgr/app1';
    const ctl = (words: string): Promise<CommandResult> => host.run(`cm_ctl ${words}`);
    before(async () => {
      host = await Host.boot(suite.installed, { name: 'register' });
      await host.output('for name in alice bob; do useradd --create-home $name; done');
      untouched = await settings(host);
    });
    after(() => host?.remove());

    it('-N NAME -U USER makes a directory of that user, and the service runs as him', async () => {
      assertSaid(
        await ctl('register -N app1 -U alice'),
        0,
        /^registered with systemd as conmgr@app1\.service$/m,
        /^ +made \/var\/lib\/conmgr\/app1$/m,
        /^ +enabled conmgr@app1\.service$/m,
        /^ +cm_ctl start -D \/var\/lib\/conmgr\/app1$/m,
      );
      const modes = await host.output(`stat --format='%U:%G %a' ${named} ${named}/conmgr.conf`);
      assert.equal(modes, 'alice:alice 700\nalice:alice 600');
      assert.equal((await host.unit('conmgr@app1'))['ActiveState'], 'inactive');
      assert.equal((await host.unit('conmgr@app1'))['User'], 'alice');
      assertSaid(await ctl(`start -D ${named}`), 78, /backend_host0/);
      await host.output(`cat >>${named}/conmgr.conf`, { input: servers(27501) });
      assertSaid(await ctl(`start -W -D ${named}`), 0);
      assert.equal(await runsAs(host, 'conmgr@app1'), 'alice');
      // What the process makes in its directory is its user's.
      assert.equal(await host.output(`find ${named} ! -user alice`), '');
    });

    it('twice changes nothing, and says so', async () => {
      const before = await settings(host);
      const pid = await host.mainPid('conmgr@app1');
      const again = /^conmgr@app1\.service is registered already with systemd; nothing was changed$/m;
      assertSaid(await ctl('register -N app1'), 0, again);
      assertSaid(await ctl(`register -D ${named}`), 0, again);
      assertSaid(await ctl('register -N app1 -U alice'), 0, again);
      assert.equal(await settings(host), before);
      assert.equal(await host.mainPid('conmgr@app1'), pid);
    });

    it('-N NAME -D DIR links the name to a directory elsewhere, and the service runs as its owner', async () => {
      await host.write('/srv/app2/conmgr.conf', servers(27502));
      await host.output('chown -R bob: /srv/app2');
      assertSaid(
        await ctl('register -N app2 -D /srv/app2'),
        0,
        /linked \/var\/lib\/conmgr\/app2 to \/srv\/app2$/m,
      );
      assertSaid(await ctl('start -W -D /srv/app2'), 0);
      assert.equal(await runsAs(host, 'conmgr@app2'), 'bob');
      const { unit } = JSON.parse((await ctl('status --json -D /srv/app2')).stdout);
      assert.equal(unit, 'conmgr@app2.service');
    });

    it('-D DIR alone registers the unit of the path, whatever characters that has', async () => {
      const directory = `/srv/my "odd" 100%\\dir's`;
      const odd = { host, directory };
      await host.write(`${directory}/conmgr.conf`, servers(27503), { owner: 'bob:bob' });
      await host.output(['chown', '-R', 'bob:', directory]);
      assertSaid(await cmCtl(odd, 'register'), 0);
      assertSaid(await cmCtl(odd, 'start -W'), 0);
      const { unit } = JSON.parse((await cmCtl(odd, 'status --json')).stdout);
      const escaped = await host.output([
        'systemd-escape',
        '--path',
        '--template=conmgr@.service',
        directory,
      ]);
      assert.equal(unit, escaped);
      assert.equal(await runsAs(host, escaped), 'bob');
      assertSaid(await cmCtl(odd, 'stop'), 0);
      assertSaid(await cmCtl(odd, 'unregister'), 0);
    });

    it('--write-limits raises the limit of the unit to what conmgr.conf needs, and takes that back', async () => {
      const limitOf = async (): Promise<string> =>
        host.output(
          `grep -oP '^Max open files +\\d+ +\\K\\d+' /proc/${await host.mainPid('conmgr@app2')}/limits`,
        );
      await host.write(`${UNITS}/conmgr@.service.d/10-limit.conf`, '[Service]\nLimitNOFILE=100\n');
      await host.output('systemctl daemon-reload; systemctl stop conmgr@app2');
      await host.output('echo max_connections = 1000 >>/srv/app2/conmgr.conf');
      assertSaid(
        await ctl('register -D /srv/app2'),
        0,
        /warning: limit of 100 open files of conmgr@app2\.service is too low: at least 1011 are needed/,
        /HINT: .*cm_ctl register -D \/srv\/app2 --write-limits/,
      );
      assertSaid(await ctl('check -D /srv/app2'), 78, /limit of conmgr@app2\.service: 100, too few/);
      assertSaid(await ctl('start -W -D /srv/app2'), 78, /limit of 100 open files is too low/);
      assertSaid(await ctl('register -D /srv/app2 --write-limits'), 0, /wrote .*\/51-cm_ctl-limits\.conf$/m);
      assertSaid(await ctl('start -W -D /srv/app2'), 0);
      assert.equal(await limitOf(), '1011');
      await host.output('sed -i s/1000/50/ /srv/app2/conmgr.conf');
      assertSaid(
        await ctl('register -D /srv/app2 --write-limits'),
        0,
        /removed .*\/51-cm_ctl-limits\.conf$/m,
        /^ +cm_ctl restart -D \/srv\/app2$/m,
      );
      await host.output('systemctl restart conmgr@app2');
      assert.equal(await limitOf(), '100');
    });

    it('--write-limits says so when a setting of the administrator has the last word', async () => {
      const directory = `${UNITS}/conmgr@app2.service.d`;
      await host.write(`${directory}/override.conf`, '[Service]\nLimitNOFILE=90\n');
      await host.output('systemctl daemon-reload; echo max_connections = 1000 >>/srv/app2/conmgr.conf');
      assertSaid(
        await ctl('register -D /srv/app2 --write-limits'),
        0,
        /warning: limit of open files of conmgr@app2\.service stays 90, although 1011 was written/,
      );
      await host.output(`rm ${directory}/override.conf; sed -i '$d' /srv/app2/conmgr.conf`);
      assertSaid(await ctl('register -D /srv/app2 --write-limits'), 0, /removed /);
      await host.output(`rm -r ${UNITS}/conmgr@.service.d; systemctl daemon-reload`);
    });

    it('starts what is registered with the host', async () => {
      await host.reboot();
      for (const [unit, user] of [
        ['conmgr@app1.service', 'alice'],
        ['conmgr@app2.service', 'bob'],
      ] as const) {
        await host.until(`${unit} runs`, async () => (await host.unit(unit))['ActiveState'] === 'active');
        assert.equal(await runsAs(host, unit), user);
        assert.equal((await host.unit(unit))['NRestarts'], '0');
      }
    });

    it('refuses what cannot be, in a clear line, and changes nothing', async () => {
      await host.write('/srv/root/conmgr.conf', servers(27504));
      await host.write('/srv/wrong/conmgr.conf', 'nonsense = 1\n');
      await host.output('install -d -o bob /srv/empty /top /tmp/hidden; chown -R bob: /srv/wrong');
      await host.write(`${UNITS}/conmgr@srv-foreign.service.d/50-cm_ctl.conf`, '[Service]\nNice=1\n');
      await host.write('/srv/foreign/conmgr.conf', servers(27505));
      await host.output('chown -R bob: /srv/foreign');
      const before = await settings(host);
      const cases: readonly [words: string, status: number, said: RegExp][] = [
        ['-N app1 -U bob', 1, /"\/var\/lib\/conmgr\/app1" belongs to user alice, not to bob/],
        ['-N app3', 2, /does not exist, and no user was named/],
        ['-N app3 -U nobody2', 1, /user "nobody2" does not exist/],
        ['-N app3 -U root', 1, /conmgr does not run as root/],
        ['-N .x -U alice', 2, /invalid instance name: "\.x"/],
        ['-N ../x -U alice', 2, /invalid instance name/],
        ['-N app3 -U alice --manager none', 2, /with the service manager of the host/],
        ['-N app3 -U alice --manager user', 1, /cannot be run as root/],
        ['', 2, /no directory given/],
        [
          '-N app3 -D /srv/app2',
          1,
          /registered as conmgr@app2\.service already\nHINT: .*unregister -D \/srv\/app2/,
        ],
        ['-N app1 -D /srv/empty', 1, /instance name "app1" is taken/],
        ['-D /srv/nothing', 1, /"\/srv\/nothing" does not exist/],
        ['-D /srv/root', 1, /belongs to root.*\nHINT: .*chown -R conmgr: \/srv\/root/],
        ['-D /srv/empty', 78, /could not read configuration file/],
        ['-D /srv/wrong', 78, /contains errors\nDETAIL: .*nonsense/],
        ['-D /top', 78, /lies directly below \//],
        ['-D /tmp/hidden', 78, /"\/tmp\/hidden" cannot be used by a systemd unit/],
        ['-D /srv/foreign', 1, /50-cm_ctl\.conf" was not written by cm_ctl/],
      ];
      for (const [words, status, said] of cases) assertSaid(await ctl(`register ${words}`), status, said);
      assert.equal(await settings(host), before);
      assert.equal((await host.run('ls -d /var/lib/conmgr/app3')).status, 2);
      await host.output(`rm -r ${UNITS}/conmgr@srv-foreign.service.d`);
    });

    it('leaves nothing half made when the disk is full, and is done when it has room', async () => {
      await host.output('mkdir /mnt/tiny && mount -t tmpfs -o size=64k,mode=755 tiny /mnt/tiny');
      await host.output('mount --bind /mnt/tiny /var/lib/conmgr; head -c 64k /dev/zero >/mnt/tiny/filler');
      const full = /could not create "\/var\/lib\/conmgr\/full": no space left on device$/m;
      assertSaid(await ctl('register -N full -U alice'), 1, full);
      assert.equal(await host.output('ls -A /var/lib/conmgr'), 'filler');
      await host.output('rm /mnt/tiny/filler');
      assertSaid(await ctl('register -N full -U alice'), 0, /made \/var\/lib\/conmgr\/full$/m);
      assertSaid(await ctl('unregister -N full'), 0);
      await host.output('umount /var/lib/conmgr /mnt/tiny');
    });

    it('tells of a process of its own how it is handed over, and unregisters nothing twice', async () => {
      await host.write('/srv/own/conmgr.conf', servers(27506));
      await host.output('chown -R bob: /srv/own');
      const own = { host, directory: '/srv/own' };
      assertSaid(await cmCtl(own, 'start -W --manager none', { user: 'bob' }), 0);
      assertSaid(
        await cmCtl(own, 'register'),
        0,
        /notice: conmgr \(PID \d+\) runs .* as a process of its own/,
      );
      assertSaid(await cmCtl(own, 'stop'), 0);
      assertSaid(await cmCtl(own, 'start -W'), 0);
      assert.equal(await runsAs(host, 'conmgr@srv-own'), 'bob');
      assertSaid(await cmCtl(own, 'unregister'), 0, /notice: conmgr@srv-own\.service is still running/);
      assertSaid(await cmCtl(own, 'unregister'), 1, /is not registered/);
      assertSaid(await cmCtl(own, 'stop'), 0);
    });

    it('unregister leaves the directory, and nothing else', async () => {
      for (const [words, directory] of [
        ['-N app1', named],
        ['-D /srv/app2', '/srv/app2'],
      ]) {
        assertSaid(await ctl(`stop -D ${directory}`), 0);
        assertSaid(
          await ctl(`unregister ${words}`),
          0,
          new RegExp(`^Directory ${directory} stays as it is\\.$`, 'm'),
        );
        assertSaid(await ctl(`unregister ${words}`), 1, /is not registered/);
        assert.match(await host.read(`${directory}/conmgr.conf`), /backend_host0 = 127/);
      }
      const left = (await settings(host)).split('\n').filter((path) => !untouched.split('\n').includes(path));
      // The target that starts all instances stays enabled.
      assert.deepEqual(
        left,
        [`${UNITS}/multi-user.target.wants/conmgr.target`].filter((path) => left.includes(path)),
      );
      await host.reboot();
      assert.equal(await host.output("systemctl list-units --all --no-legend 'conmgr@*'"), '');
    });
  });

  describe(`cm_ctl watchdog register on ${suite.name}`, () => {
    let host: Host;
    const programs = `/usr/lib/postgresql/${suite.postgres}/bin`;
    const data = '/srv/data/pg';
    const unit = 'conmgr-watchdog@srv-data-pg.service';
    const ctl = (words: string, user?: string): Promise<CommandResult> =>
      host.run(`cm_ctl watchdog ${words}`, user === undefined ? {} : { user });
    before(async () => {
      host = await Host.boot(suite.installed, { name: 'db' });
      await host.output('useradd --create-home alice; install -d -o alice -m 700 /srv/data');
      const user = 'alice';
      await host.output([`${programs}/initdb`, '-D', data, '-A', 'trust'], { user });
      const settings = [
        'port = 5455',
        "unix_socket_directories = '/srv/data'",
        "watchdog.allowed_clients = '127.0.0.1'",
      ];
      await host.output(`cat >>${data}/postgresql.conf`, { user, input: `${settings.join('\n')}\n` });
    });
    after(() => host?.remove());

    it('enables the unit of the path, which runs as the owner of the data directory', async () => {
      assertSaid(
        await ctl(`register -D ${data}`),
        0,
        /^registered with systemd as conmgr-watchdog@srv-data-pg\.service$/m,
        /^It watches \/srv\/data\/pg as user alice\.$/m,
        /^ +systemctl start conmgr-watchdog@srv-data-pg\.service$/m,
      );
      assertSaid(await ctl(`register -D ${data}`), 0, /nothing was changed$/m);
      await host.output(['systemctl', 'start', unit]);
      assert.equal(await runsAs(host, unit), 'alice');
    });

    it('serves the cluster, and after a boot, too', async () => {
      for (const boot of [false, true]) {
        if (boot) await host.reboot();
        await host.output([`${programs}/pg_ctl`, '-w', '-D', data, '-l', '/srv/data/log', 'start'], {
          user: 'alice',
        });
        await host.until('the watchdog sees a primary', async () => {
          const { status, stdout } = await ctl(`status --json -D ${data}`);
          return status === 0 && JSON.parse(stdout).instance.role === 'primary';
        });
        assert.equal(await runsAs(host, unit), 'alice');
        assert.equal((await host.unit(unit))['NRestarts'], '0');
        assert.equal(await host.output(`find ${data} ! -user alice`), '');
      }
    });

    it('unregister leaves the process, and no setting', async () => {
      assertSaid(
        await ctl(`unregister -D ${data}`),
        0,
        /notice: conmgr-watchdog@srv-data-pg\.service is still running\nHINT: .*systemctl stop conmgr-watchdog@srv-data-pg/,
      );
      assertSaid(await ctl(`unregister -D ${data}`), 1, /is not registered/);
      assert.doesNotMatch(await settings(host), /watchdog@/);
      assert.equal((await host.unit(unit))['ActiveState'], 'active');
      await host.output(['systemctl', 'stop', unit]);
    });

    it('takes the name that Debian has for a cluster', async () => {
      const { directory, watchdogUnit, unit: postgres } = new Cluster(host, suite);
      assertSaid(
        await ctl(`register -D ${directory}`),
        0,
        new RegExp(`^registered with systemd as ${watchdogUnit}$`, 'm'),
      );
      assert.equal((await host.run(`ls ${UNITS}/${watchdogUnit}.d`)).status, 2, 'it needs no drop-in');
      await host.output(['systemctl', 'start', postgres]);
      await host.reboot();
      await host.until('it runs', async () => (await host.unit(watchdogUnit))['ActiveState'] === 'active');
      assert.equal(await runsAs(host, watchdogUnit), 'postgres');
      assertSaid(await ctl(`unregister -D ${directory}`), 0);
      await host.output(['systemctl', 'stop', watchdogUnit]);
    });

    it('gives a cluster of Debian that lies elsewhere the right to write there', async () => {
      const { postgres } = suite;
      await host.output(`pg_createcluster --datadir=/srv/cluster/main2 ${postgres} my-cl --port=5499`);
      const name = `conmgr-watchdog@${postgres}-my\\x2dcl.service`;
      assertSaid(await ctl('register -D /srv/cluster/main2'), 0, /wrote .*50-cm_ctl\.conf$/m);
      await host.output(['systemctl', 'start', name]);
      assert.equal(await runsAs(host, name), 'postgres');
      assertSaid(await ctl('status -D /srv/cluster/main2'), 0);
      assertSaid(
        await ctl('unregister -D /srv/cluster/main2', 'postgres'),
        1,
        /only root may unregister a watchdog with the service manager of the host\nHINT: .*sudo cm_ctl watchdog unregister/,
      );
    });

    it('refuses what cannot be, in a clear line', async () => {
      const cases: readonly [words: string, status: number, said: RegExp, user?: string][] = [
        [`-D ${data} -U postgres`, 1, /belongs to user alice, not to postgres/],
        [`-D ${data} -U nobody2`, 1, /user "nobody2" does not exist/],
        ['-D /srv/nothing', 1, /"\/srv\/nothing"/],
        ['-D /srv', 1, /"\/srv"/],
        [`-D ${new Cluster(host, suite).directory}`, 1, /only root may register a watchdog/, 'postgres'],
      ];
      for (const [words, status, said, user] of cases)
        assertSaid(await ctl(`register ${words}`, user), status, said);
    });
  });
}
