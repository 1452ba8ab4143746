/** The tutorial, conmgr(7), followed to the letter: every display of it that is to be typed is typed here. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { type TutorialStep, tutorialSteps } from '../../packaging/manual/tutorial.js';
import { inTree } from '../support/tree.js';
import type { Host } from './harness/host.js';
import { type Suite, suites } from './harness/images.js';
import { ADDRESS, Lab, type LabHost } from './harness/lab.js';
import { copyNodePackage } from './harness/node-packages.js';

const PACKAGES = 'dist/packages';
const page = readFileSync(inTree('man/conmgr.7.in'), 'utf8');
const steps = tutorialSteps(page);

/** Three hosts, and what the step before has printed on all of them. */
interface Scene {
  readonly suite: Suite;
  readonly lab: Lab;
  printed: string;
}

/** What the page says is so after a step. */
interface Promised {
  readonly what: string;
  /** A command of the step. */
  readonly after: RegExp;
  readonly holds: (scene: Scene) => Promise<unknown>;
}

const STATUS = 'cm_ctl status -D /var/lib/conmgr/app1';

/** The last table of a status in a text: heading and rows, in columns. */
function tableIn(text: string): string[][] {
  const lines = text.split('\n');
  const heading = lines.map((line) => line.startsWith('#  host')).lastIndexOf(true);
  const rows = lines.slice(heading).filter((line) => /^[#\d] /.test(line));
  return heading === -1 ? [] : rows.map((row) => row.split(/ {2,}/));
}

/** Of a heading or a row, what is the same on every day: the columns before the age of the last packet. */
const lasting = (table: readonly string[][]): string[][] => table.map((row) => row.slice(0, 7));

/** What the named columns of a row look like. */
type Row = Readonly<Record<string, RegExp>>;

/** Waits until the rows of the status are like these. */
async function untilStatus({ lab }: Scene, what: string, ...rows: readonly Row[]): Promise<void> {
  let seen = '';
  const fits = (row: Row, cells: readonly string[], heading: readonly string[]): boolean =>
    Object.entries(row).every(([name, cell]) => cell.test(cells[heading.indexOf(name)] ?? ''));
  await lab.app
    .until(what, async () => {
      seen = (await lab.app.run(STATUS)).stdout;
      const [heading = [], ...found] = tableIn(seen);
      return found.length === rows.length && rows.every((row, i) => fits(row, found[i] ?? [], heading));
    })
    .catch((error: unknown) => {
      throw new Error(`${what}:\n${seen}`, { cause: error });
    });
}

const PRIMARY: Row = { state: /^up$/, role: /^primary$/, link: /^up$/ };
const STANDBY: Row = { ...PRIMARY, role: /^standby$/ };
const LOST: Row = { link: /^down$/, reason: /^lost/ };

const bothLinksUp = (scene: Scene): Promise<void> =>
  untilStatus(scene, 'both links are up', STANDBY, PRIMARY);

/** SQL of the shop, sent where conmgr says. */
const shop = ({ lab }: Scene, target: string, sql: string): Promise<string> =>
  lab.app.output(
    `psql "$(cm_ctl resolve -D /var/lib/conmgr/app1 ${target}) dbname=shop user=shop password=secret-2" -XAtqc "${sql}"`,
  );

/** In the order of the page. */
const promises: readonly Promised[] = [
  {
    what: 'the status becomes that of the page, within a second or two',
    after: /^systemctl start conmgr@app1$/m,
    holds: async ({ lab }) => {
      const picture = lasting(tableIn(page));
      assert.equal(picture.length, 3);
      await lab.app.until('the status is that of the page', async () => {
        return JSON.stringify(lasting(tableIn(await lab.app.output(STATUS)))) === JSON.stringify(picture);
      });
    },
  },
  {
    what: 'the application is sent to db1',
    after: /^cm_ctl resolve /m,
    holds: async ({ printed }) => {
      assert.match(printed, /^host=db1 /m);
      assert.match(printed, /^ *192\.0\.2\.2$/m);
    },
  },
  {
    what: 'the standby has what the primary is told',
    after: /^cm_ctl resolve /m,
    holds: async (scene) => {
      await shop(scene, 'read-write', 'create table goods as select 42 as answer');
      await scene.lab.app.until(
        'it is there',
        async () => (await shop(scene, 'standby', 'table goods')) === '42',
      );
      assert.equal(await shop(scene, 'standby', 'select host(inet_server_addr())'), ADDRESS.db2);
    },
  },
  {
    what: 'a stock driver is forwarded to db1',
    after: /^psql 'host=localhost port=27546 /m,
    holds: async ({ printed }) => assert.match(printed, /^ *192\.0\.2\.2$/m),
  },
  {
    what: 'the Node.js application of the page is sent there, too',
    after: /^psql 'host=localhost port=27546 /m,
    holds: async ({ lab }) => {
      const text = /\.Bd -literal.*\n(import [\s\S]*?)\.Ed\n/.exec(page)?.[1] ?? '';
      assert.match(text, /CmPool/);
      await copyNodePackage(lab.app, 'pg');
      await lab.app.output(
        'mkdir -p /srv/shop/node_modules && ln -s /usr/share/nodejs/* /srv/shop/node_modules',
      );
      await lab.app.write('/srv/shop/application.mjs', text);
      const application = lab.app.start(['node', '/srv/shop/application.mjs']);
      await application.waitForLine(/192\.0\.2\.2/, { timeoutMs: 20_000 });
      application.killAll();
    },
  },
  {
    what: 'instance 0 is lost, within the time-out of the page',
    after: /^ip link set eth0 down$/m,
    holds: (scene) => untilStatus(scene, 'instance 0 is lost', LOST, STANDBY),
  },
  {
    what: 'the journal explains it',
    after: /^journalctl -x /m,
    holds: async ({ printed }) => {
      const [, db1 = [], db2 = []] = tableIn(printed);
      assert.match(db1.join(' '), /^0 db1 .* lost/);
      assert.match(db2.join(' '), /^1 db2 5432 up standby/);
      assert.match(printed, /instance 0 \(db1:5432\) is lost/);
      assert.match(printed, /^░░ Subject: instance 0 \(db1:5432\) is lost/m);
    },
  },
  {
    what: 'instance 1 is the primary',
    after: /^pg_ctlcluster .* promote$/m,
    holds: (scene) => untilStatus(scene, 'instance 1 is the primary', LOST, PRIMARY),
  },
  {
    what: 'the next session goes to db2',
    after: /^psql "\$\(cm_ctl resolve /m,
    holds: async ({ printed }) => assert.match(printed, /^ *192\.0\.2\.3$/m),
  },
  {
    what: 'instance 0 is the standby',
    after: /^ip link set eth0 up$/m,
    holds: async (scene) => {
      await bothLinksUp(scene);
      await scene.lab.app.until(
        'it follows',
        async () => (await shop(scene, 'standby', 'table goods')) === '42',
      );
    },
  },
  {
    what: 'conmgr is up, as the same process',
    after: /^systemctl reload conmgr@app1$/m,
    holds: bothLinksUp,
  },
  {
    what: 'both links are up again',
    after: /^systemctl restart conmgr@app1$/m,
    holds: bothLinksUp,
  },
  {
    what: 'both links are up again',
    after: /^systemctl restart conmgr-watchdog@/m,
    holds: bothLinksUp,
  },
  {
    what: 'nothing of it starts any more, and the files are still there',
    after: /^cm_ctl unregister /m,
    holds: async ({ lab }) => {
      assert.equal((await lab.app.run('systemctl is-enabled conmgr@app1')).stdout, 'disabled\n');
      assert.equal((await lab.app.unit('conmgr@app1'))['ActiveState'], 'inactive');
      await lab.app.output('test -f /var/lib/conmgr/app1/conmgr.conf');
    },
  },
  {
    what: 'a user had a conmgr of his own, of which no process is left',
    after: /^cm_ctl stop -D ~\/conmgr$/m,
    holds: async ({ suite, lab, printed }) => {
      assert.deepEqual(
        tableIn(printed)
          .slice(1)
          .map(([, host]) => host),
        ['db1', 'db2'],
      );
      assert.notEqual((await lab.app.run('pgrep -x -u ann node')).status, 0);
      // What systemd runs must not be in the way of what runs without it.
      await lab.db1.output(['systemctl', 'stop', `conmgr-watchdog@${suite.postgres}-main`]);
    },
  },
];

/** The promises of each step: every one belongs to the first step with its command after the one before. */
function promisesOf(all: readonly TutorialStep[]): ReadonlyMap<TutorialStep, readonly Promised[]> {
  const found = new Map(all.map((step) => [step, [] as Promised[]]));
  let from = 0;
  for (const one of promises) {
    const at = all.findIndex(({ commands }, i) => i >= from && one.after.test(commands));
    const step = all[at];
    if (step === undefined) throw new Error(`after step ${from} the page has no command like ${one.after}`);
    found.get(step)?.push(one);
    from = at;
  }
  return found;
}

/** Who listens on the port of a watchdog. */
const LISTENERS = 'ss -Hltnp sport = :27545';

/** A login of the user in the home directory, ended by the first command that fails. */
const shell = (commands: string): string[] => ['bash', '-ec', `cd\n${commands}`];

async function follow({ suite, lab }: Scene, step: TutorialStep, name: LabHost): Promise<string> {
  const host: Host = lab[name];
  const { user, commands } = step;
  if (user !== 'root') await host.output(`id ${user} >/dev/null 2>&1 || useradd --create-home ${user}`);
  const options = {
    ...(user === 'root' ? {} : { user }),
    env: { PGDATA: `/var/lib/postgresql/${suite.postgres}/main` },
    timeoutMs: 120_000,
  };
  if (!step.stays) return host.output(shell(commands), options);
  const program = host.start(shell(commands), options);
  const listener = await Promise.race([
    host.until(`step ${step.step} is up`, async () => /pid=(\d+)/.exec(await host.output(LISTENERS))?.[1]),
    program.done.then(({ stdout, stderr }) => Promise.reject(new Error(`it ended: ${stdout}${stderr}`))),
  ]);
  await host.output(['kill', '-s', 'INT', listener]);
  const { code, stdout, stderr } = await program.done;
  assert.equal(code, 0, `${stdout}${stderr}`);
  return stdout;
}

for (const suite of suites()) {
  describe(`the tutorial on fresh hosts of ${suite.name}`, () => {
    const scene = { suite, printed: '' } as { suite: Suite; lab: Lab; printed: string };
    before(async () => {
      scene.lab = await Lab.up(suite.stock);
      const packages = readdirSync(PACKAGES).filter((name) => name.endsWith('.deb'));
      for (const host of [scene.lab.app, scene.lab.db1, scene.lab.db2]) {
        for (const name of packages) await host.copyIn(join(PACKAGES, name), '/root');
      }
    });
    after(() => scene.lab?.remove());

    const promised = promisesOf(steps);
    for (const step of steps) {
      const { hosts, user, commands } = step;
      const first = commands.split('\n', 1)[0];
      it(`step ${step.step}, by ${user} on ${hosts.join(' and ')}: ${first}`, async () => {
        // Two hosts of one step are set up side by side: no step needs an order between them.
        const printed = await Promise.all(hosts.map((host) => follow(scene, step, host as LabHost)));
        scene.printed = printed.join('\n');
      });
      for (const { what, holds } of promised.get(step) ?? [])
        it(`after step ${step.step} ${what}`, () => holds(scene));
    }
  });
}
