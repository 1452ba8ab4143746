import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { WATCHDOG_MESSAGES } from '../../../src/core/messages/watchdog.js';
import type { Logger } from '../../../src/io/log/logger.js';
import type { Notifier } from '../../../src/io/notify.js';
import type { StatusPort } from '../../../src/io/status-port.js';
import { EMPTY_MEMORY } from '../../../src/watchdog/memory.js';
import type { WatchdogPlace } from '../../../src/watchdog/place.js';
import { loadSettings } from '../../../src/watchdog/settings.js';
import { Watchdog } from '../../../src/watchdog/watchdog.js';
import { eventually } from '../../support/eventually.js';
import { FakeClock } from '../../support/fake-clock.js';
import { temporaryDirectory } from '../../support/tree.js';

/** No server program has this version, so the settings cannot be read. */
const MAJOR = 1;

describe('settings that cannot be read', () => {
  it('are tried again every 10 s without a word but that they cannot: no reload, no port, nothing to systemd', async () => {
    const path = temporaryDirectory();
    mkdirSync(join(path, 'pg_stat_tmp'));
    writeFileSync(join(path, 'PG_VERSION'), `${MAJOR}\n`);
    const directory = { path, major: MAJOR, uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
    const before = process.env['PATH'];
    process.env['PATH'] = '/nonexistent';
    const clock = new FakeClock();
    const codes: string[] = [];
    const told: string[] = [];
    const log = { write: ({ code }: { code: string }) => void codes.push(code), reconfigure: () => {} };
    const say = (word: string) => () => void told.push(word);
    const notifier = {
      ...{
        ready: say('ready'),
        status: say('status'),
        reloading: say('reloading'),
        stopping: say('stopping'),
      },
      watchdogIntervalMs: undefined,
    };
    try {
      const watchdog = new Watchdog({
        directory,
        settings: await loadSettings(directory),
        systemIdentifier: 1n,
        software: 'test',
        bootId: '0'.repeat(32),
        kernelBootId: 'boot',
        memory: EMPTY_MEMORY,
        clock,
        log: log as unknown as Logger,
        notifier: notifier as unknown as Notifier,
        statusPort: { open: async () => {}, close: () => {} } as unknown as StatusPort,
        place: { renew: async () => false } as unknown as WatchdogPlace,
        env: {},
      });
      await watchdog.start();
      const unreadable = (): number =>
        codes.filter((code) => code === WATCHDOG_MESSAGES.settingsUnreadable.code).length;
      assert.equal(unreadable(), 1);
      assert.ok(codes.includes(WATCHDOG_MESSAGES.portClosed.code));
      const begun = codes.length;
      for (const attempt of [2, 3, 4]) {
        clock.advance(10_000);
        await eventually(() => unreadable() === attempt, { what: `attempt ${attempt}` });
      }
      // The log itself writes a repetition once a minute.
      assert.deepEqual([...new Set(codes.slice(begun))], [WATCHDOG_MESSAGES.settingsUnreadable.code]);
      assert.deepEqual(
        told.filter((word) => word !== 'status'),
        ['ready'],
      );
      const stopped = watchdog.stop('SIGINT', 'stop');
      await stopped;
    } finally {
      process.env['PATH'] = before;
    }
  });

  it('have a limit of one line a minute', () => {
    assert.equal(WATCHDOG_MESSAGES.settingsUnreadable.everyMs, 60_000);
  });
});
