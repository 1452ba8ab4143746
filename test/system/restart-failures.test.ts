import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { Cluster } from './harness/cluster.js';
import { cmCtl } from './harness/cm-ctl.js';
import { Host } from './harness/host.js';
import { suites } from './harness/images.js';
import { QUICK } from './harness/instance.js';
import { ADDRESS } from './harness/lab.js';
import { Pair } from './harness/pair.js';
import { SessionCrowd } from './harness/session-crowd.js';

/** Of each kind. */
const SESSIONS = 20;

for (const suite of suites()) {
  describe(`a restart of conmgr that goes another way on ${suite.name}`, () => {
    let pair: Pair;
    let crowd: SessionCrowd;
    before(async () => {
      // Who connects before the links are up again waits for them.
      pair = await Pair.up(suite, { resolve_wait: '10s' });
      crowd = await SessionCrowd.start(pair.app, {
        sessions: SESSIONS,
        transfers: 0,
        sleepers: 2,
        visitors: 3,
        everyMs: 300,
      });
    });
    after(() => pair?.remove());

    const backends = (): Promise<string> =>
      pair.db1.sql(
        `select pid, backend_start from pg_stat_activity where client_addr = '${ADDRESS.app}'
         and application_name in ('aware', 'stock') order by pid`,
      );
    const logged = async (pattern: RegExp): Promise<string[]> => {
      const entries = await pair.lab.app.journal(`--unit=${pair.app.unit}`);
      return entries.map(({ MESSAGE = '' }) => MESSAGE).filter((line) => pattern.test(line));
    };
    const stored = async (): Promise<string | undefined> =>
      (await pair.lab.app.unit(pair.app.unit))['NFileDescriptorStore'];

    it('whose first start fails keeps them waiting for the next one, and ends none', async () => {
      const { app } = pair.lab;
      const before = await backends();
      const once = 'test -e /run/failed-once || { touch /run/failed-once; exit 1; }';
      const drop = `/etc/systemd/system/${pair.app.unit}.d/fails.conf`;
      await app.write(drop, `[Service]\nExecStartPre=+/bin/sh -c "${once}"\n`);
      await app.output(['systemctl', 'daemon-reload']);
      const { errors } = await crowd.during(async () => {
        await app.run(['systemctl', 'restart', pair.app.unit]);
        await app.until('it runs', async () => (await app.unit(pair.app.unit))['SubState'] === 'running');
      });
      assert.deepEqual(errors, []);
      assert.equal(await backends(), before);
      assert.equal((await app.unit(pair.app.unit))['NRestarts'], '1');
      await app.output(['rm', drop, '/run/failed-once']);
      await app.output(['systemctl', 'daemon-reload']);
    });

    it('twice in a row loses none', async () => {
      const { app } = pair.lab;
      const before = await backends();
      const { errors } = await crowd.during(async () => {
        const first = app.run(['systemctl', 'restart', pair.app.unit]);
        await app.until('it starts', async () => (await app.unit(pair.app.unit))['SubState'] === 'start');
        await app.output(['systemctl', 'restart', pair.app.unit]);
        await first;
      });
      assert.deepEqual(errors, []);
      assert.equal(await backends(), before);
    });

    it('with errors in conmgr.conf hands nothing over, says so before it ends, and aware sessions wait', async () => {
      const { app } = pair.lab;
      const conf = `${pair.app.directory}/conmgr.conf`;
      await app.output(`cp -p ${conf} /srv/conmgr.conf && echo nonsense = 1 >>${conf}`);
      await crowd.mark();
      assert.notEqual((await app.run(['systemctl', 'restart', pair.app.unit])).status, 0);
      assert.equal((await app.unit(pair.app.unit))['ActiveState'], 'failed');
      assert.equal(await stored(), '0');
      const said = /^WARNING: {2}restarting without handing over sessions: conmgr\.conf:\d+: .*nonsense/;
      assert.equal((await logged(said)).length, 1);
      await app.output(`cp -p /srv/conmgr.conf ${conf}`);
      await app.output(['systemctl', 'reset-failed', pair.app.unit]);
      await app.output(['systemctl', 'start', pair.app.unit]);
      await app.until('aware sessions are attached again', async () => {
        const { applications } = await pair.app.status();
        return applications.filter(({ mode }) => mode === 'aware').length === SESSIONS;
      });
      assert.deepEqual(
        (await crowd.report()).errors.filter((error) => error.startsWith('aware')),
        [],
      );
    });

    it('whose unit has too few open files for the next process hands nothing over, and says so before it ends', async () => {
      const { app } = pair.lab;
      const drop = `/etc/systemd/system/${pair.app.unit}.d/few.conf`;
      await app.write(drop, '[Service]\nLimitNOFILE=60\n');
      const conf = `${pair.app.directory}/conmgr.conf`;
      await app.output(`cp -p ${conf} /srv/conmgr.conf && echo max_connections = 100 >>${conf}`);
      await app.output(['systemctl', 'daemon-reload']);
      await crowd.mark();
      assert.notEqual((await app.run(['systemctl', 'restart', pair.app.unit])).status, 0);
      assert.equal(await stored(), '0');
      const said = /^WARNING: {2}restarting without handing over sessions: limit of 60 open files is too low/;
      assert.equal((await logged(said)).length, 1);
      await app.output(`cp -p /srv/conmgr.conf ${conf} && rm ${drop}`);
      await app.output(['systemctl', 'daemon-reload']);
      await app.output(['systemctl', 'reset-failed', pair.app.unit]);
      await app.output(['systemctl', 'start', pair.app.unit]);
      await app.until('aware sessions are attached again', async () => {
        const { applications } = await pair.app.status();
        return applications.filter(({ mode }) => mode === 'aware').length === SESSIONS;
      });
      assert.deepEqual(
        (await crowd.report()).errors.filter((error) => error.startsWith('aware')),
        [],
      );
    });

    it('by SIGKILL refuses nobody who connects meanwhile, and no watchdog ends anything', async () => {
      const { app, db1, db2 } = pair.lab;
      const { NRestarts } = await app.unit(pair.app.unit);
      await crowd.mark();
      await app.signal(pair.app.unit, 'SIGKILL');
      await app.until('it was started again', async () => {
        const unit = await app.unit(pair.app.unit);
        return unit['NRestarts'] !== NRestarts && unit['SubState'] === 'running';
      });
      const { connects: begun } = await crowd.report();
      await app.until('who has waited is served', async () => (await crowd.report()).connects > begun + 3);
      const { errors } = await crowd.report();
      assert.deepEqual(
        errors.filter((error) => error.startsWith('connect') && !isCutOff(error)),
        [],
      );
      for (const [host, unit] of [
        [db1, pair.db1.watchdogUnit],
        [db2, pair.db2.watchdogUnit],
      ] as const) {
        const lines = (await host.journal(`--unit=${unit}`)).map(({ MESSAGE = '' }) => MESSAGE);
        assert.deepEqual(
          lines.filter((line) => /\bended? \d+ sessions?|terminat/i.test(line) && !line.includes('would')),
          [],
        );
      }
    });

    it('leaves the listening sockets with systemd; a stop leaves nothing', async () => {
      const { app } = pair.lab;
      assert.equal(await stored(), '2');
      await app.output(['systemctl', 'stop', pair.app.unit]);
      assert.equal(await stored(), '0');
      await app.output(['systemctl', 'start', pair.app.unit]);
      assert.equal(await stored(), '2');
    });
  });

  describe(`a conmgr of a user's own service manager on ${suite.name}`, () => {
    let host: Host;
    before(async () => {
      host = await Host.boot(suite.installed, { name: 'own' });
      const cluster = new Cluster(host, suite);
      await cluster.configure({ 'watchdog.allowed_clients': '127.0.0.1' });
      await host.output(
        `sed -i '1i host all all 127.0.0.1/32 trust' /etc/postgresql/${suite.postgres}/main/pg_hba.conf`,
      );
      await host.output(['systemctl', 'start', cluster.unit, cluster.watchdogUnit]);
      await host.output('useradd --create-home alice && loginctl enable-linger alice');
    });
    after(() => host?.remove());

    it('hands its sessions over at a restart, too', async () => {
      const directory = `${await host.output('getent passwd alice | cut -d: -f6')}/cm`;
      const settings = { ...QUICK, backend_host0: '127.0.0.1', backend_port0: 5432, port: 27_601 };
      const lines = Object.entries(settings).map(([name, value]) => `${name} = ${value}\n`);
      await host.output(`mkdir -m 700 ${directory} && cat >${directory}/conmgr.conf`, {
        user: 'alice',
        input: lines.join(''),
      });
      const ctl = (words: string) => cmCtl({ host, directory }, words, { user: 'alice' });
      assert.equal((await ctl('register')).status, 0);
      assert.equal((await ctl('start')).status, 0);
      const psql = host.start(['psql', '-XAtq', '-h', '127.0.0.1', '-p', '27601', '-U', 'postgres'], {
        user: 'alice',
      });
      const backend = async (): Promise<string> => {
        const after = psql.lines.length;
        psql.stdin.write('select pg_backend_pid();\n');
        return (await psql.waitForLine(/^\d+$/, { after }))[0];
      };
      const before = await backend();
      const pid = (): Promise<string> =>
        ctl('status --json').then(({ stdout }) => String(JSON.parse(stdout).pid));
      const first = await pid();
      assert.equal((await ctl('restart')).status, 0);
      assert.notEqual(await pid(), first);
      assert.equal(await backend(), before);
    });
  });
}

/** A connection that was being forwarded ended with conmgr. */
function isCutOff(error: string): boolean {
  return /ECONNRESET|Connection terminated/.test(error);
}
