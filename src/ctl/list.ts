/** `cm_ctl list`: every conmgr of this host that the caller may see. */
import { EXIT, type ExitStatus } from '../core/ctl/exit-status.js';
import { renderTable, type Style } from '../core/ctl/table.js';
import { type ConmgrProcess, listConmgrs } from '../io/conmgr-process.js';
import { userNames } from '../io/users.js';
import { findConmgr } from './ask.js';
import type { Call } from './call.js';

/** Somebody else's process is seen, but not asked. */
type ListedState = 'running' | 'stopping' | 'not answering' | 'not accessible';

interface Listed {
  /** null where only its owner may see it. */
  readonly directory: string | null;
  /** Service of systemd that runs it. */
  readonly unit: string | null;
  readonly pid: number;
  readonly user: string;
  readonly state: ListedState;
}

const STYLES: Readonly<Record<ListedState, Style>> = {
  running: 'good',
  stopping: 'warning',
  'not answering': 'bad',
  'not accessible': 'faint',
};

export async function runList({ world, options }: Call): Promise<ExitStatus> {
  const [processes, users] = await Promise.all([listConmgrs(), userNames()]);
  const listed = await Promise.all(
    processes.map(async (process): Promise<Listed> => {
      const { directory = null, unit = null, pid, uid } = process;
      const user = users.get(uid) ?? String(uid);
      return { directory, unit, pid, user, state: await stateOf(process) };
    }),
  );
  const { output } = world;
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
    cells: [directory ?? '?', unit ?? '-', String(pid), user, { text: state, style: STYLES[state] }],
  }));
  output.lines(renderTable(columns, rows, '', output.layout));
  return EXIT.done;
}

async function stateOf({ directory, pid }: ConmgrProcess): Promise<ListedState> {
  if (directory === undefined) return 'not accessible';
  const found = await findConmgr(directory).catch(() => undefined);
  if (found?.state === 'no access') return 'not accessible';
  // Another process may serve the directory while this one is just starting or ending.
  if (found?.state !== 'running' || found.pid !== pid) return 'not answering';
  return found.status.state;
}
