/** Starts commands in the background and follows what they print. */
import { type ChildProcess, spawn } from 'node:child_process';
import { temporaryDirectory } from './tree.js';

export interface StartOptions {
  /** Added to the environment of the test. */
  readonly env?: NodeJS.ProcessEnv;
  /** Default: a fresh directory. */
  readonly cwd?: string;
  /** A command that runs the command, as `nsenter` does; the process stays the same one. */
  readonly within?: readonly string[];
  /** Descriptors 3 and up of the command. */
  readonly fds?: readonly number[];
}

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface Output extends Exit {
  readonly stdout: string;
  readonly stderr: string;
}

export interface WaitForLineOptions {
  /** Default 10,000. */
  readonly timeoutMs?: number;
  /** Pass over so many lines of the output; `running.lines.length`, taken before an action, waits for its effect. */
  readonly after?: number;
}

/** Starts a command; it is ended with the test file at the latest. */
export function startCommand(command: string, args: readonly string[], options: StartOptions = {}): Running {
  const [program, ...rest] = [...(options.within ?? []), command, ...args];
  const child = spawn(program!, rest, {
    cwd: options.cwd ?? temporaryDirectory(),
    // What node:test tells the process of a test file does not concern the programs it starts.
    env: { ...process.env, NODE_TEST_CONTEXT: undefined, ...options.env },
    stdio: ['pipe', 'pipe', 'pipe', ...(options.fds ?? [])],
  });
  return new Running(child, [command, ...args].join(' '));
}

const alive = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of alive) child.kill('SIGKILL');
});

interface Waiting {
  readonly pattern: RegExp;
  readonly after: number;
  readonly found: (match: RegExpExecArray) => void;
  readonly failed: (error: Error) => void;
}

/** A program that was started. */
export class Running {
  /** Whole lines of standard output and standard error, in the order they were read. */
  readonly lines: string[] = [];
  /** Settles when the program has ended and all it wrote was read. */
  readonly done: Promise<Output>;
  readonly #waiting = new Set<Waiting>();
  #output = { stdout: '', stderr: '' };
  #ended: Exit | undefined;

  constructor(
    private readonly child: ChildProcess,
    private readonly title: string,
  ) {
    alive.add(child);
    this.#read('stdout');
    this.#read('stderr');
    // A program may end without having read what it is sent.
    child.stdin?.on('error', () => {});
    this.done = new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('exit', () => alive.delete(child));
      child.once('close', (code, signal) => {
        this.#ended = { code, signal };
        for (const one of this.#waiting)
          one.failed(this.#failure(one.pattern, `before it ended (${code ?? signal})`));
        resolve({ code, signal, ...this.#output });
      });
    });
    // Only for those who wait for it.
    this.done.catch(() => {});
  }

  get pid(): number {
    if (this.child.pid === undefined) throw new Error(`${this.title} could not be started`);
    return this.child.pid;
  }

  get stdin(): NonNullable<ChildProcess['stdin']> {
    return this.child.stdin!;
  }

  /** Everything read so far. */
  get stdout(): string {
    return this.#output.stdout;
  }

  get stderr(): string {
    return this.#output.stderr;
  }

  /** How it ended. */
  get exit(): Promise<Exit> {
    return this.done.then(({ code, signal }) => ({ code, signal }));
  }

  /** Sends a signal; false if it has ended already. */
  kill(signal: NodeJS.Signals = 'SIGTERM'): boolean {
    return this.child.kill(signal);
  }

  /** Sends a signal and waits for the end. */
  stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<Output> {
    this.kill(signal);
    return this.done;
  }

  /** The match of the first line, now or later, that matches; rejects with all output if it ends or takes too long. */
  waitForLine(
    pattern: RegExp,
    { timeoutMs = 10_000, after = 0 }: WaitForLineOptions = {},
  ): Promise<RegExpExecArray> {
    for (const line of this.lines.slice(after)) {
      const match = pattern.exec(line);
      if (match !== null) return Promise.resolve(match);
    }
    if (this.#ended !== undefined) return Promise.reject(this.#failure(pattern, 'and it has ended'));
    return new Promise((resolve, reject) => {
      const settle =
        <T>(act: (value: T) => void) =>
        (value: T): void => {
          clearTimeout(timer);
          this.#waiting.delete(one);
          act(value);
        };
      const one: Waiting = { pattern, after, found: settle(resolve), failed: settle(reject) };
      const timer = setTimeout(() => one.failed(this.#failure(pattern, `within ${timeoutMs} ms`)), timeoutMs);
      this.#waiting.add(one);
    });
  }

  #failure(pattern: RegExp, when: string): Error {
    return new Error(
      `${this.title} printed no line that matches ${pattern} ${when}:\n${this.lines.join('\n')}`,
    );
  }

  #read(stream: 'stdout' | 'stderr'): void {
    let rest = '';
    this.child[stream]?.setEncoding('utf8').on('data', (text: string) => {
      this.#output[stream] += text;
      const lines = (rest + text).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) this.#onLine(line);
    });
    this.child[stream]?.on('end', () => {
      if (rest !== '') this.#onLine(rest);
    });
  }

  #onLine(line: string): void {
    this.lines.push(line);
    for (const one of [...this.#waiting]) {
      const match = this.lines.length > one.after ? one.pattern.exec(line) : null;
      if (match !== null) one.found(match);
    }
  }
}
