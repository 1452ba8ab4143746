/** What SHOW shows, made of the same status that cm_ctl gets. */
import { effectiveValues } from '../config/render.js';
import type { ConmgrConfig } from '../config/types.js';
import type { ApplicationStatus, InstanceStatus, StatusReport } from '../control/protocol.js';
import { formatUtc } from '../messages/format.js';
import type { ConsoleTable } from './session.js';
import { SUBJECTS, type Subject } from './statement.js';

/** Everything that any subject is made of. */
export interface ConsoleFacts {
  readonly status: StatusReport;
  readonly config: ConmgrConfig;
}

type Cell = string | number | boolean | null;
type Row = Readonly<Record<string, Cell>>;

/** The columns of each subject are the members of its rows; one row of an imagined set gives their names. */
const COLUMNS: Readonly<Record<Subject, readonly string[]>> = {
  INSTANCES: [
    'instance',
    'host',
    'hostaddr',
    'port',
    'role',
    'state',
    'accepting',
    'read_only',
    'health',
    'link',
    'protection',
    'watchdog_port',
    'rtt_ms',
    'timeline',
    'position',
    'lag_bytes',
    'server_version_num',
    'sessions',
    'reason',
  ],
  APPLICATIONS: [
    'id',
    'pid',
    'program',
    'user',
    'application',
    'target',
    'instance',
    'mode',
    'port',
    'bytes_from_application',
    'bytes_from_server',
    'since',
  ],
  LISTENERS: ['port', 'addresses', 'target', 'stock_drivers', 'sessions'],
  CONFIG: ['name', 'value', 'change_needs'],
  VERSION: ['version', 'directory', 'pid', 'started'],
  HELP: ['command', 'shows'],
};

/** The names of the columns of a subject. */
export function columnsOf(subject: Subject): readonly string[] {
  return COLUMNS[subject];
}

/** The table of a subject at this moment. */
export function showTable(subject: Subject, facts: ConsoleFacts): ConsoleTable {
  const columns = COLUMNS[subject];
  const rows = rowsOf(subject, facts).map((row) => columns.map((name) => shown(row[name] ?? null)));
  return { columns, rows };
}

function shown(cell: Cell): string | null {
  if (typeof cell === 'boolean') return cell ? 'yes' : 'no';
  return cell === null ? null : String(cell);
}

function rowsOf(subject: Subject, { status, config }: ConsoleFacts): readonly Row[] {
  switch (subject) {
    case 'INSTANCES':
      return status.instances.map(instanceRow);
    case 'APPLICATIONS':
      return status.applications.map(applicationRow);
    case 'LISTENERS':
      return listenerRows(status, config);
    case 'CONFIG':
      return effectiveValues(config, new Map()).map(({ name, value, applies }) => ({
        name,
        value: value ?? null,
        change_needs: applies,
      }));
    case 'VERSION': {
      const { software, directory, pid, startedAt } = status;
      return [{ version: software, directory, pid, started: formatUtc(startedAt) }];
    }
    case 'HELP':
      return Object.entries(SUBJECTS).map(([word, shows]) => ({ command: `SHOW ${word}`, shows }));
  }
}

function instanceRow(instance: InstanceStatus): Row {
  const { number, host, hostaddr, port, role, state, accepting, readOnly, health, link, timeline } = instance;
  return {
    instance: number,
    host,
    hostaddr,
    port,
    role,
    state,
    accepting,
    read_only: readOnly,
    health,
    link: link.phase,
    protection: link.protection ?? null,
    watchdog_port: instance.watchdogPort,
    rtt_ms: link.rttMs,
    timeline,
    position: instance.position,
    lag_bytes: instance.lagBytes,
    server_version_num: instance.serverVersionNum,
    sessions: instance.sessions,
    reason: instance.reason,
  };
}

function applicationRow(application: ApplicationStatus): Row {
  const { listener, bytesFromApplication, bytesFromServer, since, ...others } = application;
  return {
    ...others,
    port: listener,
    bytes_from_application: bytesFromApplication,
    bytes_from_server: bytesFromServer,
    since: formatUtc(since),
  };
}

function listenerRows(status: StatusReport, config: ConmgrConfig): readonly Row[] {
  const addresses = status.listenAddresses.join(', ');
  const forwarded = (port: number): number =>
    status.applications.filter(({ listener }) => listener === port).length;
  const row = (port: number, target: string, forwards: boolean): Row => {
    const led = status.kernel?.listeners.find((one) => one.port === port && one.via === 'redirect');
    const way = led === undefined ? 'forwarded' : 'redirected';
    return {
      port,
      addresses,
      target,
      stock_drivers: forwards ? way : 'refused',
      // What came while the kernel led nowhere was forwarded.
      sessions: forwarded(port) + (led?.connections ?? 0),
    };
  };
  return [
    row(status.port, config.gatewayTargetSessionAttrs, config.gateway),
    ...config.listeners.map(({ port, target }) => row(port, target, true)),
  ];
}
