/** `cm_ctl list`: every conmgr of this host that the caller may see, and the units that could run one. */
import { realpath } from 'node:fs/promises';
import { EXIT, type ExitStatus } from '../core/ctl/exit-status.js';
import { renderTable, type Style } from '../core/ctl/table.js';
import { isKnown, type ListedUnitState, listedState } from '../core/ctl/unit-state.js';
import { type ConmgrProcess, listConmgrs } from '../io/conmgr-process.js';
import { userNames } from '../io/users.js';
import { findConmgr } from './ask.js';
import type { Call } from './call.js';
import type { ListedUnit } from './manager.js';

/** Somebody else's process is seen, but not asked. */
type ListedState = ListedUnitState | 'not answering' | 'not accessible';

interface Listed {
  /** null where only its owner may see it. */
  readonly directory: string | null;
  /** Service of systemd that runs it. */
  readonly unit: string | null;
  readonly manager: 'system' | 'user' | 'none';
  /** null for a unit that has no process. */
  readonly pid: number | null;
  readonly user: string;
  readonly state: ListedState;
}

const STYLES: Readonly<Record<ListedState, Style>> = {
  running: 'good',
  starting: 'warning',
  stopping: 'warning',
  stopped: 'faint',
  failed: 'bad',
  'not answering': 'bad',
  'not accessible': 'faint',
};

export async function runList({ world, options }: Call): Promise<ExitStatus> {
  const { output, managers } = world;
  const [processes, users, units] = await Promise.all([listConmgrs(), userNames(), managers.list()]);
  const nameOf = (uid: number): string => users.get(uid) ?? String(uid);
  const running = await Promise.all(processes.map((process) => describeProcess(process, nameOf, units)));
  const seen = new Set(running.map(({ pid }) => pid));
  const others = units.filter(
    ({ state }) => isKnown(state) && (state.pid === undefined || !seen.has(state.pid)),
  );
  const waiting = await Promise.all(others.map((unit) => describeUnit(unit, nameOf(world.uid))));
  const listed = [...running, ...waiting];
  if (options.json) {
    output.json(listed);
    return EXIT.done;
  }
  if (listed.length === 0) {
    output.lines(['no conmgr is running']);
    return EXIT.done;
  }
  const columns = [
    { title: 'directory', shrinkTo: 16 },
    { title: 'unit', shrinkTo: 12 },
    { title: 'pid', align: 'right' as const },
    { title: 'user' },
    { title: 'state' },
  ];
  const rows = listed.map(({ directory, unit, pid, user, state }) => ({
    cells: [
      directory ?? '?',
      unit ?? '-',
      pid === null ? '-' : String(pid),
      user,
      { text: state, style: STYLES[state] },
    ],
  }));
  output.lines(renderTable(columns, rows, '', output.layout));
  return EXIT.done;
}

async function describeProcess(
  process: ConmgrProcess,
  nameOf: (uid: number) => string,
  units: readonly ListedUnit[],
): Promise<Listed> {
  const { directory = null, pid, uid } = process;
  // A terminal may be a service, too; what it runs is not its own.
  const own = process.unit?.unit.startsWith('conmgr@') === true ? process.unit : undefined;
  const unit = units.find(({ state }) => state.pid === pid);
  const manager = own === undefined ? 'none' : own.user ? 'user' : 'system';
  const asked = await stateOf(process);
  // Where the process does not tell, its manager does; of one that runs but does not answer it knows less than is seen.
  const managed = unit === undefined ? undefined : listedState(unit.active);
  const silent = asked === 'not answering' && managed === 'running';
  const state = asked.startsWith('not ') && managed !== undefined && !silent ? managed : asked;
  return { directory, unit: own?.unit ?? null, manager, pid, user: nameOf(uid), state };
}

/** A unit whose process is not seen, mostly because it has none. */
async function describeUnit(
  { kind, name, active, directory, state }: ListedUnit,
  caller: string,
): Promise<Listed> {
  const real = directory === undefined ? null : await realpath(directory).catch(() => directory);
  const user = state.user !== '' ? state.user : kind === 'user' ? caller : 'root';
  return {
    directory: real,
    unit: name,
    manager: kind,
    pid: state.pid ?? null,
    user,
    state: listedState(active),
  };
}

async function stateOf({ directory, pid }: ConmgrProcess): Promise<ListedState> {
  if (directory === undefined) return 'not accessible';
  const found = await findConmgr(directory).catch(() => undefined);
  if (found?.state === 'no access') return 'not accessible';
  // Another process may serve the directory while this one is just starting or ending.
  if (found?.state !== 'running' || found.pid !== pid) return 'not answering';
  return found.status.state;
}
