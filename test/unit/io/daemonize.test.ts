import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, readlinkSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { LogFileError, startDaemon } from '../../../src/io/daemonize.js';

const root = mkdtempSync(join(tmpdir(), 'daemon-'));
after(() => rmSync(root, { recursive: true }));
let made = 0;
const logFile = (): string => join(root, `log${made++}`);

const start = (script: string, log = logFile()) =>
  startDaemon({
    program: process.execPath,
    args: ['-e', script],
    environment: { ...process.env, NODE_TEST_CONTEXT: undefined, MARK: 'seen' },
    logFile: log,
  });

/** Field 6 of /proc/PID/stat: the session of a process. */
const sessionOf = (pid: number): number => {
  const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
  return Number(text.slice(text.lastIndexOf(')') + 2).split(' ')[3]);
};

describe('startDaemon', () => {
  it('gives the program a session of its own, the root directory and nothing to read', async () => {
    const daemon = await start('setInterval(() => {}, 1000)');
    try {
      assert.equal(sessionOf(daemon.pid), daemon.pid);
      assert.equal(readlinkSync(`/proc/${daemon.pid}/cwd`), '/');
      assert.equal(readlinkSync(`/proc/${daemon.pid}/fd/0`), '/dev/null');
      assert.equal(readlinkSync(`/proc/${daemon.pid}/fd/1`), '/dev/null');
    } finally {
      process.kill(daemon.pid, 'SIGKILL');
    }
    assert.deepEqual(await daemon.ended, { code: null, signal: 'SIGKILL' });
  });

  it('appends stderr to the log file and gives back what this start added', async () => {
    const log = logFile();
    writeFileSync(log, 'older\n');
    const daemon = await start(
      'process.stderr.write("newer " + process.env.MARK + "\\n"); process.exitCode = 78',
      log,
    );
    assert.deepEqual(await daemon.ended, { code: 78, signal: null });
    assert.equal(daemon.said(), 'newer seen\n');
    assert.equal(readFileSync(log, 'utf8'), 'older\nnewer seen\n');
  });

  it('makes the log file for its owner only', async () => {
    const log = logFile();
    const daemon = await start('', log);
    await daemon.ended;
    assert.equal(statSync(log).mode & 0o777, 0o600);
  });

  it('does not read back what is no file', async () => {
    const daemon = await start('process.stderr.write("x")', '/dev/null');
    await daemon.ended;
    assert.equal(daemon.said(), '');
  });

  it('rejects when the log file cannot be opened', async () => {
    await assert.rejects(start('', join(root, 'missing/log')), (error: unknown) => {
      assert.ok(error instanceof LogFileError);
      assert.equal((error.cause as NodeJS.ErrnoException).code, 'ENOENT');
      return true;
    });
  });

  it('rejects at once when the log file is a FIFO that nobody reads: waiting for a reader could not be interrupted', async () => {
    const fifo = logFile();
    assert.equal(spawnSync('mkfifo', [fifo]).status, 0);
    await assert.rejects(start('', fifo), (error: unknown) => {
      assert.ok(error instanceof LogFileError);
      assert.equal((error.cause as NodeJS.ErrnoException).code, 'ENXIO');
      return true;
    });
  });

  it('rejects when the program cannot be executed', async () => {
    const options = { args: [], environment: {}, logFile: logFile() };
    await assert.rejects(startDaemon({ ...options, program: join(root, 'missing') }), { code: 'ENOENT' });
  });
});
