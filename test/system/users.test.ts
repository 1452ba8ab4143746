import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { cmCtl } from './harness/cm-ctl.js';
import type { CommandResult } from './harness/commands.js';
import { Host } from './harness/host.js';
import { suites } from './harness/images.js';

const STARTED = /^conmgr starting\n$/;
const STOPPED = /conmgr stopped\n$/;

function assertSaid({ status, stdout, stderr }: CommandResult, expected: number, ...said: RegExp[]): void {
  const text = stdout + stderr;
  assert.equal(status, expected, text);
  for (const one of said) assert.match(text, one);
}

/** One command by a user without a session: no variable tells where his manager is, as after runuser and cron. */
class Person {
  constructor(
    readonly host: Host,
    readonly name: string,
    readonly home: string,
    readonly uid: string,
  ) {}

  static async find(host: Host, name: string): Promise<Person> {
    const [, , uid = '', , , home = ''] = (await host.output(`getent passwd ${name}`)).split(':');
    return new Person(host, name, home, uid);
  }

  ctl(words: string, directory: string): Promise<CommandResult> {
    return cmCtl({ host: this.host, directory }, words, { user: this.name });
  }

  run(command: string): Promise<CommandResult> {
    return this.host.run(command, { user: this.name });
  }

  /** In a session that ends with the command, as after a login. */
  login(command: string): Promise<CommandResult> {
    return this.host.run(['su', '-', this.name, '-c', command]);
  }

  /** A directory with a conmgr.conf. */
  async directory(path: string, port: number): Promise<string> {
    const directory = `${this.home}/${path}`;
    const text = `backend_host0 = 127.0.0.1\nport = ${port}\n`;
    await this.host.output(
      `mkdir -p ${directory} && chmod 700 ${directory} && cat >${directory}/conmgr.conf`,
      {
        user: this.name,
        input: text,
      },
    );
    return directory;
  }

  managerRuns(): Promise<boolean> {
    return this.host.unit(`user@${this.uid}.service`).then(({ ActiveState }) => ActiveState === 'active');
  }

  async linger(): Promise<void> {
    await this.host.output(['loginctl', 'enable-linger', this.name]);
    await this.host.until(`the manager of ${this.name} runs`, () => this.managerRuns());
  }
}

/** Who runs the conmgr of a directory, as status says it. */
async function whoRuns(host: Host, directory: string): Promise<unknown> {
  const result = await cmCtl({ host, directory }, 'status --json');
  if (result.status !== 0) return undefined;
  const { unit, manager, pid } = JSON.parse(result.stdout);
  const user = await host.output(['stat', '--format=%U', `/proc/${pid}`]);
  return { unit, manager, user };
}

for (const suite of suites()) {
  describe(`the service manager of a user on ${suite.name}`, () => {
    let host: Host;
    let alice: Person;
    let bob: Person;
    let eve: Person;
    let own: string;
    const unit = (person: Person, name: string): string =>
      `conmgr@${`${person.home}/${name}`.slice(1).replaceAll('/', '-')}.service`;
    before(async () => {
      host = await Host.boot(suite.installed, { name: 'users' });
      await host.output('for name in alice bob eve carol; do useradd --create-home $name; done');
      // What a session leaves behind ends with it, not ten seconds later.
      await host.write('/etc/systemd/logind.conf.d/quick.conf', '[Login]\nUserStopDelaySec=0\n');
      await host.output(['systemctl', 'restart', 'systemd-logind']);
      [alice, bob, eve] = await Promise.all([
        Person.find(host, 'alice'),
        Person.find(host, 'bob'),
        Person.find(host, 'eve'),
      ]);
      own = await alice.directory('cm', 27501);
    });
    after(() => host?.remove());

    it('is named with its cure where it does not run', async () => {
      const missing =
        /could not reach the service manager of user "alice"\nHINT: .*: loginctl enable-linger alice\n$/;
      assertSaid(await alice.ctl('register', own), 1, missing);
      assertSaid(await alice.run('cm_ctl register -N mine'), 1, missing);
      assertSaid(
        await alice.ctl('start --manager user', own),
        1,
        /service manager of this user cannot be reached: .*\nHINT: .*enable-linger/,
      );
    });

    it('is found without a session, and drives an instance through its whole life', async () => {
      await alice.linger();
      const name = unit(alice, 'cm');
      assertSaid(
        await alice.ctl('register', own),
        0,
        new RegExp(`^registered with the service manager of alice as ${name}$`, 'm'),
        new RegExp(`^ {4}cm_ctl start -D ${own}$`, 'm'),
      );
      assertSaid(await alice.ctl('start -W', own), 0, STARTED);
      assert.deepEqual(await whoRuns(host, own), { unit: name, manager: 'user', user: 'alice' });
      assertSaid(await alice.ctl('status', own), 0, /^Unit: +conmgr@\S+ of the user's service manager$/m);
      assertSaid(
        await alice.run('cm_ctl list'),
        0,
        new RegExp(`^${own} +${name} +\\d+ +alice +running$`, 'm'),
      );
      assertSaid(await alice.ctl('reload', own), 0, /^conmgr reloaded\n/);
      assertSaid(await alice.ctl('restart -W', own), 0, /^conmgr restarting\n$/);
      await host.until('it is back', async () => (await whoRuns(host, own)) !== undefined);
      assertSaid(await alice.ctl('stop', own), 0, STOPPED);
      assertSaid(await alice.ctl('status', own), 3, /^conmgr is not running/);
    });

    it('has a journal that cm_ctl logs shows to the user and to root', async () => {
      const { stdout, stderr } = await alice.ctl('logs', own);
      assert.match(stdout, new RegExp(` conmgr\\[\\d+\\]: .*starting conmgr .* in directory "${own}"`));
      assert.match(stdout, / systemd\[\d+\]: Stopped conmgr@/);
      assert.equal(stderr, '');
      assert.equal((await cmCtl({ host, directory: own }, 'logs')).stdout, stdout);
    });

    it('unregisters it again, and leaves the directory', async () => {
      assertSaid(await alice.ctl('unregister', own), 0, /is no longer registered\n {4}disabled /);
      assertSaid(await alice.ctl('unregister', own), 1, /is not registered/);
      assert.match(await host.read(`${own}/conmgr.conf`), /27501/);
    });

    it('knows an instance by its name, too, with cm_ctl as with systemctl', async () => {
      assertSaid(await alice.run('cm_ctl register -N mine'), 0, /as conmgr@mine\.service$/m);
      const mine = await alice.directory('.local/state/conmgr/mine', 27502);
      assertSaid(
        await alice.login('systemctl --user start conmgr@mine && systemctl --user is-active conmgr@mine'),
        0,
        /^active$/m,
      );
      const running = { unit: 'conmgr@mine.service', manager: 'user', user: 'alice' };
      assert.deepEqual(await whoRuns(host, mine), running);
      assertSaid(await alice.ctl('stop', mine), 0, STOPPED);
      assertSaid(await alice.ctl('start -W', mine), 0, STARTED);
      assert.deepEqual(await whoRuns(host, mine), running);
      assertSaid(await alice.run('cm_ctl unregister -N mine'), 0, /conmgr@mine\.service is still running/);
      assertSaid(await alice.ctl('stop', mine), 0, STOPPED);
    });

    it('is used by root for what is registered there, and by nobody else', async () => {
      const asRoot = { host, directory: own };
      assertSaid(await alice.ctl('register', own), 0);
      assertSaid(await cmCtl(asRoot, 'start -W'), 0, STARTED);
      assert.deepEqual(await whoRuns(host, own), { unit: unit(alice, 'cm'), manager: 'user', user: 'alice' });
      assertSaid(await cmCtl(asRoot, 'restart -W'), 0);
      await host.until('it is back', async () => (await whoRuns(host, own)) !== undefined);
      assertSaid(await cmCtl(asRoot, 'reload'), 0);
      for (const [mode, status] of [
        ['start', 1],
        ['stop', 1],
        ['restart', 1],
        ['reload', 1],
        ['check', 1],
        ['status', 4],
      ] as const) {
        assertSaid(
          await eve.ctl(mode, own),
          status,
          /^cm_ctl: could not access directory .*: permission denied\nHINT: +Run cm_ctl as the user that owns it\.\n$/,
        );
      }
      assertSaid(await eve.run('cm_ctl list'), 0, /^\? +conmgr@\S+ +\d+ +alice +not accessible$/m);
      assertSaid(await cmCtl(asRoot, 'stop'), 0, STOPPED);
      const failed = await host.output(['systemctl', 'list-units', '--failed', '--no-legend']);
      assert.doesNotMatch(failed, /conmgr@/);
    });

    it('shares no directory with the manager of the host', async () => {
      assertSaid(
        await cmCtl({ host, directory: own }, 'register'),
        1,
        /is registered as conmgr@\S+ of user alice already\nHINT: .*sudo -u alice cm_ctl unregister -D /,
      );
      const shared = await alice.directory('shared', 27503);
      assertSaid(await cmCtl({ host, directory: shared }, 'register'), 0);
      assertSaid(
        await alice.ctl('register --manager user', shared),
        1,
        /is registered as conmgr@\S+ of the host already\nHINT: .*sudo cm_ctl unregister -D /,
      );
      assertSaid(await alice.ctl('register', shared), 1, /only root may register an instance/);
      assertSaid(await alice.ctl('start', shared), 1, /permission denied to start unit/);
      assertSaid(await cmCtl({ host, directory: shared }, 'unregister'), 0);
    });

    it('refuses a unit that is masked, and says how that is undone', async () => {
      const masked = await alice.directory('masked', 27504);
      const name = unit(alice, 'masked').replace('.service', '');
      for (const [mask, undo] of [
        ['systemctl --user mask', 'systemctl --user unmask'],
        ['systemctl --user mask --runtime', 'systemctl --user unmask --runtime'],
      ]) {
        assertSaid(await alice.login(`${mask} ${name}`), 0);
        const said = new RegExp(`unit "${name}\\.service" is masked\nHINT: +"${undo} ${name}" undoes it\\.`);
        assertSaid(await alice.ctl('register', masked), 1, said);
        assertSaid(await alice.ctl('start --manager user', masked), 1, said);
        assertSaid(await alice.login(`${undo} ${name}`), 0);
      }
      assertSaid(await alice.ctl('register', masked), 0);
      assertSaid(await alice.ctl('unregister', masked), 0);
    });

    it('starts what is registered with the host when it lingers', async () => {
      assertSaid(await host.run('cm_ctl register -N theirs -U carol'), 0);
      const theirs = '/var/lib/conmgr/theirs';
      await host.output(`printf 'backend_host0 = 127.0.0.1\\nport = 27505\\n' >${theirs}/conmgr.conf`);
      await host.reboot();
      const running = async (directory: string): Promise<unknown> =>
        host.until(`the conmgr of ${directory} runs`, () => whoRuns(host, directory));
      const mine = { unit: unit(alice, 'cm'), manager: 'user', user: 'alice' };
      assert.deepEqual(await running(own), mine);
      assert.deepEqual(await running(theirs), {
        unit: 'conmgr@theirs.service',
        manager: 'system',
        user: 'carol',
      });
      assertSaid(await alice.run('cm_ctl list'), 0, new RegExp(`^${own} .* running$`, 'm'));
      assertSaid(await alice.ctl('stop', own), 0, STOPPED);
    });

    it('ends with the last session where it does not linger, and what it runs ends with it', async () => {
      const short = await bob.directory('cm', 27506);
      const command = `cm_ctl register -D ${short} && cm_ctl start -W -D ${short} && cm_ctl status --json -D ${short}`;
      const session = await bob.login(command);
      assertSaid(
        session,
        0,
        /notice: services of user "bob" run only while the user is logged in\nHINT: .*enable-linger bob$/m,
        /"manager": "user"/,
      );
      await host.until('his manager is gone', async () => !(await bob.managerRuns()));
      assertSaid(await bob.ctl('status', short), 3, /^conmgr is not running/);
    });

    it('keeps its unit from being replaced by a process of its own while it does not run', async () => {
      const short = `${bob.home}/cm`;
      const said =
        /is registered with the service manager of user "bob", which does not run\nHINT: .*enable-linger bob\. "--manager none" does without\.\n$/;
      for (const mode of ['start', 'restart']) {
        assertSaid(await bob.ctl(mode, short), 1, said);
        assertSaid(await cmCtl({ host, directory: short }, mode), 1, said);
      }
      assertSaid(await bob.ctl('stop', short), 1, /conmgr is not running/);
      assertSaid(await bob.ctl('start -W --manager none', short), 0, STARTED);
      assert.deepEqual(await whoRuns(host, short), { unit: null, manager: 'none', user: 'bob' });
      assertSaid(await bob.ctl('stop', short), 0, STOPPED);
      assert.equal(await bob.managerRuns(), false);
    });
  });
}
