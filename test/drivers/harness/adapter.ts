/** Runs the program of a driver and speaks its line protocol (../README.md). */
import { type Running, startCommand } from '../../support/running.js';
import { inTree, temporaryDirectory } from '../../support/tree.js';
import type { Driver } from './drivers.js';

/** What a driver told its application. */
export interface Failure {
  readonly error: string;
  readonly sqlstate: string | null;
  /** When it came, on the clock of performance.now(). */
  readonly at: number;
}

interface Line {
  readonly id?: number;
  readonly version?: string;
  readonly value?: string;
  readonly error?: string;
  readonly sqlstate?: string | null;
}

export type Verb =
  | 'connect'
  | 'reconnect'
  | 'query'
  | 'transaction'
  | 'copy-in'
  | 'copy-out'
  | 'cancel'
  | 'close';

/** How long an answer may take; far more than any does. */
const ANSWER_MS = 30_000;

export class Adapter {
  #next = 1;
  #string = '';

  private constructor(
    readonly driver: Driver,
    readonly version: string,
    private readonly running: Running,
  ) {}

  static async start(driver: Driver, within: readonly string[]): Promise<Adapter> {
    const place = { $OUT: inTree('build/drivers'), $NODE: process.execPath };
    const [program = '', ...args] = driver.command.map((word) =>
      word.replace(/\$(?:OUT|NODE)/, (name) => place[name as keyof typeof place]),
    );
    // The programs lie where packages of Node.js are found from; what they write goes elsewhere.
    const running = startCommand(program, args, {
      within,
      cwd: inTree('test/drivers/programs'),
      env: { TMPDIR: temporaryDirectory(), PYTHONDONTWRITEBYTECODE: '1', PGCONNECT_TIMEOUT: '10' },
    });
    const [line] = await running.waitForLine(/^\{"version":.*$/, { timeoutMs: ANSWER_MS });
    return new Adapter(driver, (JSON.parse(line) as Line).version ?? '', running);
  }

  get pid(): number {
    return this.running.pid;
  }

  /** The value of what succeeds; an error with all that the driver told otherwise. */
  async does(verb: Verb, rest = ''): Promise<string> {
    const answer = await this.#ask(verb, rest);
    if (answer.error === undefined) return answer.value ?? '';
    throw new Error(
      `${this.driver.name}: ${verb} ${rest}: ${answer.sqlstate ?? 'no SQLSTATE'}: ${answer.error}`,
    );
  }

  /** What the driver told of what fails. */
  async fails(verb: Verb, rest = ''): Promise<Failure> {
    const { error, sqlstate = null, value } = await this.#ask(verb, rest);
    const at = performance.now();
    if (error !== undefined) return { error, sqlstate, at };
    throw new Error(`${this.driver.name}: ${verb} ${rest} succeeded: ${value}`);
  }

  async connect(string: string): Promise<void> {
    this.#string = string;
    await this.does('connect', string);
  }

  /** Gets a connection again as an application with this driver does: pools have their own way. */
  async reconnect(): Promise<void> {
    const answer = await this.#ask('reconnect', '');
    if (answer.error === undefined) return;
    if (!answer.error.startsWith('there is no ')) throw new Error(`${this.driver.name}: ${answer.error}`);
    await this.does('connect', this.#string);
  }

  async #ask(verb: Verb, rest: string): Promise<Line> {
    const id = this.#next++;
    const after = this.running.lines.length;
    this.running.stdin.write(`${id} ${verb} ${rest}\n`);
    const [line] = await this.running.waitForLine(new RegExp(`^\\{(?=.*"id":\\s?${id}[,}]).*$`), {
      after,
      timeoutMs: ANSWER_MS,
    });
    return JSON.parse(line) as Line;
  }

  async end(): Promise<void> {
    await this.running.stop('SIGKILL');
  }
}

/** Starts the programs of several drivers, side by side. */
export async function startAdapters(
  drivers: readonly Driver[],
  within: readonly string[],
): Promise<Adapter[]> {
  return Promise.all(drivers.map((one) => Adapter.start(one, within)));
}
