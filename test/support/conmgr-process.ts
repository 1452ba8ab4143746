/** Starts the built conmgr on a directory of its own, and looks at it from outside: log lines, status, /proc. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type {
  ControlAnswer,
  ControlRequest,
  InstanceStatus,
  ReloadReport,
  StatusReport,
} from '../../src/core/control/protocol.js';
import type { Ask } from '../../src/core/protocol/ask.js';
import { askControl, watchControl } from '../../src/io/control-socket.js';
import { eventually } from './eventually.js';
import { FirstPhaseClient, type FirstPhaseOptions } from './first-phase-client.js';
import { freePort } from './free-ports.js';
import { built } from './programs.js';
import { type Exit, type Output, type Running, startCommand, type WaitForLineOptions } from './running.js';
import { temporaryDirectory } from './tree.js';

/** One server in conmgr.conf. */
export interface InstanceLines {
  readonly host?: string;
  readonly hostaddr?: string;
  readonly backendPort: number;
  readonly watchdogPort: number;
}

/** Parameters of conmgr.conf; undefined leaves one of the defaults of the tests out. */
export type ConmgrSettings = Readonly<Record<string, string | number | undefined>>;

export interface ConmgrOptions {
  readonly instances: readonly InstanceLines[];
  readonly settings?: ConmgrSettings;
  /** Default: a fresh one. */
  readonly directory?: string;
  /** RLIMIT_NOFILE, soft and hard. */
  readonly openFiles?: number;
  readonly env?: NodeJS.ProcessEnv;
  /** A command that runs conmgr. */
  readonly within?: readonly string[];
  /** Default: the built one. */
  readonly program?: string;
  /** Descriptors 3 and up. */
  readonly fds?: readonly number[];
}

/** It takes a third of a second where nothing else runs. */
const START_MS = 60_000;

/** Fast, but with a time-out that a busy machine keeps; everything is logged. */
const TEST_SETTINGS: ConmgrSettings = {
  listen_addresses: '127.0.0.1',
  heartbeat_interval: '100ms',
  heartbeat_timeout: '2s',
  heartbeat_connect_interval: '100ms',
  heartbeat_connect_timeout: '1s',
  log_min_messages: 'DEBUG',
};

/** The text of conmgr.conf. Instances are numbered in their order; undefined leaves a gap. */
export function conmgrConf(
  instances: readonly (InstanceLines | undefined)[],
  settings: ConmgrSettings = {},
): string {
  const lines = Object.entries({ ...TEST_SETTINGS, ...settings }).flatMap(([name, value]) =>
    value === undefined ? [] : [`${name} = '${value}'`],
  );
  instances.forEach((one, number) => {
    if (one === undefined) return;
    if (one.hostaddr === undefined) lines.push(`backend_host${number} = '${one.host ?? '127.0.0.1'}'`);
    else {
      if (one.host !== undefined) lines.push(`backend_host${number} = '${one.host}'`);
      lines.push(`backend_hostaddr${number} = '${one.hostaddr}'`);
    }
    lines.push(`backend_port${number} = ${one.backendPort}`, `watchdog_port${number} = ${one.watchdogPort}`);
  });
  return `${lines.join('\n')}\n`;
}

/** Starts conmgr on a directory that exists, whatever is in it; for starts that fail, too. */
export function launchConmgr(
  directory: string,
  {
    openFiles,
    env,
    within = [],
    fds = [],
    program = built('bin/conmgr.js'),
    takesOver = false,
  }: Omit<ConmgrOptions, 'instances' | 'settings' | 'directory'> & { readonly takesOver?: boolean } = {},
): Running {
  const words = takesOver ? ['--take-over'] : [];
  const command = [process.execPath, program, '-D', directory, ...words];
  const options = { within, fds, ...(env === undefined ? {} : { env }) };
  if (openFiles === undefined) return startCommand(command[0]!, command.slice(1), options);
  return startCommand('sh', ['-c', `ulimit -n ${openFiles}; exec "$@"`, 'sh', ...command], options);
}

/** Runs a start that is expected to fail to its end. */
export function failedStart(
  directory: string,
  options: Parameters<typeof launchConmgr>[1] = {},
): Promise<Output> {
  return launchConmgr(directory, options).done;
}

export class ConmgrProcess {
  private constructor(
    readonly directory: string,
    readonly port: number,
    private readonly settings: ConmgrSettings,
    readonly running: Running,
  ) {}

  /** Writes conmgr.conf, starts conmgr and returns when it listens. */
  static async start(options: ConmgrOptions): Promise<ConmgrProcess> {
    const directory = options.directory ?? temporaryDirectory('cm-');
    const port = Number(options.settings?.['port'] ?? (await freePort()));
    const settings = { port, ...options.settings };
    writeFileSync(join(directory, 'conmgr.conf'), conmgrConf(options.instances, settings));
    const running = launchConmgr(directory, options);
    const conmgr = new ConmgrProcess(directory, port, settings, running);
    await conmgr.#answers();
    return conmgr;
  }

  /** Starts a conmgr on the same directory that takes over from this one, which may be gone; returns when it listens. */
  async replaced(
    options: Pick<ConmgrOptions, 'openFiles' | 'within' | 'program'> = {},
  ): Promise<ConmgrProcess> {
    const running = launchConmgr(this.directory, { ...options, takesOver: true });
    const next = new ConmgrProcess(this.directory, this.port, this.settings, running);
    // Its predecessor is not asked again and again meanwhile: it has better things to do.
    await next.logged(/LOG: +listening on /, 0, { timeoutMs: 60_000 });
    await eventually(async () => !(await next.#isStarting()), { everyMs: 5, what: 'conmgr answers' });
    return next;
  }

  get pid(): number {
    return this.running.pid;
  }

  /** Where the log stands; what is logged from here on is found with `logged(pattern, mark)`. */
  get mark(): number {
    return this.running.lines.length;
  }

  /** Waits for a log line. */
  logged(
    pattern: RegExp,
    after = 0,
    options: Omit<WaitForLineOptions, 'after'> = {},
  ): Promise<RegExpExecArray> {
    return this.running.waitForLine(pattern, { ...options, after });
  }

  /** Lines logged so far that match. */
  linesLike(pattern: RegExp, after = 0): readonly string[] {
    return this.running.lines.slice(after).filter((line) => pattern.test(line));
  }

  ask(ask: string | Partial<Ask> = {}, options: FirstPhaseOptions = {}): FirstPhaseClient {
    return FirstPhaseClient.start(this.port, ask, options);
  }

  /** An application that has its SQL connection; it goes to `instance` if given, else to the first candidate. */
  bound(ask: Partial<Ask> = {}, instance?: number): Promise<FirstPhaseClient> {
    return FirstPhaseClient.bound(this.port, ask, instance);
  }

  control(request: ControlRequest): Promise<ControlAnswer> {
    return askControl(this.directory, request, { timeoutMs: 10_000 });
  }

  async status(): Promise<StatusReport> {
    const answer = await this.control({ command: 'status' });
    if (!('status' in answer)) throw new Error(`no status: ${JSON.stringify(answer)}`);
    return answer.status;
  }

  /** Follows the status until it is as wanted. */
  async until(
    what: string,
    holds: (status: StatusReport) => boolean,
    timeoutMs = 10_000,
  ): Promise<StatusReport> {
    let last: StatusReport | undefined;
    let timer: NodeJS.Timeout | undefined;
    const found = new Promise<StatusReport>((resolve, reject) => {
      timer = setTimeout(
        () => reject(new Error(`not within ${timeoutMs} ms: ${what}; status: ${JSON.stringify(last)}`)),
        timeoutMs,
      );
      watchControl(this.directory, (answer) => {
        if (!('status' in answer)) return;
        last = answer.status;
        if (holds(last)) resolve(last);
      }).then((watch) => {
        void watch.closed.then(() => reject(new Error(`conmgr ended before: ${what}`)));
        void found.catch(() => {}).finally(() => watch.close());
      }, reject);
    });
    return found.finally(() => clearTimeout(timer));
  }

  /** Waits until an instance is as wanted. */
  async untilInstance(
    number: number,
    what: string,
    holds: (instance: InstanceStatus) => boolean,
    timeoutMs?: number,
  ): Promise<InstanceStatus> {
    const find = (status: StatusReport): InstanceStatus | undefined =>
      status.instances.find((one) => one.number === number);
    const status = await this.until(
      `instance ${number} ${what}`,
      (one) => {
        const instance = find(one);
        return instance !== undefined && holds(instance);
      },
      timeoutMs,
    );
    return find(status)!;
  }

  /** Waits until every link is up and its attributes have been told. */
  linked(timeoutMs?: number): Promise<StatusReport> {
    return this.until(
      'all links are up',
      ({ instances }) => instances.every((one) => one.link.phase === 'up' && one.state !== 'unknown'),
      timeoutMs,
    );
  }

  /** Writes a new conmgr.conf; nothing is told to the process. */
  rewrite(instances: readonly (InstanceLines | undefined)[], settings: ConmgrSettings = {}): void {
    this.rewriteText(conmgrConf(instances, { ...this.settings, ...settings }));
  }

  rewriteText(text: string): void {
    writeFileSync(join(this.directory, 'conmgr.conf'), text);
  }

  /** Reloads through the control socket. */
  async reload(request: { readonly forgetCluster?: boolean } = {}): Promise<ReloadReport> {
    const answer = await this.control({ command: 'reload', ...request });
    if (!('reload' in answer)) throw new Error(`no reload: ${JSON.stringify(answer)}`);
    return answer.reload;
  }

  /** Sends a signal and waits for the end. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<Exit> {
    this.running.kill('SIGCONT');
    const { code, signal: by } = await this.running.stop(signal);
    return { code, signal: by };
  }

  /** Resident memory in kB. */
  get residentKb(): number {
    return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${this.pid}/status`, 'latin1'))?.[1]);
  }

  /** How many descriptors are open. */
  get openDescriptors(): number {
    return readdirSync(`/proc/${this.pid}/fd`).length;
  }

  async #isStarting(): Promise<boolean> {
    const answer = await this.control({ command: 'resolve', target: 'any' });
    return !answer.ok && answer.error.message.includes('starting up');
  }

  async #answers(): Promise<void> {
    let ended = false;
    void this.running.done.then(() => {
      ended = true;
    });
    await eventually(async () => ended || (await this.status()).pid === this.pid, {
      timeoutMs: START_MS,
      everyMs: 5,
      what: 'conmgr answers',
    });
    if (ended) throw new Error(`conmgr ended at its start:\n${this.running.stderr}`);
  }
}
