/**
 * Who starts and stops conmgr: cm_ctl itself, or a service manager. Waiting for the result, messages and exit statuses
 * are the same for all and stand elsewhere.
 */
import type { StopMode } from '../core/control/protocol.js';
import type { ManagerKind } from '../core/ctl/manager-choice.js';
import type { UnitState } from '../core/ctl/unit-state.js';

/** How a start ended before conmgr could be of use. */
export interface StartEnd {
  /** Exit status of the process; null: a signal ended it, or it is not known. */
  readonly status: number | null;
  /** What it said about it. */
  readonly complaints: readonly string[];
  /** The manager goes on trying. */
  readonly retried?: boolean;
  /** The manager's own reason, when it was not the process that failed: a MessageError, or a mistake. */
  readonly problem?: unknown;
}

/** A conmgr that was started. */
export interface StartedConmgr {
  /** Process id, once it is known. Never rejects. */
  readonly pid: () => Promise<number | undefined>;
  /** Whether a conmgr that answers can be the one that was started. */
  readonly isOurs: (pid: number) => boolean;
  /** Where its messages go, for a hint: `in "FILE"`, `with "COMMAND"`. */
  readonly log: string;
  /** Settles when the manager says that it serves; never where nobody tells. Never rejects. */
  readonly ready: Promise<void>;
  /** Settles when it ends while cm_ctl waits. Never rejects. */
  readonly ended: Promise<StartEnd>;
  /** cm_ctl may end now. */
  release(): void;
}

export interface StartRequest {
  /** Without symbolic links. */
  readonly directory: string;
  /** -l. */
  readonly logFile: string | undefined;
  /** From the conmgr that runs, where cm_ctl itself is the manager. */
  readonly takesOver?: boolean;
}

/** The unit by which a service manager runs the conmgr of a directory. */
export interface UnitHandle {
  /** `conmgr@app1.service`. */
  readonly name: string;
  /** Rejects with MessageError. */
  state(): Promise<UnitState>;
  /** Has it stopped, also one without a process that is to be started again. Does not wait. Rejects with MessageError. */
  orderStop(): Promise<void>;
  /** Makes it read its configuration again; what came of it is not told. Rejects with MessageError. */
  reload(): Promise<void>;
  /** Starts it anew in one job. `was`: the process that runs now. Rejects with MessageError. */
  restart(was: number | undefined): Promise<StartedConmgr>;
  /** The same without waiting for anything. */
  orderRestart(): Promise<void>;
}

export interface Manager {
  readonly kind: ManagerKind;
  /** Absent where cm_ctl itself is the manager. */
  readonly unit?: UnitHandle;
  /** Rejects with MessageError when this caller may not, or the start could not even be tried. */
  start(request: StartRequest): Promise<StartedConmgr>;
  /** Tells a running process to stop, and does not wait. Rejects with MessageError when that could not be told. */
  stop(directory: string, pid: number, mode: StopMode): Promise<void>;
}

/** What is known of the conmgr that a manager is wanted for. */
export interface ManagerQuestion {
  /** Without symbolic links where they can be followed. */
  readonly directory: string;
  /** The process that runs; undefined when none does or it cannot be seen. */
  readonly pid: number | undefined;
  /** To start one. Otherwise a manager that could not start it will do as well. */
  readonly toStart: boolean;
  /** --manager. */
  readonly wanted: ManagerKind | undefined;
  readonly logFile: string | undefined;
}

/** Finds who runs conmgr, or should. */
export interface Managers {
  /** Rejects with MessageError when the one that is wanted cannot serve. */
  choose(question: ManagerQuestion): Promise<Manager>;
  /** The units of the managers that can be reached, whether they run or not. Never rejects. */
  list(): Promise<readonly ListedUnit[]>;
}

export interface ListedUnit {
  readonly kind: 'system' | 'user';
  readonly name: string;
  /** ActiveState. */
  readonly active: string;
  /** Undefined for a name that means none. */
  readonly directory: string | undefined;
  readonly state: UnitState;
}
