import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { openRun } from '../runner/supervise.js';
import { sweepWhenClosed } from '../runner/sweep.js';
import { eventually } from '../support/eventually.js';
import { isRunning } from '../support/processes.js';
import { type Running, startCommand } from '../support/running.js';

const program = fileURLToPath(import.meta.url);

/** This file is also every program of the tests below, told apart by the first argument. */
const roles: Readonly<Record<string, (...args: string[]) => Promise<void> | void>> = {
  /** What `make test` is: runs a command in a run. */
  supervisor: async (behaviour = '') => {
    const run = openRun(undefined, [program, 'sweeper']);
    console.log(`directories ${run.directory} ${run.scratch}`);
    const status = await run.execute(
      process.execPath,
      [program, 'command', behaviour, run.scratch],
      process.env,
    );
    await run.close();
    process.exit(status);
  },
  sweeper: (id = '', ...directories) => sweepWhenClosed(id, directories),
  /** Leaves two processes nobody would find by their parent, session or group, then behaves as told. */
  command: (behaviour, scratch) => {
    const leave = (env: NodeJS.ProcessEnv, cwd: string): number | undefined => {
      const child = spawn(process.execPath, [program, 'deaf'], { detached: true, stdio: 'ignore', env, cwd });
      child.unref();
      return child.pid;
    };
    const byEnvironment = leave(process.env, '/');
    const byDirectory = leave({}, scratch ?? '/');
    if (behaviour === 'deaf') process.on('SIGINT', () => console.log('ignored'));
    if (behaviour === 'polite') process.on('SIGINT', () => process.exit(7));
    console.log(`pids ${process.pid} ${byEnvironment} ${byDirectory}`);
    if (behaviour === 'done') process.exitCode = 3;
    else setInterval(() => {}, 60_000);
  },
  deaf: () => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {});
    setInterval(() => {}, 60_000);
  },
};

const role = roles[process.argv[2] ?? ''];
if (role !== undefined) await role(...process.argv.slice(3));
else describe('a supervised run', tests);

interface Supervised {
  readonly supervisor: Running;
  readonly pids: readonly number[];
  readonly directories: readonly string[];
}

async function supervised(behaviour: string): Promise<Supervised> {
  const supervisor = startCommand(process.execPath, [program, 'supervisor', behaviour]);
  const [, directories = ''] = await supervisor.waitForLine(/^directories (.*)/);
  const [, pids = ''] = await supervisor.waitForLine(/^pids (.*)/);
  return { supervisor, pids: pids.split(' ').map(Number), directories: directories.split(' ') };
}

function remains({ pids, directories }: Supervised): unknown[] {
  return [...pids.filter(isRunning), ...directories.filter(existsSync)];
}

function tests(): void {
  it('ends with the status of its command and leaves no process and no file', async () => {
    const run = await supervised('done');
    assert.equal((await run.supervisor.exit).code, 3);
    assert.deepEqual(remains(run), []);
  });

  it('passes a signal on to its command', async () => {
    const run = await supervised('polite');
    assert.equal(run.pids.length, 3);
    assert.deepEqual(run.pids.filter(isRunning), run.pids);
    run.supervisor.kill('SIGINT');
    assert.equal((await run.supervisor.exit).code, 7);
    assert.deepEqual(remains(run), []);
  });

  it('kills a command at the second signal', async () => {
    const run = await supervised('deaf');
    run.supervisor.kill('SIGINT');
    await run.supervisor.waitForLine(/^ignored/);
    run.supervisor.kill('SIGINT');
    assert.equal((await run.supervisor.exit).code, 128 + 9);
    assert.deepEqual(remains(run), []);
  });

  it('tells of a command that was killed', async () => {
    const run = await supervised('wait');
    process.kill(run.pids[0]!, 'SIGKILL');
    assert.equal((await run.supervisor.exit).code, 128 + 9);
    assert.deepEqual(remains(run), []);
  });

  it('leaves nothing even when the supervisor itself is killed', async () => {
    const run = await supervised('wait');
    run.supervisor.kill('SIGKILL');
    await run.supervisor.exit;
    await eventually(() => remains(run).length === 0, { what: 'processes and directories are gone' });
  });
}
