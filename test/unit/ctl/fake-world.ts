/** cm_ctl in this process, with captured output, a control socket that answers as told, and no daemon. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { CONTROL_SOCKET, type ControlAnswer, type StopMode } from '../../../src/core/control/protocol.js';
import { runCtl } from '../../../src/ctl/main.js';
import type {
  ListedUnit,
  Manager,
  ManagerQuestion,
  StartedConmgr,
  StartRequest,
} from '../../../src/ctl/manager.js';
import { Output } from '../../../src/ctl/output.js';
import { type ControlClient, serveControl } from '../../../src/io/control-socket.js';

const root = mkdtempSync(join(tmpdir(), 'ctl-'));
const servers: { close(): Promise<void> }[] = [];
after(async () => {
  for (const server of servers) await server.close();
  rmSync(root, { recursive: true });
});

/** A directory of this test. */
export function freshDirectory(): string {
  return mkdtempSync(join(root, 'd-'));
}

/** Any request, loosely: tests look at what was sent. */
export interface SentRequest {
  readonly command: string;
  readonly [member: string]: unknown;
}

/** Answers at a directory's control socket; keeps what was asked. */
export class FakeConmgr {
  readonly requests: SentRequest[] = [];
  #watchers: ControlClient[] = [];
  #server: { close(): Promise<void> } | undefined;

  /** `answer` may return undefined: then nothing is said. A `watch` gets what it returns, and later what `tell` says. */
  static async serve(
    directory: string,
    answer: (request: SentRequest) => ControlAnswer | undefined,
    name: string = CONTROL_SOCKET,
  ): Promise<FakeConmgr> {
    const fake = new FakeConmgr();
    fake.#server = await serveControl({
      directory,
      name,
      maxRequestBytes: 4096,
      onLine: (line, client) => {
        const request = JSON.parse(line) as SentRequest;
        fake.requests.push(request);
        if (request.command === 'watch') fake.#watchers.push(client);
        const value = answer(request);
        if (value !== undefined) client.send(value);
      },
    });
    servers.push(fake.#server);
    return fake;
  }

  /** Tells all watchers. */
  tell(answer: ControlAnswer): void {
    for (const client of this.#watchers) client.send(answer);
  }

  /** Is gone, as a process that has ended. */
  async close(): Promise<void> {
    await this.#server?.close();
  }
}

const never = new Promise<never>(() => {});

/** A start that went well, of which nothing more is heard. */
export const STARTED: StartedConmgr = {
  pid: async () => 1234,
  isOurs: (pid) => pid === 1234,
  log: 'somewhere',
  ready: never,
  ended: never,
  release: () => {},
};

/** A manager that starts and stops what the test says. */
export class FakeManager implements Manager {
  readonly kind: Manager['kind'] = 'none';
  readonly started: StartRequest[] = [];
  readonly stopped: { directory: string; pid: number; mode: StopMode }[] = [];
  /** What a start does. */
  onStart: (request: StartRequest) => Promise<Partial<StartedConmgr>> = async () => ({});
  onStop: (pid: number, mode: StopMode) => Promise<void> = async () => {};

  async start(request: StartRequest): Promise<StartedConmgr> {
    this.started.push(request);
    const log = `in "${join(request.directory, 'conmgr.log')}"`;
    return { ...STARTED, log, ...(await this.onStart(request)) };
  }

  async stop(directory: string, pid: number, mode: StopMode): Promise<void> {
    this.stopped.push({ directory, pid, mode });
    await this.onStop(pid, mode);
  }
}

export interface FakeRun {
  /** The one that is chosen. */
  readonly manager?: Manager;
  /** What was asked when it was chosen. */
  readonly onChoose?: (question: ManagerQuestion) => void;
  readonly units?: readonly ListedUnit[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly uid?: number;
  readonly interrupted?: AbortSignal;
  /** Columns and rows of the terminal; none: a pipe. */
  readonly terminal?: { readonly columns: number; readonly rows: number };
  /** Called with each piece of standard output. */
  readonly onOutput?: (text: string) => void;
}

export interface FakeResult {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a command line. */
export async function ctl(words: readonly string[], options: FakeRun = {}): Promise<FakeResult> {
  let stdout = '';
  let stderr = '';
  const terminal = options.terminal === undefined ? {} : { isTTY: true, ...options.terminal };
  const environment = options.environment ?? {};
  const out = {
    ...terminal,
    write: (text: string) => {
      stdout += text;
      options.onOutput?.(text);
    },
  };
  const err = {
    write: (text: string) => {
      stderr += text;
    },
  };
  const status = await runCtl(words, {
    output: new Output(out, err, environment),
    managers: {
      choose: async (question) => {
        options.onChoose?.(question);
        return options.manager ?? new FakeManager();
      },
      list: async () => options.units ?? [],
    },
    environment,
    version: '1.2.3',
    uid: options.uid ?? 1000,
    interrupted: options.interrupted ?? new AbortController().signal,
  });
  return { status, stdout, stderr };
}
