/** The packages of the run on a host, and what units did while they were installed. */
import type { Host } from './host.js';
import type { JournalEntry } from './journal.js';

/** Revision 2 is an upgrade of revision 1. */
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

/** What systemd has written about a unit: that it was started, that it was stopped. Oldest first. */
export async function lifeOf(host: Host, unit: string): Promise<{ started: string[]; stopped: string[] }> {
  // What is on its way is written first.
  await host.output(['journalctl', '--sync']);
  const entries = await host.journal(`UNIT=${unit}`, `MESSAGE_ID=${STARTED}`, `MESSAGE_ID=${STOPPED}`);
  const of = (id: string, field: string): string[] =>
    entries
      .filter(({ MESSAGE_ID }: JournalEntry) => MESSAGE_ID === id)
      .map((entry) => entry[field] ?? `no ${field}`);
  return { started: of(STARTED, 'INVOCATION_ID'), stopped: of(STOPPED, 'JOB_TYPE') };
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

/** Runs `action` and says what it did to each of the units. */
export async function changesOf(
  host: Host,
  units: readonly string[],
  action: () => Promise<unknown>,
): Promise<Changes> {
  const look = () =>
    Promise.all(
      units.map(async (unit) => {
        const { ActiveState = '', InvocationID = '', MainPID = '' } = await host.unit(unit);
        return { unit, ActiveState, InvocationID, MainPID, ...(await lifeOf(host, unit)) };
      }),
    );
  const before = await look();
  await action();
  const after = await look();
  const changes: Changes = { restarted: [], untouched: [], idle: [], other: [] };
  before.forEach((was, index) => {
    const is = after[index]!;
    const started = is.started.slice(was.started.length);
    const stopped = is.stopped.slice(was.stopped.length);
    const same = is.InvocationID === was.InvocationID && started.length + stopped.length === 0;
    const both = (state: string): boolean => was.ActiveState === state && is.ActiveState === state;
    if (same && both('active') && is.MainPID === was.MainPID) changes.untouched.push(was.unit);
    else if (same && (both('inactive') || both('failed'))) changes.idle.push(was.unit);
    else if (
      both('active') &&
      stopped.join() === 'restart' &&
      started.join() === is.InvocationID &&
      is.MainPID !== was.MainPID
    ) {
      changes.restarted.push(was.unit);
    } else changes.other.push({ ...was, after: is });
  });
  return changes;
}
