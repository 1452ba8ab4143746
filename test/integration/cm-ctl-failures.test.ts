/** cm_ctl where things are not as they should be: what it says, how it ends, and what it leaves alone. */
import assert from 'node:assert/strict';
import { readFileSync, unlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { StatusReport } from '../../src/core/control/protocol.js';
import { conmgrConf } from '../support/conmgr-process.js';
import { eventually } from '../support/eventually.js';
import { freePort } from '../support/free-ports.js';
import { isRunning } from '../support/processes.js';
import { built, runProgram, startProgram } from '../support/programs.js';
import { type Output, startCommand } from '../support/running.js';
import { PRIMARY, ScriptedWatchdog } from '../support/scripted-watchdog.js';
import { temporaryDirectory } from '../support/tree.js';

/** A directory of a conmgr that may or may not reach its one instance. */
class Site {
  private constructor(
    readonly directory: string,
    readonly port: number,
    readonly watchdog: ScriptedWatchdog | undefined,
  ) {}

  static async make(reachable = true): Promise<Site> {
    const directory = temporaryDirectory('cm-');
    const watchdog = reachable ? await ScriptedWatchdog.start({ attributes: PRIMARY }) : undefined;
    const port = await freePort();
    const watchdogPort = watchdog?.port ?? (await freePort());
    const lines = [{ backendPort: await freePort(), watchdogPort }];
    writeFileSync(join(directory, 'conmgr.conf'), conmgrConf(lines, { port }));
    return new Site(directory, port, watchdog);
  }

  ctl(...words: string[]): Promise<Output> {
    return runProgram('cm_ctl', [...words, '-D', this.directory]);
  }

  async pid(): Promise<number> {
    return (JSON.parse((await this.ctl('status', '--json')).stdout) as StatusReport).pid;
  }

  async end(): Promise<void> {
    await this.ctl('stop', '-m', 'immediate');
    await this.watchdog?.stop();
  }
}

describe('cm_ctl start', () => {
  it('passes on why conmgr could not start, with exit status 1', async () => {
    const site = await Site.make();
    const squatter = createServer();
    await new Promise<void>((resolve) => squatter.listen(site.port, '127.0.0.1', resolve));
    const { code, stderr } = await site.ctl('start');
    assert.equal(code, 1);
    assert.match(stderr, new RegExp(`^FATAL: {2}could not listen on port ${site.port}: `, 'm'));
    assert.match(
      stderr,
      /\ncm_ctl: could not start conmgr\nHINT: {2}Examine the log output in ".*conmgr.log"\.\n$/,
    );
    squatter.close();
    await site.end();
  });

  it('shows only what this start wrote, not what stood in the log before', async () => {
    const site = await Site.make();
    writeFileSync(join(site.directory, 'conmgr.log'), 'FATAL:  of last year\n');
    writeFileSync(join(site.directory, 'conmgr.conf'), 'nonsense = 1\n');
    const { code, stderr } = await site.ctl('start');
    assert.equal(code, 78);
    assert.match(stderr, /conmgr.conf:1: /);
    assert.doesNotMatch(stderr, /last year/);
    await site.end();
  });

  it('gives up after -t, and conmgr runs on', async () => {
    const site = await Site.make(false);
    const { code, stdout, stderr } = await site.ctl('start', '-t', '1');
    assert.equal(code, 1);
    assert.match(stdout, /^waiting for conmgr to start\.+ stopped waiting\n$/);
    assert.match(
      stderr,
      /^cm_ctl: no link to a primary within 1 s; conmgr runs on\nDETAIL: {2}instance 0 \(127.0.0.1:\d+\): no link \(.*connection refused\)\n/,
    );
    assert.ok(isRunning(await site.pid()));
    await site.end();
  });

  it('returns at once with -W', async () => {
    const site = await Site.make(false);
    const { code, stdout } = await site.ctl('start', '-W');
    assert.deepEqual({ code, stdout }, { code: 0, stdout: 'conmgr starting\n' });
    assert.ok(isRunning(await site.pid()));
    await site.end();
  });

  it('leaves conmgr alone when it is interrupted', async () => {
    const site = await Site.make(false);
    const starting = startProgram('cm_ctl', ['start', '-t', '0', '-D', site.directory]);
    await eventually(async () => (await site.ctl('status')).code === 0, { what: 'conmgr answers' });
    starting.kill('SIGINT');
    const { code, stderr } = await starting.done;
    assert.deepEqual({ code, stderr }, { code: 1, stderr: 'cm_ctl: interrupted; conmgr runs on\n' });
    assert.ok(isRunning(await site.pid()));
    await site.end();
  });

  it('appends to the file of -l, wherever cm_ctl was called', async () => {
    const site = await Site.make();
    const cwd = temporaryDirectory();
    const words = ['start', '-D', site.directory, '-l', 'my.log'];
    assert.equal((await runProgram('cm_ctl', words, { cwd })).code, 0);
    assert.match(readFileSync(join(cwd, 'my.log'), 'utf8'), /LOG: {2}starting conmgr/);
    await site.end();
  });

  it('refuses a log file that cannot be opened, and starts nothing', async () => {
    const site = await Site.make();
    const { code, stderr } = await site.ctl('start', '-l', '/nonexistent/my.log');
    assert.equal(code, 1);
    assert.match(
      stderr,
      /^cm_ctl: could not open log file "\/nonexistent\/my.log": no such file or directory\n/,
    );
    assert.equal((await site.ctl('status')).code, 3);
    await site.end();
  });

  it('starts one conmgr when it is called twice at a time', async () => {
    const site = await Site.make();
    const codes = (await Promise.all([site.ctl('start'), site.ctl('start')])).map(({ code }) => code);
    assert.deepEqual(codes.sort(), [0, 1]);
    assert.equal((await site.ctl('status')).code, 0);
    await site.end();
  });

  it('does not keep a pipe open behind it', async () => {
    const site = await Site.make();
    const script = `"$0" "$1" start -D "$2" | cat; echo over`;
    const shell = startCommand('sh', [
      '-c',
      script,
      process.execPath,
      built('bin/cm_ctl.js'),
      site.directory,
    ]);
    assert.match((await shell.done).stdout, /conmgr started\nover\n$/);
    await site.end();
  });
});

describe('a conmgr that was killed', () => {
  it('does not run for cm_ctl, and is started over what it left', async () => {
    const site = await Site.make();
    assert.equal((await site.ctl('start')).code, 0);
    const pid = await site.pid();
    process.kill(pid, 'SIGKILL');
    await eventually(() => !isRunning(pid), { what: 'conmgr is gone' });
    assert.equal((await site.ctl('status')).code, 3);
    assert.equal((await site.ctl('stop')).code, 1);
    assert.equal((await site.ctl('start')).code, 0);
    assert.notEqual(await site.pid(), pid);
    await site.end();
  });
});

describe('a conmgr whose socket somebody removed', () => {
  it('is not taken for one that does not run, and can be stopped', async () => {
    const site = await Site.make();
    assert.equal((await site.ctl('start')).code, 0);
    const pid = await site.pid();
    unlinkSync(join(site.directory, 'conmgr.sock'));
    const status = await site.ctl('status');
    assert.equal(status.code, 1);
    assert.match(
      status.stderr,
      new RegExp(`^cm_ctl: conmgr \\(PID ${pid}\\) in directory ".*" does not answer\n`),
    );
    assert.equal((await site.ctl('start')).code, 1);
    assert.equal((await site.ctl('stop')).code, 0);
    assert.equal(isRunning(pid), false);
    await site.end();
  });
});

describe('a conmgr that is stopped in its tracks', () => {
  let site: Site;
  let pid: number;
  before(async () => {
    site = await Site.make();
    await site.ctl('start');
    pid = await site.pid();
    process.kill(pid, 'SIGSTOP');
  });
  after(() => site.end());

  it('is shown as not answering, and ends as told once it goes on', async () => {
    const [status, list, stopping] = await Promise.all([
      site.ctl('status'),
      runProgram('cm_ctl', ['list']),
      site.ctl('stop', '-t', '1'),
    ]);
    assert.equal(status.code, 1);
    assert.match(status.stderr, /does not answer\nHINT: {2}It may be starting, stopped by a signal/);
    assert.match(list.stdout, new RegExp(`^${site.directory} .* ${pid} .* not answering$`, 'm'));
    assert.equal(stopping.code, 1);
    assert.match(stopping.stderr, /^cm_ctl: conmgr does not shut down\n/);
    process.kill(pid, 'SIGCONT');
    await eventually(() => !isRunning(pid), { what: 'conmgr is gone' });
    assert.equal((await site.ctl('status')).code, 3);
  });
});

describe('the output of cm_ctl', () => {
  it('may be cut off by its reader', async () => {
    const site = await Site.make();
    assert.equal((await site.ctl('start')).code, 0);
    const script = `"$0" "$1" status --watch -D "$2" | head -n 1; echo over`;
    const shell = startCommand('sh', [
      '-c',
      script,
      process.execPath,
      built('bin/cm_ctl.js'),
      site.directory,
    ]);
    await shell.waitForLine(/^Directory|^-- /);
    // Sooner or later a change is written to a pipe that nobody reads any more.
    let up = true;
    const changes = setInterval(() => {
      up = !up;
      site.watchdog?.tell({ state: up ? 'up' : 'starting' });
    }, 20);
    const { stdout, stderr } = await shell.done;
    clearInterval(changes);
    assert.match(stdout, /\nover\n$/);
    assert.equal(stderr, '');
    await site.end();
  });

  it('is told to be incomplete when the disk is full', async () => {
    const script = `"$0" "$1" --help > /dev/full`;
    const { code, stderr } = await startCommand('sh', [
      '-c',
      script,
      process.execPath,
      built('bin/cm_ctl.js'),
    ]).done;
    assert.equal(code, 1);
    assert.equal(stderr, 'cm_ctl: could not write to stdout: no space left on device\n');
  });
});
