/**
 * Who starts and stops conmgr: cm_ctl itself, or a service manager. Waiting for the result, messages and exit statuses
 * are the same for all and stand elsewhere.
 */
import type { StopMode } from '../core/control/protocol.js';

/** A conmgr that was started. */
export interface StartedConmgr {
  readonly pid: number;
  /** Where its messages go, for a hint. */
  readonly log: string;
  /** Settles when it ends while cm_ctl waits; `complaints`: what it said about it. Never rejects. */
  readonly ended: Promise<{ readonly status: number | null; readonly complaints: readonly string[] }>;
  /** cm_ctl may end now. */
  release(): void;
}

export interface StartRequest {
  /** Without symbolic links. */
  readonly directory: string;
  /** -l. */
  readonly logFile: string | undefined;
}

export interface Manager {
  /** Rejects with MessageError when this caller may not, or the start could not even be tried. */
  start(request: StartRequest): Promise<StartedConmgr>;
  /** Tells a running process to stop, and does not wait. Rejects with MessageError when that could not be told. */
  stop(directory: string, pid: number, mode: StopMode): Promise<void>;
}
