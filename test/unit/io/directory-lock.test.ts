import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, describe, it } from 'node:test';
import { MessageError } from '../../../src/core/messages/message-error.js';
import { systemClock } from '../../../src/io/clock.js';
import { adoptLock, lockDirectory, lockFilePid } from '../../../src/io/directory-lock.js';
import { bundleProgram } from '../../support/bundled-program.js';
import { temporaryDirectory } from '../../support/tree.js';

const SOON = { clock: systemClock, waitMs: 100 };

let program: string;
const children: ChildProcess[] = [];

before(async () => {
  program = await bundleProgram('test/support/lock-holder.ts');
});
after(() => {
  for (const child of children) child.kill('SIGKILL');
});

interface Holder {
  readonly process: ChildProcess;
  readonly exited: Promise<unknown>;
  /** The next line it says. */
  readonly hear: () => Promise<string>;
  readonly tell: (line: string) => void;
}

function startHolder(command: string, ...args: string[]): Holder {
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  children.push(child);
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  return {
    process: child,
    exited: once(child, 'exit'),
    hear: async () => (await lines.next()).value as string,
    tell: (line) => void child.stdin.write(`${line}\n`),
  };
}

const hold = (directory: string): Holder => startHolder(process.execPath, program, directory);

const isMessage = (code: string, text: RegExp) => (error: unknown) =>
  error instanceof MessageError && error.code === code && text.test(error.message);

describe('the lock on a directory', () => {
  it('writes a file like postmaster.pid for its owner only: PID, directory, start time, port', async () => {
    const directory = temporaryDirectory();
    const lock = await lockDirectory(directory, { ...SOON, lines: ['27546'] });
    const file = join(directory, 'conmgr.pid');
    const [pid, path, started, port, end] = readFileSync(file, 'utf8').split('\n');
    assert.deepEqual([pid, path, port, end], [String(process.pid), directory, '27546', '']);
    assert.ok(Math.abs(Number(started) - Date.now() / 1000 + process.uptime()) < 5);
    assert.equal(statSync(file).mode & 0o777, 0o600);
    assert.equal(lockFilePid(directory), process.pid);
    lock.release();
    assert.equal(existsSync(file), false);
    assert.equal(lockFilePid(directory), undefined);
  });

  it('keeps a second process out and names the living one with its pid', async () => {
    const directory = temporaryDirectory();
    const holder = hold(directory);
    assert.equal(await holder.hear(), `locked ${holder.process.pid}`);
    const wanted = new RegExp(
      `^directory "${directory}" is in use by another process \\(PID ${holder.process.pid}\\)$`,
    );
    await assert.rejects(lockDirectory(directory, SOON), isMessage('CM1102', wanted));
    assert.equal(await hold(directory).hear(), `failed ${wanted.source.slice(1, -1).replaceAll('\\', '')}`);
    holder.tell('release');
    await holder.exited;
    (await lockDirectory(directory, SOON)).release();
  });

  it('is waited for when the predecessor is just ending', async () => {
    const directory = temporaryDirectory();
    const holder = hold(directory);
    await holder.hear();
    const locked = lockDirectory(directory, { clock: systemClock });
    holder.tell('release');
    (await locked).release();
  });

  it('is free at once after a process was killed, whatever its file says', async () => {
    const directory = temporaryDirectory();
    const holder = hold(directory);
    await holder.hear();
    holder.process.kill('SIGKILL');
    await holder.exited;
    assert.equal(lockFilePid(directory), holder.process.pid);
    const lock = await lockDirectory(directory, { clock: systemClock, waitMs: 0 });
    assert.equal(lockFilePid(directory), process.pid);
    lock.release();
  });

  it('is not impressed by a file with the pid of another living process, nor by a longer one', async () => {
    const directory = temporaryDirectory();
    writeFileSync(join(directory, 'conmgr.pid'), `1\n${'x\n'.repeat(1000)}`);
    const lock = await lockDirectory(directory, { clock: systemClock, waitMs: 0 });
    assert.equal(readFileSync(join(directory, 'conmgr.pid'), 'utf8').split('\n').length, 4);
    lock.release();
  });

  it('is the flock(2) that other programs take, in both directions', async () => {
    const directory = temporaryDirectory();
    const file = join(directory, 'conmgr.pid');
    const other = startHolder('flock', '-x', file, 'sh', '-c', 'echo locked; exec cat');
    assert.equal(await other.hear(), 'locked');
    await assert.rejects(lockDirectory(directory, SOON), isMessage('CM1102', /\(PID unknown\)$/));
    other.process.stdin!.end();
    await other.exited;
    const lock = await lockDirectory(directory, { clock: systemClock });
    const [status] = await once(spawn('flock', ['-n', '-x', file, 'true']), 'exit');
    assert.equal(status, 1);
    lock.release();
  });

  it('is not held on a file that was moved away meanwhile', async () => {
    const directory = temporaryDirectory();
    const holder = hold(directory);
    await holder.hear();
    const locked = lockDirectory(directory, { clock: systemClock });
    renameSync(join(directory, 'conmgr.pid'), join(directory, 'elsewhere'));
    const lock = await locked;
    assert.equal(lockFilePid(directory), process.pid);
    // The other one must not remove what is not its own.
    holder.tell('release');
    await holder.exited;
    assert.equal(lockFilePid(directory), process.pid);
    lock.release();
  });

  it('passes to a successor that inherits the descriptor, without a gap, and the file names the successor', async () => {
    const directory = temporaryDirectory();
    const holder = hold(directory);
    await holder.hear();
    holder.tell('hand over');
    const said = await holder.hear();
    const successor = Number(said.replace('locked ', ''));
    assert.notEqual(successor, holder.process.pid);
    await holder.exited;
    assert.equal(lockFilePid(directory), successor);
    const wanted = new RegExp(`\\(PID ${successor}\\)$`);
    await assert.rejects(lockDirectory(directory, SOON), isMessage('CM1102', wanted));
    process.kill(successor, 'SIGKILL');
    (await lockDirectory(directory, { clock: systemClock })).release();
  });

  it('is not taken over with a descriptor of something else', () => {
    assert.throws(
      () => adoptLock(temporaryDirectory(), 0),
      isMessage('CM1104', /descriptor 0 is not that of this file$/),
    );
  });
});

describe('the end of a lock', () => {
  it('comes although the directory can no longer be written: the file stays and blocks nobody', async () => {
    const directory = temporaryDirectory();
    const lock = await lockDirectory(directory, SOON);
    chmodSync(directory, 0o500);
    try {
      lock.release();
      assert.ok(existsSync(join(directory, 'conmgr.pid')));
    } finally {
      chmodSync(directory, 0o700);
    }
    (await lockDirectory(directory, SOON)).release();
  });
});

describe('a directory that cannot be locked', () => {
  it('is refused when the file is a symbolic link, whose target stays as it is', async () => {
    const directory = temporaryDirectory();
    const target = join(directory, 'target');
    writeFileSync(target, 'precious\n');
    symlinkSync(target, join(directory, 'conmgr.pid'));
    await assert.rejects(lockDirectory(directory, SOON), isMessage('CM1103', /symbolic links/));
    assert.equal(readFileSync(target, 'utf8'), 'precious\n');
  });

  it('is refused with what the system says when it is missing or the file is a directory', async () => {
    const directory = temporaryDirectory();
    const missing = join(directory, 'not');
    await assert.rejects(lockDirectory(missing, SOON), isMessage('CM1103', /no such file or directory$/));
    mkdirSync(join(directory, 'conmgr.pid'));
    await assert.rejects(
      lockDirectory(directory, SOON),
      isMessage('CM1103', /illegal operation on a directory$/),
    );
  });
});

describe('without native calls', () => {
  const without = { ...SOON, native: () => undefined };

  it('the program flock takes the same lock for this process', async () => {
    const directory = temporaryDirectory();
    const lock = await lockDirectory(directory, without);
    await assert.rejects(
      lockDirectory(directory, SOON),
      isMessage('CM1102', new RegExp(`PID ${process.pid}`)),
    );
    await assert.rejects(
      lockDirectory(directory, without),
      isMessage('CM1102', new RegExp(`PID ${process.pid}`)),
    );
    lock.release();
    (await lockDirectory(directory, SOON)).release();
  });

  it('and without that program nothing is started unlocked', async () => {
    const directory = temporaryDirectory();
    const nothing = { ...without, program: join(directory, 'not-there') };
    await assert.rejects(lockDirectory(directory, nothing), isMessage('CM1105', /neither koffi.node nor/));
  });
});
