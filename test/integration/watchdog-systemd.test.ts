import assert from 'node:assert/strict';
import { appendFile, mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { openDataDirectory } from '../../src/io/data-directory.js';
import { readSettings, SettingsUnreadable } from '../../src/io/instance-settings.js';
import { DatagramReceiver } from '../support/datagram-receiver.js';
import { eventually } from '../support/eventually.js';
import { type Server, startPrimary } from '../support/postgres.js';
import { readIfAny } from '../support/processes.js';
import { runProgram } from '../support/programs.js';
import { temporaryDirectory } from '../support/tree.js';
import { TestWatchdog } from '../support/watchdog.js';

describe('what systemd is told of the watchdog', () => {
  let server: Server;
  before(async () => {
    server = await startPrimary();
  });
  after(() => server?.end());

  it('READY once the data directory is understood, whatever the instance does; STATUS with instance and links; STOPPING', async () => {
    const path = join(temporaryDirectory(), 'notify');
    const systemd = new DatagramReceiver(path);
    const told: string[] = [];
    const last = (): string => {
      told.push(...systemd.takeTexts().flatMap((text) => text.split('\n')));
      return told.filter((line) => line.startsWith('STATUS=')).at(-1) ?? '';
    };
    let watchdog: TestWatchdog | undefined;
    try {
      await server.stop('fast');
      watchdog = await TestWatchdog.start(server, { env: { NOTIFY_SOCKET: path } });
      await eventually(() => /^STATUS=instance down .*heartbeat links: 0$/.test(last()), {
        what: 'down is told',
      });
      assert.ok(told.includes('READY=1'));
      await server.start();
      const peer = await watchdog.connect();
      await eventually(() => /^STATUS=instance up \(primary, .*heartbeat links: 1$/.test(last()), {
        what: 'up and a link are told',
      });
      await peer.goodbye('released');
      await eventually(() => /heartbeat links: 0$/.test(last()), { what: 'the end of the link is told' });
      assert.ok(!told.includes('STOPPING=1'));
      await watchdog.stop();
      last();
      assert.ok(told.includes('STOPPING=1'));
    } finally {
      await watchdog?.stop();
      systemd.close();
    }
  });

  it('a start that fails tells the reason as the status of the unit, in words', async () => {
    const path = join(temporaryDirectory(), 'notify');
    const systemd = new DatagramReceiver(path);
    try {
      for (const [directory, status] of [
        [
          join(temporaryDirectory(), 'nowhere'),
          /^STATUS=cannot serve directory ".*nowhere": no such file or directory$/,
        ],
        [temporaryDirectory(), /^STATUS=cannot serve directory ".*": it has no file PG_VERSION$/],
      ] as const) {
        const { code } = await runProgram('conmgr-watchdog', ['-D', directory], {
          env: { NOTIFY_SOCKET: path },
        });
        assert.equal(code, 78);
        const told = systemd.takeTexts();
        assert.equal(told.length, 1, told.join());
        assert.match(told[0] ?? '', status);
      }
    } finally {
      systemd.close();
    }
  });

  it('a reload that finds no readable settings ends with READY=1 as well', async () => {
    const path = join(temporaryDirectory(), 'notify');
    const systemd = new DatagramReceiver(path);
    const told: string[] = [];
    const begun = (): readonly string[] => {
      told.push(...systemd.takeTexts());
      return told.filter((text) => /^(READY|RELOADING)/.test(text)).map((text) => text.split('\n')[0] ?? '');
    };
    const conf = join(server.dataDir, 'postgresql.conf');
    const text = await readFile(conf, 'utf8');
    let watchdog: TestWatchdog | undefined;
    try {
      watchdog = await TestWatchdog.start(server, { env: { NOTIFY_SOCKET: path } });
      await server.append({ 'broken line': '' });
      watchdog.running.kill('SIGHUP');
      await watchdog.line(/could not read the settings of the instance/);
      await eventually(() => begun().length === 3, { what: 'the end of the reload' });
      assert.deepEqual(begun(), ['READY=1', 'RELOADING=1', 'READY=1']);
    } finally {
      await writeFile(conf, text);
      await watchdog?.stop();
      systemd.close();
    }
  });

  it('WATCHDOG=1 is sent by the process that works: stopped, it sends none', async () => {
    const path = join(temporaryDirectory(), 'notify');
    const systemd = new DatagramReceiver(path);
    let pings = 0;
    const count = (): number => {
      pings += systemd.takeTexts().filter((text) => text === 'WATCHDOG=1').length;
      return pings;
    };
    let watchdog: TestWatchdog | undefined;
    try {
      watchdog = await TestWatchdog.start(server, {
        env: { NOTIFY_SOCKET: path, WATCHDOG_USEC: '100000' },
      });
      await eventually(() => count() >= 3, { what: 'signs of life' });
      watchdog.running.kill('SIGSTOP');
      const { pid } = watchdog.running;
      await eventually(() => /^State:\s+T/m.test(readIfAny(`/proc/${pid}/status`)), { what: 'stopped' });
      const before = count();
      // A program that starts and ends takes longer than several signs of life.
      await runProgram('conmgr-watchdog', ['--version']);
      assert.equal(count(), before);
      watchdog.running.kill('SIGCONT');
      await eventually(() => count() > before, { what: 'a sign of life after it woke' });
    } finally {
      watchdog?.running.kill('SIGCONT');
      await watchdog?.stop();
      systemd.close();
    }
  });
});

describe('a cluster of Debian that was never started', () => {
  it('its settings are read from the directory of its configuration, which names the data directory', async () => {
    const server = await startPrimary();
    const configurations = temporaryDirectory();
    try {
      await server.stop('fast');
      const opened = await openDataDirectory(server.dataDir);
      assert.ok(!('problem' in opened));
      const place = join(configurations, String(opened.major), 'main');
      await mkdir(place, { recursive: true });
      await rename(join(server.dataDir, 'postgresql.conf'), join(place, 'postgresql.conf'));
      await appendFile(
        join(place, 'postgresql.conf'),
        `\ndata_directory = '${server.dataDir}'\nwatchdog.port = 4711\n`,
      );
      const opts = join(server.dataDir, 'postmaster.opts');
      const [program = ''] = (await readFile(opts, 'utf8')).split(' ');
      await writeFile(opts, `${program}\n`);
      const settings = await readSettings(opened, ['max_connections', 'watchdog.port'], configurations);
      assert.equal(settings.get('watchdog.port'), '4711');
      await assert.rejects(
        readSettings(opened, ['max_connections'], temporaryDirectory()),
        SettingsUnreadable,
      );
    } finally {
      await server.end();
    }
  });
});
