/** Real descriptors: a program whose descriptor 2 is a pipe, a socket, a terminal or a file. */
import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, closeSync, constants, openSync, readFileSync } from 'node:fs';
import { Socket } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { before, describe, it } from 'node:test';
import { loadNative, type Native } from '../../../../src/io/native.js';
import { bundleProgram } from '../../../support/bundled-program.js';
import { eventually } from '../../../support/eventually.js';
import { temporaryDirectory } from '../../../support/tree.js';

let program: string;

interface Started {
  readonly process: ChildProcess;
  /** The next line the child says on stdout, as a number. */
  readonly say: () => Promise<number>;
}

function start(what: string, stderr: number | 'pipe'): Started {
  const started = spawn(process.execPath, [program, what], {
    stdio: ['pipe', 'pipe', stderr],
    timeout: 20_000,
    killSignal: 'SIGKILL',
  });
  const lines = createInterface(started.stdout!)[Symbol.asyncIterator]();
  return {
    process: started,
    say: async () => {
      const { value, done } = await lines.next();
      assert.equal(done, false, 'the child was stuck and had to be killed');
      return Number(value);
    },
  };
}

/** A named pipe with both ends open here, blocking on the side that a child inherits. */
function pipe(mode = 0o600): { path: string; readEnd: number; writeEnd: number } {
  const path = join(temporaryDirectory(), 'fifo');
  execFileSync('mkfifo', [path]);
  const readEnd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  const writeEnd = openSync(path, constants.O_WRONLY);
  chmodSync(path, mode);
  return { path, readEnd, writeEnd };
}

/** A pseudo terminal: what the child gets, and the side of the person in front of it. */
function terminal(): { slave: number; master: number } {
  const ioctl = (loadNative() as Native).func('int ioctl(int, unsigned long, ...)');
  const master = openSync('/dev/ptmx', constants.O_RDWR | constants.O_NOCTTY | constants.O_NONBLOCK);
  const value = Buffer.alloc(4);
  assert.equal(ioctl(master, 0x40045431, 'void *', value), 0, 'TIOCSPTLCK');
  assert.equal(ioctl(master, 0x80045430, 'void *', value), 0, 'TIOCGPTN');
  const slave = openSync(`/dev/pts/${value.readUInt32LE(0)}`, constants.O_RDWR | constants.O_NOCTTY);
  return { slave, master };
}

const readerOf = (readEnd: number): Socket => new Socket({ fd: readEnd, readable: true, writable: false });

async function textOf(stream: Readable, onText: (text: string) => void = () => {}): Promise<string> {
  let text = '';
  stream.setEncoding('utf8');
  stream.on('data', (chunk: string) => {
    text += chunk;
    onText(text);
  });
  await once(stream, 'end');
  return text;
}

/** Reads again after a stall; when the count is there, the program is told to write one more line and end. */
async function readAgain(started: Started, stream: Readable): Promise<void> {
  const text = await textOf(stream, (soFar) => {
    if (soFar.includes('could not be written')) started.process.stdin!.end('go on\n');
  });
  assertBoundedAndCounted(text);
}

const isNonBlocking = (fd: number): boolean => {
  const flags = /flags:\s*(\d+)/.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'latin1'))?.[1];
  return (Number.parseInt(flags!, 8) & constants.O_NONBLOCK) !== 0;
};

/** Tells the program to go on when the file has so many lines. */
async function goesOnAfter(started: Started, path: string, lines: number): Promise<void> {
  const written = (): boolean => readFileSync(path, 'utf8').split('\n').length > lines;
  await eventually(written, { what: `${lines} lines in the file` });
  started.process.stdin!.end('go on\n');
}

const LIMIT_MS = 1000;

function assertAwake(worstMs: number): void {
  assert.ok(worstMs < LIMIT_MS, `a timer was ${worstMs} ms late`);
}

/** What a reader that comes late finds: the oldest lines without a gap, then how many are missing, then the newest. */
function assertBoundedAndCounted(text: string): void {
  const lines = text.split('\n').filter((line) => line !== '');
  const numbers = lines.flatMap((line) => /WARNING: {2}(\d+) x+$/.exec(line)?.slice(1).map(Number) ?? []);
  assert.deepEqual(
    numbers,
    numbers.map((_, i) => i + 1),
  );
  const missing = Number(
    /LOG: {2}number of messages that could not be written to stderr: (\d+)$/.exec(
      lines[numbers.length]!,
    )?.[1],
  );
  assert.equal(numbers.length + missing, 5000);
  assert.match(lines.at(-1)!, /WARNING: {2}after x+$/);
  assert.equal(lines.length, numbers.length + 2);
}

before(async () => {
  program = await bundleProgram('test/support/log-storm.ts');
});

describe('a reader of stderr that stalls holds up no timer, and finds the count of what is missing', () => {
  it('when it is a pipe, whose blocking mode for others is left alone', async () => {
    const { readEnd, writeEnd } = pipe();
    const started = start('storm', writeEnd);
    assertAwake(await started.say());
    assert.equal(isNonBlocking(writeEnd), false);
    closeSync(writeEnd);
    await readAgain(started, readerOf(readEnd));
  });

  it('when it is a pipe that may not be opened a second time', async () => {
    const { readEnd, writeEnd } = pipe(0o000);
    const started = start('storm', writeEnd);
    closeSync(writeEnd);
    assertAwake(await started.say());
    await readAgain(started, readerOf(readEnd));
  });

  it('when it is a socket, as that of journald', async () => {
    const started = start('storm', 'pipe');
    assertAwake(await started.say());
    await readAgain(started, started.process.stderr!);
  });

  it('when it is a terminal', async () => {
    const { slave, master } = terminal();
    const started = start('storm', slave);
    assertAwake(await started.say());
    started.process.kill('SIGKILL');
    await once(started.process, 'exit');
    closeSync(slave);
    closeSync(master);
  });
});

describe('a file as stderr', () => {
  it('has every line, in order, also those written right before the end', async () => {
    const path = join(temporaryDirectory(), 'log');
    const started = start('file', openSync(path, 'a'));
    await goesOnAfter(started, path, 1000);
    const [code] = await once(started.process, 'exit');
    assert.equal(code, 78);
    const lines = readFileSync(path, 'utf8').split('\n').slice(0, -1);
    assert.match(lines.pop()!, /FATAL: {2}the end$/);
    assert.deepEqual(
      lines.map((line) => Number(/WARNING: {2}(\d+) x+$/.exec(line)?.[1])),
      Array.from({ length: 2000 }, (_, i) => i + 1),
    );
  });

  it('is not overwritten from its beginning when it was not opened for appending', async () => {
    const path = join(temporaryDirectory(), 'log');
    execFileSync('sh', ['-c', `printf 'before\\n' > ${path}`]);
    const fd = openSync(path, 'r+');
    execFileSync('cat', { stdio: [fd, 'ignore', 'inherit'] });
    const started = start('file', fd);
    await goesOnAfter(started, path, 1001);
    await once(started.process, 'exit');
    const lines = readFileSync(path, 'utf8').split('\n');
    assert.deepEqual([lines.length, lines[0]], [2003, 'before']);
  });

  it('holds up no timer, however much is written', async () => {
    const path = join(temporaryDirectory(), 'log');
    const started = start('last-words', openSync(path, 'a'));
    assertAwake(await started.say());
    await once(started.process, 'exit');
  });
});

describe('the last words on stderr', () => {
  it('are there when the reader is slow: FATAL is out before the process ends', async () => {
    const started = start('last-words', 'pipe');
    assertAwake(await started.say());
    const text = await textOf(started.process.stderr!);
    assert.match(text, /FATAL: {2}the end\n$/);
  });

  it('do not keep a process that nobody reads from ending with its exit status', async () => {
    const { readEnd, writeEnd } = pipe();
    const started = start('last-words', writeEnd);
    assertAwake(await started.say());
    const tookMs = await started.say();
    const [code, signal] = await once(started.process, 'exit');
    assert.deepEqual([code, signal], [78, null]);
    assert.ok(tookMs < 3000, `${tookMs} ms`);
    closeSync(writeEnd);
    closeSync(readEnd);
  });
});
