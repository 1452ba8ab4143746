import assert from 'node:assert/strict';
import { appendFileSync, chmodSync, readdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterEach, describe, it } from 'node:test';
import { ConmgrProcess, conmgrConf, failedStart, launchConmgr } from '../support/conmgr-process.js';
import { DatagramReceiver } from '../support/datagram-receiver.js';
import { eventually } from '../support/eventually.js';
import { freePort } from '../support/free-ports.js';
import { readIfAny } from '../support/processes.js';
import { PRIMARY, ScriptedWatchdog } from '../support/scripted-watchdog.js';
import { temporaryDirectory } from '../support/tree.js';

const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

describe('what systemd is told', () => {
  it('STATUS follows the applications and the links, but applications that come and go do not flood systemd', async () => {
    const path = join(temporaryDirectory(), 'notify');
    const systemd = new DatagramReceiver(path);
    ends.push(() => systemd.close());
    const watchdog = await ScriptedWatchdog.start({ attributes: PRIMARY });
    ends.push(() => watchdog.stop());
    const conmgr = await ConmgrProcess.start({
      instances: [{ backendPort: await freePort(), watchdogPort: watchdog.port }],
      env: { NOTIFY_SOCKET: path },
    });
    ends.push(() => conmgr.stop('SIGQUIT'));
    await conmgr.linked();
    const told: string[] = [];
    const last = (): string => {
      told.push(...systemd.takeTexts().filter((text) => text.startsWith('STATUS=')));
      return told.at(-1) ?? '';
    };
    await eventually(() => /primary instance 0, 1 of 1 links up, 0 applications/.test(last()), {
      what: 'the link is told',
    });
    const before = told.length;
    const begunMs = performance.now();
    for (let i = 0; i < 200; i += 1) {
      const app = await conmgr.bound();
      app.leave();
    }
    const held = await conmgr.bound();
    await eventually(() => /, 1 applications$/.test(last()), { what: 'the one that stays is told' });
    const seconds = (performance.now() - begunMs) / 1000;
    assert.ok(told.length - before <= 2 + 2 * seconds, `${told.length - before} in ${seconds} s`);
    assert.ok(held.isOpen);
  });
});

/** systemd's end of the notification socket, and all that was told there so far. */
function manager() {
  const path = join(temporaryDirectory(), 'notify');
  const socket = new DatagramReceiver(path);
  ends.push(() => socket.close());
  const told: string[] = [];
  return {
    env: { NOTIFY_SOCKET: path },
    told: (): readonly string[] => {
      told.push(...socket.takeTexts());
      return told;
    },
  };
}

async function conf(settings: Record<string, string | number> = {}): Promise<string> {
  const instance = { backendPort: await freePort(), watchdogPort: await freePort() };
  return conmgrConf([instance], { port: await freePort(), ...settings });
}

function directoryWith(text: string): string {
  const directory = temporaryDirectory();
  writeFileSync(join(directory, 'conmgr.conf'), text);
  return directory;
}

describe('a start that fails under systemd', () => {
  it('tells the reason as the status of the unit, and never that it is ready', async () => {
    const closed = directoryWith('');
    chmodSync(closed, 0);
    ends.push(() => chmodSync(closed, 0o700));
    const cases: readonly (readonly [directory: string, exit: number, status: RegExp, openFiles?: number])[] =
      [
        [join(temporaryDirectory(), 'nowhere'), 78, /^STATUS=cannot use directory ".*nowhere": no such file/],
        [closed, 78, /^STATUS=cannot use directory ".*": permission denied$/],
        [temporaryDirectory(), 78, /^STATUS=could not read configuration file ".*": no such file/],
        [
          directoryWith('prot = 1\n'),
          78,
          /^STATUS=.* contains errors: conmgr\.conf:1: .*"prot"; did you mean/,
        ],
        [
          directoryWith(await conf({ max_connections: 500 })),
          78,
          /^STATUS=limit of 100 open files is too low/,
          100,
        ],
      ];
    for (const [directory, exit, status, openFiles] of cases) {
      const { env, told } = manager();
      const { code } = await failedStart(directory, openFiles === undefined ? { env } : { env, openFiles });
      assert.equal(code, exit, directory);
      assert.equal(told().length, 1, told().join());
      assert.match(told()[0] ?? '', status);
    }
  });

  it('behind the lock leaves neither lock file nor socket', async () => {
    const squatter = createServer();
    const port = await freePort();
    await new Promise<void>((resolve) => squatter.listen(port, '127.0.0.1', resolve));
    ends.push(() => squatter.close());
    const directory = directoryWith(await conf({ port }));
    const { env, told } = manager();
    assert.equal((await failedStart(directory, { env })).code, 1);
    assert.deepEqual(readdirSync(directory), ['conmgr.conf']);
    assert.match(told().join(), new RegExp(`^STATUS=could not listen on port ${port}: `));
  });
});

describe('the life of conmgr under systemd', () => {
  async function started(
    env: NodeJS.ProcessEnv,
    settings: Record<string, string | number> = {},
  ): Promise<ConmgrProcess> {
    const instances = [{ backendPort: await freePort(), watchdogPort: await freePort() }];
    const conmgr = await ConmgrProcess.start({ instances, env, settings });
    ends.push(() => conmgr.stop('SIGQUIT'));
    return conmgr;
  }

  it('READY=1 comes with the state in words', async () => {
    const { env, told } = manager();
    await started(env);
    await eventually(() => told().some((text) => text.startsWith('READY=1')), { what: 'READY=1' });
    assert.match(
      told().find((text) => text.startsWith('READY=1')) ?? '',
      /^READY=1\nSTATUS=primary none, 0 of 1/,
    );
  });

  it('a reload begins with RELOADING=1 and its moment and ends with READY=1, also when it is refused, and says so', async () => {
    const { env, told } = manager();
    const conmgr = await started(env);
    const since = (mark: number): readonly string[] =>
      told()
        .slice(mark)
        .filter((text) => /^(RELOADING|READY)/.test(text));
    for (const [text, status] of [
      ['nonsense = 1\n', /last reload refused/],
      [undefined, /applications$/],
    ] as const) {
      const mark = told().length;
      if (text === undefined) conmgr.rewrite([{ backendPort: 1, watchdogPort: 1 }]);
      else conmgr.rewriteText(text);
      conmgr.running.kill('SIGHUP');
      await eventually(() => since(mark).length === 2, { what: 'the end of the reload' });
      const [begin = '', end = ''] = since(mark);
      assert.match(begin, /^RELOADING=1\nMONOTONIC_USEC=\d+$/);
      assert.match(end, /^READY=1\nSTATUS=/);
      assert.match(end, status);
    }
  });

  it('a smart stop that waits is told as a state, and STOPPING=1 only when it ends: from then on systemd counts', async () => {
    const { env, told } = manager();
    const watchdog = await ScriptedWatchdog.start({ attributes: PRIMARY });
    ends.push(() => watchdog.stop());
    const conmgr = await ConmgrProcess.start({
      instances: [{ backendPort: await freePort(), watchdogPort: watchdog.port }],
      env,
    });
    ends.push(() => conmgr.stop('SIGQUIT'));
    await conmgr.linked();
    const app = await conmgr.bound();
    conmgr.running.kill('SIGUSR1');
    await eventually(() => told().some((text) => /^STATUS=smart shutdown waits/.test(text)), {
      what: 'the wait is told',
    });
    assert.ok(!told().some((text) => text.startsWith('STOPPING=1')));
    app.leave();
    await conmgr.running.exit;
    assert.deepEqual(
      told().filter((text) => text.startsWith('STOPPING=1')),
      ['STOPPING=1\nSTATUS=shutting down'],
    );
  });

  it('a second SIGTERM doubles nothing', async () => {
    const { env, told } = manager();
    const conmgr = await started(env);
    for (let i = 0; i < 3; i += 1) conmgr.running.kill('SIGTERM');
    assert.deepEqual(await conmgr.running.exit, { code: 0, signal: null });
    assert.equal(conmgr.linesLike(/received .* shutdown request/).length, 1);
    assert.equal(told().filter((text) => text.startsWith('STOPPING=1')).length, 1);
  });

  it('WATCHDOG=1 comes twice in WatchdogSec= from the loop that does the work, so a process that hangs sends none', async () => {
    const { env, told } = manager();
    const pings = (): number => told().filter((text) => text === 'WATCHDOG=1').length;
    const conmgr = await started({ ...env, WATCHDOG_USEC: '200000' });
    await eventually(() => pings() >= 3, { what: 'signs of life' });
    conmgr.running.kill('SIGSTOP');
    await eventually(() => /^State:\s+T/m.test(readIfAny(`/proc/${conmgr.pid}/status`)), { what: 'stopped' });
    const before = pings();
    // Another process measures the time in which at least two would have come.
    const other = manager();
    await started({ ...other.env, WATCHDOG_USEC: '200000' });
    await eventually(() => other.told().filter((text) => text === 'WATCHDOG=1').length >= 3, {
      what: 'signs of life of another one',
    });
    assert.equal(pings(), before);
    conmgr.running.kill('SIGCONT');
    await eventually(() => pings() > before, { what: 'a sign of life after it woke' });
  });

  it('WATCHDOG_USEC= asks for more than twice heartbeat_timeout + heartbeat_interval, also after a reload', async () => {
    const times = (timeout: string): string => `heartbeat_interval = 1s\nheartbeat_timeout = ${timeout}\n`;
    const asked = (): string[] => told().filter((text) => text.startsWith('WATCHDOG_USEC='));
    const { env, told } = manager();
    const directory = directoryWith(await conf());
    appendFileSync(join(directory, 'conmgr.conf'), times('29s'));
    const running = launchConmgr(directory, { env: { ...env, WATCHDOG_USEC: '60000000' } });
    ends.push(() => running.stop('SIGKILL'));
    await eventually(() => asked().length === 1, { what: 'a longer limit' });
    assert.deepEqual(asked(), ['WATCHDOG_USEC=61000000']);
    const reload = async (timeout: string, times_: number): Promise<void> => {
      appendFileSync(join(directory, 'conmgr.conf'), times(timeout));
      running.kill('SIGHUP');
      await eventually(() => told().filter((text) => text.startsWith('READY=1')).length === times_, {
        what: 'the reload',
      });
    };
    await reload('29400ms', 2);
    assert.equal(asked().length, 1, 'it is long enough');
    await reload('40s', 3);
    assert.deepEqual(asked().slice(1), ['WATCHDOG_USEC=83000000']);
  });

  it('WATCHDOG=1 is not sent for a time-out that is meant for another process (WATCHDOG_PID)', async () => {
    const { env, told } = manager();
    const conmgr = await started({ ...env, WATCHDOG_USEC: '20000', WATCHDOG_PID: '1' });
    await conmgr.stop('SIGTERM');
    assert.ok(told().some((text) => text.startsWith('READY=1')));
    assert.ok(!told().includes('WATCHDOG=1'));
  });

  it('a stop before it is ready leaves nothing behind', async () => {
    const { env } = manager();
    const directory = directoryWith(await conf());
    const running = launchConmgr(directory, { env });
    ends.push(() => running.stop('SIGKILL'));
    // The line is written between lock and port.
    await running.waitForLine(/starting conmgr/);
    await running.stop('SIGTERM');
    assert.deepEqual(readdirSync(directory), ['conmgr.conf']);
  });
});
