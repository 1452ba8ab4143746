/**
 * Hosts for tests: a real systemd, booted from an image in a third of a second, with a file system and a network of its
 * own. test/system/README.md shows how they are used.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { RUN_ID } from '../../runner/sweep.js';
import { eventually } from '../../support/eventually.js';
import { isRunning, readIfAny } from '../../support/processes.js';
import { type CommandOptions, type CommandResult, type Program, runInside, startInside } from './commands.js';
import { freezeGroup, groupOfRun, removeGroup } from './control-groups.js';
import type { Image } from './images.js';
import { type JournalEntry, parseJournal } from './journal.js';

/** Puts itself into the control group, lays a writable layer over the image where only this host sees it, boots. */
const BOOT = `
set -eu
group=$1 image=$2 own=$3; shift 3
mkdir -p "$group"
echo $$ >"$group/cgroup.procs"
export SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1
exec unshare --mount --propagation private -- /bin/sh -euc '
  mount -t overlay -o "lowerdir=$1,upperdir=$2/upper,workdir=$2/work" overlay "$2/root"
  root=$2/root; shift 2
  exec systemd-nspawn --directory="$root" "$@"
' boot "$image" "$own" "$@"
`;

/** SIGRTMIN+4 asks systemd for a power-off. */
const POWER_OFF = 'RTMIN+4';

export interface HostOptions {
  /** The name it has for itself. Default: host. */
  readonly name?: string;
  /** Path of a network namespace; default: one of its own with nothing but the loopback interface. */
  readonly network?: string;
}

let hosts = 0;

export class Host {
  readonly #directory: string;
  readonly #group: string;
  readonly #id: string;
  #nspawn: ChildProcess | undefined;
  #pid: number | undefined;

  private constructor(
    readonly name: string,
    private readonly image: Image,
    private readonly network: string | undefined,
  ) {
    const run = process.env[RUN_ID];
    if (run === undefined) throw new Error('hosts are booted by "make test-system" only');
    this.#id = `${name}-${process.pid}-${++hosts}`;
    this.#group = join(groupOfRun(run), this.#id);
    this.#directory = mkdtempSync(join(tmpdir(), `${name}-`));
    for (const part of ['upper', 'work', 'root']) mkdirSync(join(this.#directory, part));
  }

  /** Boots a fresh host; returns when it is up. A unit that failed at boot is the test's to find. */
  static async boot(image: Image, { name = 'host', network }: HostOptions = {}): Promise<Host> {
    const host = new Host(name, image, network);
    await host.powerOn();
    return host;
  }

  /** Boots it, or boots it again with all it had on its disk. */
  async powerOn(): Promise<void> {
    const network =
      this.network === undefined
        ? ['--private-network']
        : // With a namespace that it makes itself, nspawn leaves this right to the host of its own accord.
          [`--network-namespace-path=${this.network}`, '--capability=CAP_NET_ADMIN'];
    const options = [
      '--quiet',
      '--boot',
      `--machine=${this.#id}`,
      `--hostname=${this.name}`,
      '--register=no',
    ];
    options.push('--keep-unit', '--console=pipe', '--link-journal=no', '--resolv-conf=off', '--timezone=off');
    const own = [this.#group, this.image.join(':'), this.#directory];
    const console = openSync(this.#console, 'a');
    const child = spawn('/bin/sh', ['-c', BOOT, 'boot', ...own, ...options, ...network], {
      stdio: ['ignore', console, console],
      // A Ctrl-C at the terminal is for the tests, which power it off.
      detached: true,
      cwd: '/',
    });
    this.#nspawn = child;
    this.#pid = await eventually(() => this.#firstProcess(), {
      what: `${this.name} begins to boot`,
      everyMs: 20,
    });
    // Until its first socket listens it cannot be asked; then systemd itself says when it is up.
    await eventually(
      async () => {
        if (child.exitCode !== null) return true;
        const { stdout } = await this.run(['systemctl', 'is-system-running', '--wait']);
        return /^(running|degraded)$/m.test(stdout);
      },
      { what: `${this.name} is up`, everyMs: 50, timeoutMs: 60_000 },
    ).catch((error: unknown) => {
      throw new Error(`${this.name} did not boot:\n${this.console}`, { cause: error });
    });
    if (child.exitCode !== null) throw new Error(`${this.name} did not boot:\n${this.console}`);
  }

  /** Shuts the host down in order; its disk stays. */
  async powerOff(): Promise<void> {
    const ended = this.#ended();
    spawn('kill', ['-s', POWER_OFF, String(this.#pid)], { stdio: 'ignore' });
    await ended;
    await this.losePower();
  }

  /** Powers it off and on. */
  async reboot(): Promise<void> {
    await this.powerOff();
    await this.powerOn();
  }

  /** Pulls the power plug: nothing inside does anything any more. The disk stays. */
  async losePower(): Promise<void> {
    await removeGroup(this.#group);
    this.#pid = undefined;
  }

  /** Stops the whole host as a hypervisor does, until `thaw`. */
  freeze(): Promise<void> {
    return freezeGroup(join(this.#group, 'payload'), true);
  }

  thaw(): Promise<void> {
    return freezeGroup(join(this.#group, 'payload'), false);
  }

  /** Ends the host and removes its disk. For `after` hooks; may be called again. */
  async remove(): Promise<void> {
    await this.losePower();
    rmSync(this.#directory, { recursive: true, force: true });
  }

  /** What the host wrote to its console. */
  get console(): string {
    return readIfAny(this.#console);
  }

  /** Runs a command to its end, whatever its exit status. A string is a shell's. */
  run(command: string | readonly string[], options?: CommandOptions): Promise<CommandResult> {
    return runInside(this.#inside, argvOf(command), options);
  }

  /** Runs a command that must succeed, and returns what it printed without the last line break. */
  async output(command: string | readonly string[], options?: CommandOptions): Promise<string> {
    const { status, stdout, stderr } = await this.run(command, options);
    if (status === 0) return stdout.replace(/\n$/, '');
    throw new Error(`${this.name}: status ${status} of ${argvOf(command).join(' ')}\n${stdout}${stderr}`);
  }

  /** Starts a program that goes on running; its lines can be waited for. */
  start(command: string | readonly string[], options?: CommandOptions): Program {
    return startInside(this.#inside, argvOf(command), options);
  }

  read(path: string): Promise<string> {
    return this.run(['cat', path]).then(({ status, stdout, stderr }) => {
      if (status !== 0) throw new Error(`${this.name}: ${stderr}`);
      return stdout;
    });
  }

  /** Writes a file and the directories above it. */
  async write(
    path: string,
    text: string | Buffer,
    { mode = '0644', owner = 'root:root' } = {},
  ): Promise<void> {
    const script = 'mkdir -p "$(dirname "$1")" && cat >"$1" && chmod "$2" "$1" && chown "$3" "$1"';
    await this.output(['sh', '-c', script, 'write', path, mode, owner], { input: text });
  }

  /** Copies a file or directory of the run into a directory of the host, under the same name, as root's. */
  async copyIn(source: string, directory: string): Promise<void> {
    const tar = spawn('tar', ['-C', dirname(source), '-c', '--owner=0', '--group=0', basename(source)]);
    const chunks: Buffer[] = [];
    for await (const chunk of tar.stdout) chunks.push(chunk as Buffer);
    const script = 'mkdir -p "$1" && tar -C "$1" -x';
    await this.output(['sh', '-c', script, 'copy', directory], { input: Buffer.concat(chunks) });
  }

  /** Entries of the journal that journalctl chooses by `args`, oldest first. */
  async journal(...args: string[]): Promise<JournalEntry[]> {
    const options = ['--output=json', '--all', '--quiet', '--no-pager'];
    return parseJournal(await this.output(['journalctl', ...options, ...args]));
  }

  /**
   * Waits until `check` returns something true, and returns that. It is asked at once and whenever the journal of the
   * host grows, which it does with every event that matters; now and then it is asked without one.
   * @param what for the error message: `conmgr@app1 is up`
   */
  async until<T>(
    what: string,
    check: () => Promise<T>,
    { timeoutMs = 20_000 } = {},
  ): Promise<NonNullable<Exclude<T, false | 0 | ''>>> {
    const journal = this.start(['journalctl', '--follow', '--lines=0', '--quiet', '--output=cat']);
    try {
      return await eventually(
        async () => {
          const seen = journal.lines.length;
          const result = await check();
          if (!result) await journal.waitForLine(/^/, { after: seen, timeoutMs: 250 }).catch(() => {});
          return result;
        },
        { what: `${this.name}: ${what}`, timeoutMs },
      );
    } finally {
      journal.killAll();
    }
  }

  /** Properties of a unit as `systemctl show` has them: `(await host.unit('conmgr@app1'))['NRestarts']`. */
  async unit(name: string): Promise<Readonly<Record<string, string>>> {
    const lines = (await this.output(['systemctl', 'show', name])).split('\n');
    return Object.fromEntries(
      lines.map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
    );
  }

  /** The unit's main process; its number inside the host. */
  async mainPid(unit: string): Promise<number> {
    const pid = Number((await this.unit(unit))['MainPID']);
    if (!(pid > 0)) throw new Error(`${this.name}: ${unit} has no process`);
    return pid;
  }

  /** Sends a signal to the main process of a unit: SIGKILL for a crash, SIGSTOP for one that hangs. */
  async signal(unit: string, signal: NodeJS.Signals): Promise<void> {
    await this.output(['kill', '-s', signal.slice(3), String(await this.mainPid(unit))]);
  }

  get #inside(): { pid: number; group: string } {
    if (this.#pid === undefined) throw new Error(`${this.name} is off`);
    return { pid: this.#pid, group: join(this.#group, 'payload/harness') };
  }

  get #console(): string {
    return join(this.#directory, 'console');
  }

  /** The child of systemd-nspawn, once it is systemd. */
  #firstProcess(): number | undefined {
    const nspawn = this.#nspawn?.pid;
    if (nspawn === undefined || this.#nspawn?.exitCode !== null) {
      throw new Error(`systemd-nspawn ended: ${this.console}`);
    }
    const children = readIfAny(`/proc/${nspawn}/task/${nspawn}/children`).split(' ').filter(Boolean);
    return children.map(Number).find((pid) => readIfAny(`/proc/${pid}/comm`) === 'systemd\n');
  }

  #ended(): Promise<void> {
    const child = this.#nspawn;
    if (child?.pid === undefined || child.exitCode !== null || !isRunning(child.pid))
      return Promise.resolve();
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`${this.name} does not power off`)), 100_000);
      child.once('exit', () => {
        clearTimeout(timer);
        resolve();
      });
    });
  }
}

function argvOf(command: string | readonly string[]): readonly string[] {
  return typeof command === 'string' ? ['sh', '-c', command] : command;
}
