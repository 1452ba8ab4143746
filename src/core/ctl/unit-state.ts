/** What a service manager knows of a unit (org.freedesktop.systemd1(5), Unit and Service), and what cm_ctl makes of it. */

import { DROP_INS } from './drop-in.js';

/** Properties that readUnitState wants. */
export const UNIT_PROPERTIES = [
  'LoadState',
  'ActiveState',
  'SubState',
  'UnitFileState',
  'DropInPaths',
  'MainPID',
  'Result',
  'ExecMainCode',
  'ExecMainStatus',
  'StatusText',
  'InvocationID',
  'User',
  'NeedDaemonReload',
  'ConditionResult',
] as const;

export interface UnitState {
  /** `loaded`, `not-found`, `masked`, ... */
  readonly load: string;
  /** `active`, `inactive`, `failed`, `activating`, `deactivating`, `reloading`. */
  readonly active: string;
  /** `running`, `dead`, `auto-restart`, ... */
  readonly sub: string;
  /** It is started at boot, or cm_ctl has written drop-ins for it. */
  readonly registered: boolean;
  /** Of the process that runs; undefined for none. */
  readonly pid: number | undefined;
  /** `success`, `exit-code`, `signal`, `watchdog`, `timeout`, ... */
  readonly result: string;
  /** Exit status of the process that ended last; undefined when it runs, was never started, or a signal ended it. */
  readonly exitStatus: number | undefined;
  /** What the process said of itself last (STATUS= of sd_notify(3)). */
  readonly statusText: string;
  /** Of the last start; '' for none. */
  readonly invocation: string;
  /** Name or number; '' for the manager's own. */
  readonly user: string;
  /** Its files are others than those that the manager has read. */
  readonly stale: boolean;
  /**
   * After a start: a condition kept it from running (systemd.unit(5), ConditionPathExists= and others), or it has ended
   * so that the manager has forgotten it. Before one it means nothing.
   */
  readonly skipped: boolean;
}

/** CLD_EXITED of siginfo_t (sigaction(2)), which ExecMainCode is. */
const EXITED = '1';

/** Makes a state of UNIT_PROPERTIES. */
export function readUnitState(properties: Readonly<Record<string, string>>): UnitState {
  const text = (name: (typeof UNIT_PROPERTIES)[number]): string => properties[name] ?? '';
  const pid = Number(text('MainPID'));
  return {
    load: text('LoadState'),
    active: text('ActiveState'),
    sub: text('SubState'),
    registered:
      text('UnitFileState').startsWith('enabled') ||
      text('DropInPaths')
        .split(/\s+/)
        .some((path) => path.endsWith(`/${DROP_INS.service}`)),
    pid: Number.isInteger(pid) && pid > 0 ? pid : undefined,
    result: text('Result'),
    exitStatus: text('ExecMainCode') === EXITED ? Number(text('ExecMainStatus')) : undefined,
    statusText: text('StatusText'),
    invocation: text('InvocationID'),
    user: text('User'),
    stale: text('NeedDaemonReload') === 'yes',
    skipped: text('ActiveState') === 'inactive' && text('ConditionResult') === 'no',
  };
}

/** It runs, or the manager is at it: a unit that is started again and again has no process now and then. */
export function isBusy({ active }: UnitState): boolean {
  return active !== 'inactive' && active !== 'failed' && active !== '';
}

/** Whether the manager runs this unit, or is to. */
export function isHeld(state: UnitState): boolean {
  return state.registered || isBusy(state);
}

/** Whether the manager has to do with this unit at all. Every instance of a template can be asked about. */
export function isKnown(state: UnitState): boolean {
  return isHeld(state) || state.active === 'failed';
}

/** What list shows of a unit. */
export type ListedUnitState = 'running' | 'starting' | 'stopping' | 'failed' | 'stopped';

const LISTED: Readonly<Record<string, ListedUnitState>> = {
  active: 'running',
  reloading: 'running',
  refreshing: 'running',
  activating: 'starting',
  deactivating: 'stopping',
  failed: 'failed',
};

export function listedState(active: string): ListedUnitState {
  return LISTED[active] ?? 'stopped';
}

/** LoadState of a unit that cannot be started as it is, and what a person calls it. */
const UNUSABLE: Readonly<Record<string, string>> = {
  masked: 'masked',
  'bad-setting': 'bad unit file setting',
  error: 'unit file cannot be read',
};

/** Whether the unit cannot be started before somebody has mended or unmasked its file. */
export function isUnusable({ load }: UnitState): boolean {
  return load in UNUSABLE;
}

/** Exit statuses with which systemd itself ends a process that it could not set up (systemd.exec(5), Process Exit Codes). */
const SET_UP_STATUSES: Readonly<Record<number, string>> = {
  200: 'CHDIR',
  202: 'FDS',
  203: 'EXEC',
  205: 'LIMITS',
  214: 'SETSCHEDULER',
  216: 'GROUP',
  217: 'USER',
  218: 'CAPABILITIES',
  219: 'CGROUP',
  226: 'NAMESPACE',
  228: 'SECCOMP',
  238: 'STATE_DIRECTORY',
};

function statusWord(status: number): string {
  const name = SET_UP_STATUSES[status];
  return `exit status ${status}${name === undefined ? '' : `/${name}, set up by systemd failed`}`;
}

/** One line of a unit: its state, why it ended and what its process said last. */
export function describeUnit(unit: string, state: UnitState): string {
  const { load, active, sub, pid, result, exitStatus, statusText } = state;
  const facts = [sub === active ? active : `${active} (${sub})`];
  if (UNUSABLE[load] !== undefined) facts.push(UNUSABLE[load]);
  if (pid !== undefined) facts.push(`PID ${pid}`);
  if (result !== 'success' && result !== '') {
    facts.push(result === 'exit-code' && exitStatus !== undefined ? statusWord(exitStatus) : result);
  }
  return `unit ${unit}: ${facts.join(', ')}${statusText === '' ? '' : `: ${statusText}`}`;
}
