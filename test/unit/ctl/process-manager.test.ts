import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { ProcessManager } from '../../../src/ctl/process-manager.js';
import { FakeConmgr, freshDirectory } from './fake-world.js';

const root = mkdtempSync(join(tmpdir(), 'manager-'));
const children: ChildProcess[] = [];
after(() => {
  for (const child of children) child.kill('SIGKILL');
  rmSync(root, { recursive: true });
});

const program = join(root, 'conmgr.js');
writeFileSync(
  program,
  'process.stderr.write(JSON.stringify({ env: process.env, args: process.argv.slice(2) })); process.exitCode = 3;',
);
const manager = (options: Partial<ConstructorParameters<typeof ProcessManager>[0]> = {}) =>
  new ProcessManager({ program, environment: {}, uid: 1000, ...options });

describe('starting conmgr as a daemon', () => {
  it('hands it the directory and the environment without what belongs to a service', async () => {
    const directory = freshDirectory();
    const environment = {
      KEPT: 'yes',
      NOTIFY_SOCKET: '/x',
      LISTEN_FDS: '1',
      WATCHDOG_USEC: '1',
      JOURNAL_STREAM: '1:2',
    };
    const started = await manager({ environment }).start({ directory, logFile: undefined });
    assert.equal((await started.ended).status, 3);
    const log = join(directory, 'conmgr.log');
    assert.equal(started.log, `in "${log}"`);
    assert.equal(statSync(log).mode & 0o777, 0o600);
    const seen = JSON.parse(readFileSync(log, 'utf8')) as { env: object; args: string[] };
    assert.deepEqual(seen, { env: { KEPT: 'yes' }, args: ['-D', directory] });
  });

  it('is refused to root', async () => {
    const starting = manager({ uid: 0 }).start({ directory: freshDirectory(), logFile: undefined });
    await assert.rejects(starting, { code: 'CM3030' });
  });

  it('says which program is missing', async () => {
    const missing = join(root, 'missing.js');
    const starting = manager({ program: missing }).start({ directory: freshDirectory(), logFile: undefined });
    await assert.rejects(starting, { code: 'CM3041', params: { path: missing } });
  });

  it('says why the log file cannot be opened', async () => {
    const starting = manager().start({ directory: freshDirectory(), logFile: join(root, 'no/log') });
    await assert.rejects(starting, {
      code: 'CM3042',
      params: { file: join(root, 'no/log'), reason: 'no such file or directory' },
    });
  });
});

describe('stopping conmgr', () => {
  it('asks over the control socket', async () => {
    const directory = freshDirectory();
    const fake = await FakeConmgr.serve(directory, () => ({ ok: true, accepted: 'smart' }));
    // A number that nobody has: a signal would have to fail.
    await manager().stop(directory, 2 ** 22 + 1, 'smart');
    assert.deepEqual(fake.requests, [{ command: 'stop', mode: 'smart' }]);
  });

  const SIGNALS = { smart: 'SIGUSR1', fast: 'SIGTERM', immediate: 'SIGQUIT', restart: 'SIGTERM' } as const;
  for (const [mode, signal] of Object.entries(SIGNALS)) {
    it(`sends ${signal} for ${mode} where nobody answers`, async () => {
      const script = `process.on('${signal}', () => process.exit(7)); process.stdout.write('.'); setInterval(() => {}, 1000)`;
      const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'ignore'] });
      children.push(child);
      await once(child.stdout, 'data');
      const exit = once(child, 'exit');
      await manager().stop(freshDirectory(), child.pid ?? 0, mode as keyof typeof SIGNALS);
      assert.deepEqual(await exit, [7, null]);
    });
  }

  it('is content when the process has just gone', async () => {
    await manager().stop(freshDirectory(), 2 ** 22 + 1, 'fast');
  });
});
