import assert from 'node:assert/strict';
import { existsSync, readdirSync, readlinkSync } from 'node:fs';
import { chmod, cp, mkdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { WATCHDOG_FILES } from '../../src/core/control/watchdog.js';
import { eventually } from '../support/eventually.js';
import type { HeartbeatPeer } from '../support/heartbeat-peer.js';
import { type Server, startPrimary } from '../support/postgres.js';
import { runProgram } from '../support/programs.js';
import { TestWatchdog } from '../support/watchdog.js';

describe('a data directory whose name another directory has taken', () => {
  let server: Server;
  let watchdog: TestWatchdog;
  let peer: HeartbeatPeer;
  let kept: string;

  beforeEach(async () => {
    server = await startPrimary({});
    kept = join(server.dataDir, WATCHDOG_FILES.directory);
    watchdog = await TestWatchdog.start(server, { settings: { check_attr_interval: '300' } });
    peer = await watchdog.connect();
    await eventually(() => existsSync(join(kept, WATCHDOG_FILES.state)), { what: 'the link is remembered' });
    await server.stop('fast');
  });
  afterEach(async () => {
    await peer?.end();
    await watchdog?.stop();
    await server?.end();
  });

  /** Targets of the descriptors of the watchdog; one that is closed meanwhile is left out. */
  function openFiles(): string[] {
    const directory = `/proc/${watchdog.running.pid}/fd`;
    return readdirSync(directory).flatMap((fd) => {
      try {
        return [readlinkSync(join(directory, fd))];
      } catch {
        return [];
      }
    });
  }

  async function isAsBefore(): Promise<void> {
    const lock = join(kept, WATCHDOG_FILES.lock);
    const locks = () => openFiles().filter((path) => path.includes(WATCHDOG_FILES.lock));
    await eventually(() => locks().every((path) => path === lock) && locks().length === 1, {
      what: 'the lock is the one of the new directory',
    });
    await eventually(() => existsSync(join(kept, WATCHDOG_FILES.state)), { what: 'the link is remembered' });
    // Another one ends at its start, and says whom it has found.
    const { code, stderr } = await runProgram('conmgr-watchdog', ['-D', server.dataDir], {
      env: { PGUSER: 'postgres' },
      within: server.within,
    });
    assert.equal(code, 1);
    assert.match(stderr, new RegExp(`already has a watchdog \\(PID ${watchdog.running.pid}\\)`));
    assert.equal((await watchdog.status()).links.length, 1);
    await server.start();
    await watchdog.stop();
    assert.ok(!existsSync(lock));
    assert.ok(!existsSync(join(kept, WATCHDOG_FILES.socket)));
  }

  it('has the lock, the control socket and the memory of the watchdog when it is another directory', async () => {
    await rename(server.dataDir, `${server.dataDir}.old`);
    // As pg_basebackup and the like, without what the watchdog keeps in pg_stat_tmp.
    const filter = (path: string): boolean => !path.includes('conmgr-watchdog');
    await cp(`${server.dataDir}.old`, server.dataDir, { recursive: true, filter });
    await chmod(server.dataDir, 0o700);
    await isAsBefore();
  });

  it('has them when the same directory was emptied and filled again', async () => {
    // A watchdog may still write there.
    await rm(kept, { recursive: true, maxRetries: 10 });
    await mkdir(kept, { mode: 0o700 });
    await isAsBefore();
  });
});
