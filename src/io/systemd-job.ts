/**
 * What the service manager has in mind with the unit of this process. SIGTERM alone does not tell a stop from a
 * restart; the job that the manager is running for the unit does (org.freedesktop.systemd1(5), Job: JobType).
 */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** Asking takes about 25 ms; a manager that is slower must not hold up the stop. */
const ANSWER_LIMIT_MS = 500;
const JOBS = '/org/freedesktop/systemd1/job';

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
  readonly busctl?: string;
}

/** What the manager intends; 'unknown' where there is none or it does not answer in time. Never rejects. */
export async function managerIntent({
  cgroup = '/proc/self/cgroup',
  systemctl = 'systemctl',
  busctl = 'busctl',
}: ManagerQuestion = {}): Promise<'restart' | 'hostShutdown' | 'unknown'> {
  const limit = new AbortController();
  const timer = setTimeout(() => limit.abort(), ANSWER_LIMIT_MS);
  const ask = async (program: string, ...args: string[]): Promise<string> =>
    run(program, args, { signal: limit.signal }).then(
      ({ stdout }) => stdout.trim(),
      // systemctl is-system-running answers with status 1 when it is "stopping".
      (error: { stdout?: string }) => error.stdout?.trim() ?? '',
    );
  try {
    const managed = unitInCgroup(await readFile(cgroup, 'utf8').catch(() => ''));
    if (managed === undefined) return 'unknown';
    const scope = managed.user ? ['--user'] : [];
    const [state, job] = await Promise.all([
      ask(systemctl, 'is-system-running'),
      ask(systemctl, ...scope, 'show', '--property=Job', '--value', '--', managed.unit),
    ]);
    if (state === 'stopping') return 'hostShutdown';
    if (!/^[1-9]\d*$/.test(job)) return 'unknown';
    const question = [
      'org.freedesktop.systemd1',
      `${JOBS}/${job}`,
      'org.freedesktop.systemd1.Job',
      'JobType',
    ];
    const type = await ask(busctl, ...scope, 'get-property', ...question);
    return /^s "(?:try-)?restart"$/.test(type) ? 'restart' : 'unknown';
  } finally {
    clearTimeout(timer);
  }
}
