/**
 * What the service manager has in mind with the unit of this process. SIGTERM alone does not tell a stop from a
 * restart; the job that the manager is running for the unit does (systemctl(1), list-jobs).
 */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { askFileLimit, askManager } from './manager-bus.js';

const run = promisify(execFile);

/** Of dbus-daemon(1). */
const SYSTEM_BUS = '/run/dbus/system_bus_socket';

/** Types of jobs. */
const RESTART = /^(?:try-)?restart$/;

/** Asking takes a few milliseconds, by systemctl about 25; a manager that is slower must not hold up the stop. */
const ANSWER_LIMIT_MS = 500;

/** The unit of a process and whose manager runs it. */
export interface ManagedUnit {
  readonly unit: string;
  /** The manager of a user. */
  readonly user: boolean;
}

/** Reads /proc/PID/cgroup (cgroups(7)); undefined for a process that belongs to no service. */
export function unitInCgroup(text: string): ManagedUnit | undefined {
  for (const line of text.split('\n')) {
    const { 1: path } = /^(?:0:|\d+:name=systemd):(\/.*)$/.exec(line) ?? [];
    const services = (path ?? '').split('/').filter((part) => part.endsWith('.service'));
    const unit = services.at(-1);
    if (unit === undefined || /^user@\d+\.service$/.test(unit)) continue;
    return { unit, user: services.some((part) => /^user@\d+\.service$/.test(part)) };
  }
  return undefined;
}

/**
 * The unit of a process, this one by default, as arguments of systemctl(1), ready for a shell: `conmgr@app1.service`,
 * `--user 'conmgr@my\\x2dapp.service'`. `otherwise` for a process that belongs to none.
 */
export function unitOfProcess(otherwise: string, cgroup = '/proc/self/cgroup'): string {
  let managed: ManagedUnit | undefined;
  try {
    managed = unitInCgroup(readFileSync(cgroup, 'utf8'));
  } catch {
    // No procfs: then it is not known.
  }
  if (managed === undefined) return otherwise;
  const unit = /^[\w@.:-]+$/.test(managed.unit) ? managed.unit : `'${managed.unit}'`;
  return managed.user ? `--user ${unit}` : unit;
}

/** Surroundings; tests have their own. */
export interface ManagerQuestion {
  readonly cgroup?: string;
  readonly systemctl?: string;
  /** Socket of the system's bus. */
  readonly bus?: string;
}

/** What the manager intends; 'unknown' where there is none or it does not answer in time. Never rejects. */
export async function managerIntent({
  cgroup = '/proc/self/cgroup',
  systemctl = 'systemctl',
  bus = SYSTEM_BUS,
}: ManagerQuestion = {}): Promise<'restart' | 'hostShutdown' | 'unknown'> {
  const limit = new AbortController();
  const timer = setTimeout(() => limit.abort(), ANSWER_LIMIT_MS);
  const ask = async (...args: string[]): Promise<string> =>
    run(systemctl, args, { signal: limit.signal }).then(
      ({ stdout }) => stdout.trim(),
      // systemctl is-system-running answers with status 1 when it is "stopping".
      (error: { stdout?: string }) => error.stdout?.trim() ?? '',
    );
  try {
    const managed = unitInCgroup(await readFile(cgroup, 'utf8').catch(() => ''));
    if (managed === undefined) return 'unknown';
    // A user's manager may be on no bus.
    const told = managed.user ? undefined : await askManager(bus, limit.signal).catch(() => undefined);
    if (told !== undefined) {
      const { jobs, state } = told;
      if (jobs.some(({ unit, type }) => unit === managed.unit && RESTART.test(type))) return 'restart';
      return state === 'stopping' ? 'hostShutdown' : 'unknown';
    }
    const scope = managed.user ? ['--user'] : [];
    // One program answers the question that sessions depend on: on a busy host each takes its time. The end of the
    // host is no restart, since it replaces every job by a stop.
    const state = ask('is-system-running');
    const jobs = await ask(...scope, 'list-jobs', '--no-legend', '--plain', '--full');
    if (isRestarted(managed.unit, jobs)) return 'restart';
    return (await state) === 'stopping' ? 'hostShutdown' : 'unknown';
  } finally {
    clearTimeout(timer);
    // Whatever has not answered is no longer needed.
    limit.abort();
  }
}

/** Whether a list of jobs, a line `NUMBER UNIT TYPE STATE` for each, has a restart of the unit. */
function isRestarted(unit: string, jobs: string): boolean {
  return jobs.split('\n').some((line) => {
    const [, of, type = ''] = line.trim().split(/\s+/);
    return of === unit && RESTART.test(type);
  });
}

/**
 * How many files the service manager lets the next process of this unit open: LimitNOFILE=, as it stands since the unit was
 * read last, to which Node.js raises the soft limit. Infinity: any number. undefined: no unit, or no answer in time. Never
 * rejects.
 */
export async function nextFileLimit({
  cgroup = '/proc/self/cgroup',
  systemctl = 'systemctl',
  bus = SYSTEM_BUS,
}: ManagerQuestion = {}): Promise<number | undefined> {
  const managed = unitInCgroup(await readFile(cgroup, 'utf8').catch(() => ''));
  if (managed === undefined) return undefined;
  const limit = new AbortController();
  const timer = setTimeout(() => limit.abort(), ANSWER_LIMIT_MS);
  try {
    // A user's manager may be on no bus.
    const told = managed.user
      ? undefined
      : await askFileLimit(bus, managed.unit, limit.signal).catch(() => undefined);
    if (told !== undefined) return told;
    const scope = managed.user ? ['--user'] : [];
    const words = [...scope, 'show', '--property=LimitNOFILE', '--value', '--', managed.unit];
    const { stdout } = await run(systemctl, words, { signal: limit.signal });
    const text = stdout.trim();
    if (text === 'infinity') return Number.POSITIVE_INFINITY;
    return /^\d+$/.test(text) ? Number(text) : undefined;
  } catch {
    return undefined;
  } finally {
    clearTimeout(timer);
  }
}
