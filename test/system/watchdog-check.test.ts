/** Root asks after a watchdog: `cm_ctl watchdog` in a shell of root, as the manual's examples have it. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { Cluster } from './harness/cluster.js';
import type { CommandResult } from './harness/commands.js';
import { Host } from './harness/host.js';
import { suites } from './harness/images.js';

for (const suite of suites()) {
  describe(`cm_ctl watchdog check by root on ${suite.name}`, () => {
    let host: Host;
    let cluster: Cluster;
    const programs = `/usr/lib/postgresql/${suite.postgres}/bin`;
    /** A data directory that knows nothing of Debian, of a user whom root's files are closed to. */
    const data = '/srv/data/pg';
    const check = (directory: string): Promise<CommandResult> =>
      host.run(['sh', '-c', 'cd /root && cm_ctl watchdog check -D "$1"', 'check', directory]);
    const assertShows = async (directory: string, limit: RegExp): Promise<void> => {
      const { status, stdout, stderr } = await check(directory);
      assert.equal(status, 0, stderr);
      assert.match(stdout, /^watchdog\.port = 27600 +# postgresql\.conf/m);
      assert.match(stdout + stderr, limit);
    };
    const NOT_RUNNING = /not running/;
    const TOO_FEW = /^limit of PID \d+: 1024, too few$/m;

    before(async () => {
      host = await Host.boot(suite.installed, { name: 'db' });
      cluster = new Cluster(host, suite);
      await cluster.configure({ 'watchdog.port': 27600 });
      await host.output('useradd --create-home alice; install -d -o alice -m 700 /srv/data; chmod 700 /root');
      const user = 'alice';
      await host.output([`${programs}/initdb`, '-D', data, '-A', 'trust'], { user });
      const settings = "port = 5455\nunix_socket_directories = '/srv/data'\nwatchdog.port = 27600\n";
      await host.output(`cat >>${data}/postgresql.conf`, { user, input: settings });
    });
    after(() => host?.remove());

    it('shows the settings of a cluster of Debian that was never started, that runs, and that is stopped', async () => {
      await assertShows(cluster.directory, NOT_RUNNING);
      await cluster.start();
      await assertShows(cluster.directory, TOO_FEW);
      await host.output(['systemctl', 'stop', cluster.unit]);
      await assertShows(cluster.directory, NOT_RUNNING);
    });

    it('and its like act on a watchdog that runs as another user', async () => {
      await host.output(['systemctl', 'start', cluster.unit, cluster.watchdogUnit]);
      const ctl = (...words: string[]): Promise<string> =>
        host.output(['cm_ctl', 'watchdog', ...words, '-D', cluster.directory]);
      await host.until('the instance is known', async () => /primary/.test(await ctl('status')));
      assert.match(await ctl('terminate', '--dry-run', '192.0.2.1'), /192\.0\.2\.1/);
      await ctl('pause');
      assert.match(await ctl('status'), /paused/);
      await ctl('resume');
      assert.doesNotMatch(await ctl('status'), /paused/);
      await host.output(['systemctl', 'stop', cluster.watchdogUnit, cluster.unit]);
    });

    it('shows those of any other data directory that was never started, that runs, and that is stopped', async () => {
      const control = (...words: string[]): Promise<string> =>
        host.output([`${programs}/pg_ctl`, '-D', data, '-l', '/srv/data/log', ...words], { user: 'alice' });
      await assertShows(data, NOT_RUNNING);
      await control('start');
      await assertShows(data, /^limit of PID \d+: \d+, /m);
      await control('stop', '-m', 'fast');
      await assertShows(data, NOT_RUNNING);
    });

    it('runs the program that is named in a file of the owner as the owner, and not as root', async () => {
      const program = '/srv/data/bin/postgres';
      const script = `#!/bin/sh\nid -un >>/srv/data/who\nexec ${programs}/postgres "$@"\n`;
      await host.write(program, script, { mode: '0755', owner: 'alice' });
      await host.write(`${data}/postmaster.opts`, `${program} "-D" "${data}"\n`, { owner: 'alice' });
      await assertShows(data, NOT_RUNNING);
      assert.deepEqual(new Set((await host.read('/srv/data/who')).split('\n')), new Set(['alice', '']));
    });

    it('says why when the settings cannot be read', async () => {
      await host.output(`echo "shared_buffers = 'much'" >>${data}/postgresql.conf`);
      const { status, stderr } = await check(data);
      assert.notEqual(status, 0);
      assert.match(
        stderr,
        /^cm_ctl: could not read the settings of the instance: invalid value for parameter "shared_buffers": "much"$/m,
      );
    });
  });
}
