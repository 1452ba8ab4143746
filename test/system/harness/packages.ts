/** The packages of the run on a host, and what units did while they were installed. */
import type { Host } from './host.js';

/** 1: the packages of this tree; 2: those of the next version (next-version.ts). */
export type Revision = 1 | 2;
export type PackageName = 'conmgr' | 'conmgr-watchdog';
export const BOTH: readonly PackageName[] = ['conmgr', 'conmgr-watchdog'];

/** Where they lie on a host. */
const PLACE = '/srv/conmgr-packages';
const FOLDER: Readonly<Record<Revision, string>> = {
  1: `${PLACE}/packages`,
  2: `${PLACE}/packages-next`,
};

/** MESSAGE_ID of what systemd says when it has started a unit, and when it has stopped one. */
const STARTED = '39f53479d3a045ac8e11786248231fbf';
const STOPPED = '9d1aaa27d60140bd96365438aad20286';

/** Copies all packages of the run to the host. */
export async function bringPackages(host: Host): Promise<void> {
  await host.copyIn('dist/packages', PLACE);
  await host.copyIn('dist/packages-next', PLACE);
}

/** The package files of one revision, for `bringPackages`' host. */
export async function packageFiles(
  host: Host,
  kind: 'deb' | 'rpm',
  revision: Revision,
  names: readonly PackageName[] = BOTH,
): Promise<string[]> {
  const patterns = names.map((name) => `${FOLDER[revision]}/${name}[_-][0-9]*.${kind}`);
  return (await host.output(`ls ${patterns.join(' ')}`)).split('\n');
}

/** Runs a program of apt or dpkg that asks nobody. */
export function noQuestions(host: Host, command: string | readonly string[]): Promise<string> {
  return host.output(command, { env: { DEBIAN_FRONTEND: 'noninteractive' }, timeoutMs: 120_000 });
}

/** Installs packages of a revision as the documents say: first installation, upgrade, downgrade, and again. */
export async function installDebs(host: Host, revision: Revision, names = BOTH): Promise<void> {
  const files = await packageFiles(host, 'deb', revision, names);
  const options = ['--yes', '--quiet', '--no-install-recommends', '--allow-downgrades', '--reinstall'];
  await noQuestions(host, ['apt-get', 'install', ...options, ...files]);
}

/** A unit at one moment, with what systemd has written about its life until then, oldest first. */
interface Moment {
  readonly unit: string;
  readonly state: string;
  readonly pid: string;
  /** Of its present or last life. */
  readonly invocation: string;
  /** The invocation of each start. */
  readonly started: readonly string[];
  /** The type of the job of each stop. */
  readonly stopped: readonly string[];
}

const PROPERTIES = ['Id', 'ActiveState', 'MainPID', 'InvocationID'];

async function momentOf(host: Host, units: readonly string[]): Promise<Moment[]> {
  const shown = await host.output(['systemctl', 'show', `--property=${PROPERTIES.join()}`, ...units]);
  const blocks = shown.split('\n\n').map((block) => new Map(block.split('\n').map(pair)));
  // What is on its way is written first.
  await host.output(['journalctl', '--sync']);
  const entries = await host.journal(`MESSAGE_ID=${STARTED}`, `MESSAGE_ID=${STOPPED}`);
  return units.map((unit) => {
    const block = blocks.find((one) => one.get('Id') === unit);
    const of = (id: string, field: string): string[] =>
      entries
        .filter(({ MESSAGE_ID, UNIT }) => MESSAGE_ID === id && UNIT === unit)
        .map((entry) => entry[field] ?? `no ${field}`);
    return {
      unit,
      state: block?.get('ActiveState') ?? 'unknown',
      pid: block?.get('MainPID') ?? '',
      invocation: block?.get('InvocationID') ?? '',
      started: of(STARTED, 'INVOCATION_ID'),
      stopped: of(STOPPED, 'JOB_TYPE'),
    };
  });
}

function pair(line: string): [string, string] {
  const at = line.indexOf('=');
  return [line.slice(0, at), line.slice(at + 1)];
}

/** Units by what became of them while something ran. */
export interface Changes {
  /** Stopped and started again, once, in one job. */
  readonly restarted: string[];
  /** The same process as before. */
  readonly untouched: string[];
  /** Not running, before and after. */
  readonly idle: string[];
  /** Anything else, with all that is known of it. */
  readonly other: object[];
}

/**
 * Runs `action` and says what it did to each of the units.
 * @param units their full names
 */
export async function changesOf(
  host: Host,
  units: readonly string[],
  action: () => Promise<unknown>,
): Promise<Changes> {
  const before = await momentOf(host, units);
  await action();
  const after = await momentOf(host, units);
  const changes: Changes = { restarted: [], untouched: [], idle: [], other: [] };
  for (const [index, was] of before.entries()) {
    const is = after[index]!;
    const kind = changeOf(was, is);
    if (kind === 'other') changes.other.push({ was, is });
    else changes[kind].push(was.unit);
  }
  return changes;
}

function changeOf(was: Moment, is: Moment): keyof Changes {
  const started = is.started.slice(was.started.length);
  const stopped = is.stopped.slice(was.stopped.length);
  const both = (state: string): boolean => was.state === state && is.state === state;
  if (was.invocation === is.invocation && started.length + stopped.length === 0) {
    if (both('active') && is.pid === was.pid) return 'untouched';
    return both('inactive') || both('failed') ? 'idle' : 'other';
  }
  const once = stopped.join() === 'restart' && started.join() === is.invocation;
  return both('active') && once && is.pid !== was.pid ? 'restarted' : 'other';
}
