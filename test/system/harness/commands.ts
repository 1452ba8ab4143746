/** Runs commands inside a booted host. */
import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { Running } from '../../support/running.js';
import { killGroup, processesOf } from './control-groups.js';

/** What a command found when it began, and what may happen to it. */
export interface CommandOptions {
  /** Who runs it, with the groups and the environment of a fresh login. Default root. */
  readonly user?: string;
  /** Added to the environment, which is empty but for PATH, HOME and LANG. */
  readonly env?: Readonly<Record<string, string>>;
  /** Standard input; default empty. */
  readonly input?: string | Buffer;
  /** The command is killed after this long and `run` rejects. Default 30,000. */
  readonly timeoutMs?: number;
}

/** How a command ended. */
export interface CommandResult {
  /** As a shell shows it: 128 + number of the signal for a command that died by one. */
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Where a host is to be entered. */
export interface Inside {
  /** The host's first process, by the number it has outside. */
  readonly pid: number;
  /** The control group that commands get theirs in. */
  readonly group: string;
}

/**
 * Taken away from everything that is started inside, as systemd-nspawn does for the host itself: they act on the
 * kernel, which is that of the machine. Without it a `date --set` inside would set the clock outside.
 */
const NEVER = [
  'sys_time,sys_module,sys_rawio,sys_pacct,ipc_lock,mac_override,mac_admin,syslog,wake_alarm,block_suspend',
  'audit_read,perfmon,bpf,checkpoint_restore',
]
  .join(',')
  .split(',')
  .map((name) => `-${name}`)
  .join(',');

const ENVIRONMENT = [
  'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  'HOME=/root',
  'LANG=C.UTF-8',
  'TERM=dumb',
];

/** The control group first: logind refuses callers whose group lies outside of what the host sees. */
const ENTER = [
  'mkdir -p "$1" && echo $$ >"$1/cgroup.procs" && pid=$2 && shift 2 &&',
  'exec nsenter --target "$pid" --mount --uts --ipc --net --pid --cgroup --root --wd --',
  `setpriv --bounding-set ${NEVER} -- env -i ${ENVIRONMENT.join(' ')} "$@"`,
].join(' ');

let commands = 0;

/** A program that runs inside a host. */
export class Program extends Running {
  constructor(
    child: ChildProcess,
    title: string,
    /** Holds the program and all that it starts, unless that becomes a unit. */
    readonly group: string,
  ) {
    super(child, title);
  }

  /** Sends a signal to every process of the program; false if there is none. */
  override kill(signal: NodeJS.Signals = 'SIGTERM'): boolean {
    // The first is nsenter, outside; it ends with the program.
    const inside = processesOf(this.group).filter((pid) => pid !== this.pid);
    for (const pid of inside) process.kill(pid, signal);
    return inside.length > 0;
  }

  /** Ends everything the program started, at once. */
  killAll(): void {
    killGroup(this.group);
  }
}

/** Starts a program inside; its standard input stays open. */
export function startInside(
  { pid, group }: Inside,
  argv: readonly string[],
  { user, env = {} }: CommandOptions = {},
): Program {
  const own = join(group, String(++commands));
  // runuser sets the groups, setpriv the environment of a login; neither needs a shell.
  const login = user === undefined ? [] : ['runuser', '-u', user, '--', 'setpriv', '--reset-env', '--'];
  const extra = Object.entries({ ...(user === undefined ? {} : { LANG: 'C.UTF-8' }), ...env });
  const command = [...login, 'env', ...extra.map(([name, value]) => `${name}=${value}`), ...argv];
  const child = spawn('/bin/sh', ['-c', ENTER, 'enter', own, String(pid), ...command], {
    cwd: '/',
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  return new Program(child, argv.join(' '), own);
}

/** Runs a command inside to its end. */
export async function runInside(
  inside: Inside,
  argv: readonly string[],
  options: CommandOptions = {},
): Promise<CommandResult> {
  const { input = '', timeoutMs = 30_000 } = options;
  const program = startInside(inside, argv, options);
  program.stdin.end(input);
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    program.killAll();
  }, timeoutMs);
  const { code, stdout, stderr } = await program.done.finally(() => clearTimeout(timer));
  if (late) {
    throw new Error(`not done after ${timeoutMs} ms: ${argv.join(' ')}\n${program.lines.join('\n')}`);
  }
  return { status: code ?? 137, stdout, stderr };
}
