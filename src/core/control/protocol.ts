/**
 * What cm_ctl and a running conmgr say to each other over `conmgr.sock`: one JSON object a line.
 *
 * The socket is 0600 in the directory, so whoever can connect may also stop the process by signal.
 * A request is one line; the answer is one line, or for `watch` a line for every change.
 */
import type { TargetSessionAttrs } from '../cluster/target-session.js';
import type { Attachment } from '../conmgr/sessions.js';
import type { HealthPhase } from '../link/health.js';
import type { LinkPhase } from '../link/link.js';
import type { LinkProtection } from '../link/protection.js';
import type { InstanceState } from '../protocol/attributes.js';

/** Longest request line; an answer is bounded by what conmgr holds. */
export const MAX_CONTROL_REQUEST_BYTES = 4096;
/** Name of the socket in the directory. */
export const CONTROL_SOCKET = 'conmgr.sock';
/** Version of this format; grows when a member changes its meaning. */
export const STATUS_VERSION = 1;

export const STOP_MODES = ['smart', 'fast', 'immediate', 'restart'] as const;
/** restart: as fast, but applications keep their SQL connections and come back, and watchdogs wait their grace. */
export type StopMode = (typeof STOP_MODES)[number];

export type ControlRequest =
  | { readonly command: 'status' }
  /** Sends the status now and again after every change, until the caller closes. */
  | { readonly command: 'watch' }
  | { readonly command: 'resolve'; readonly target: string }
  | { readonly command: 'stop'; readonly mode: StopMode }
  | { readonly command: 'reload'; readonly forgetCluster?: boolean }
  | { readonly command: 'resolveConflict'; readonly instance: number }
  /** From a successor: descriptors come with the answer (SCM_RIGHTS), and conmgr ends. `version`: of the hand-over document
   *  that the successor reads. */
  | { readonly command: 'handOver'; readonly version: number };
export const CONTROL_COMMANDS = [
  'status',
  'watch',
  'resolve',
  'stop',
  'reload',
  'resolveConflict',
  'handOver',
] as const;

/** An error as cm_ctl prints it. */
export interface ControlError {
  readonly code: string;
  readonly message: string;
  readonly detail?: string | undefined;
  readonly hint?: string | undefined;
}

export type ControlAnswer =
  | { readonly ok: false; readonly error: ControlError }
  | { readonly ok: true; readonly status: StatusReport }
  | { readonly ok: true; readonly candidates: readonly ResolvedCandidate[] }
  | { readonly ok: true; readonly reload: ReloadReport }
  | { readonly ok: true; readonly accepted: string }
  /** With four descriptors: hand-over document, its sockets, the listening sockets named here in their order, lock file. */
  | { readonly ok: true; readonly handOver: { readonly pid: number; readonly listeners: readonly string[] } };

/** One place an application would be sent to, best first. */
export interface ResolvedCandidate {
  readonly instance: number;
  readonly host: string;
  /** '' when conmgr has no link to it. */
  readonly hostaddr: string;
  readonly port: number;
}

/** What a reload did. */
export interface ReloadReport {
  readonly changed: readonly string[];
  readonly needsRestart: readonly string[];
  /** Formatted `conmgr.conf:LINE: message` lines; when not empty nothing was changed. */
  readonly problems: readonly string[];
}

/** The whole truth about a conmgr at one moment. Times ending in At are wall clock ms, or null. */
export interface StatusReport {
  readonly statusVersion: number;
  readonly software: string;
  readonly pid: number;
  readonly directory: string;
  readonly state: 'running' | 'stopping';
  readonly startedAt: number;
  readonly now: number;
  readonly port: number;
  readonly listenAddresses: readonly string[];
  readonly heartbeatIntervalMs: number;
  readonly heartbeatTimeoutMs: number;
  readonly maxConnections: number;
  /** Grows with every change of what would be offered. */
  readonly view: number;
  /** Number of the instance that is offered for primary, null when there is none. */
  readonly primary: number | null;
  readonly lastReload: { readonly at: number; readonly problems: readonly string[] } | null;
  readonly descriptors: { readonly limit: number; readonly open: number };
  /** Those that protect the links, if any do. */
  readonly certificates?: readonly CertificateStatus[];
  readonly instances: readonly InstanceStatus[];
  readonly applications: readonly ApplicationStatus[];
  /** Absent where nothing is wanted of the kernel: guard is off, and no listener may redirect. */
  readonly kernel?: KernelStatus;
}

/** A certificate of this process, or of the authorities of its peers, as it was read last. */
export interface CertificateStatus {
  /** That names its file. */
  readonly parameter: string;
  readonly path: string;
  readonly validFrom: number;
  readonly validTo: number;
}

/** What conmgr does through the kernel, by way of conmgr-helper. */
export interface KernelStatus {
  /** Why the helper cannot be reached; '' = it is there. */
  readonly helper: string;
  /** Whether direct connections to a lost instance are ended. */
  readonly guard: {
    readonly wanted: boolean;
    /** Why not, although it is wanted; '' otherwise. */
    readonly problem: string;
  };
  /** Connections of this host to each instance, whoever made them; empty when nobody could count. */
  readonly connections: readonly { readonly instance: number; readonly count: number }[];
  readonly listeners: readonly {
    readonly port: number;
    readonly target: TargetSessionAttrs;
    readonly via: 'redirect' | 'gateway';
    /** Why not by redirect; '' with it. */
    readonly reason: string;
    /** Where the kernel leads to now. */
    readonly instances: readonly number[];
    /** Connections that the kernel led to a server and that stand; null when nobody could count. */
    readonly connections: number | null;
  }[];
}

export interface InstanceStatus {
  readonly number: number;
  readonly host: string;
  readonly hostaddr: string;
  readonly port: number;
  readonly watchdogPort: number;
  readonly state: InstanceState;
  readonly role: 'primary' | 'standby' | 'unknown';
  readonly readOnly: boolean | null;
  readonly accepting: boolean | null;
  readonly full: boolean;
  /** Last known, not monitored now. */
  readonly stale: boolean;
  readonly conflict: boolean;
  readonly foreign: boolean;
  readonly health: HealthPhase;
  readonly link: {
    readonly phase: LinkPhase;
    readonly address: string | null;
    readonly lastPacketAgeMs: number | null;
    readonly rttMs: number | null;
    readonly packetsReceived: number;
    /** How it is protected; null while it is not up, absent from an older conmgr. */
    readonly protection?: LinkProtection | null;
    /** Why there is no link; '' while it is up. */
    readonly failure: string;
  };
  readonly timeline: number;
  /** As PostgreSQL writes it (16/B374D848), '' = unknown. */
  readonly position: string;
  /** Decimal; null = unknown. */
  readonly lagBytes: string | null;
  readonly serverVersionNum: number;
  readonly systemIdentifier: string;
  readonly sessions: number;
  /** Why it is as it is, in words, and since when. */
  readonly reason: string;
  readonly changedAt: number | null;
}

export interface ApplicationStatus {
  readonly id: number;
  /** null where the process belongs to another user, or has not been found yet. */
  readonly pid: number | null;
  readonly program: string | null;
  readonly user: string | null;
  readonly application: string;
  readonly target: TargetSessionAttrs;
  /** null until the driver has said which instance it took. */
  readonly instance: number | null;
  /** aware: it was told where to connect; gateway: its bytes are forwarded. */
  readonly mode: Attachment;
  readonly since: number;
  /** Port of conmgr it came to, and what was forwarded; null unless mode is gateway. */
  readonly listener: number | null;
  readonly bytesFromApplication: number | null;
  readonly bytesFromServer: number | null;
}

/** The object in a request line, or why there is none. Never throws. */
export function readRequestLine(
  line: string,
): { readonly request: Readonly<Record<string, unknown>> } | { readonly problem: string } {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return { problem: 'request is not JSON' };
  }
  if (typeof value !== 'object' || value === null) return { problem: 'request is not an object' };
  return { request: value as Readonly<Record<string, unknown>> };
}

/** A request line as a request, or why it is none. Never throws. */
export function parseControlRequest(line: string): ControlRequest | { readonly problem: string } {
  const read = readRequestLine(line);
  if ('problem' in read) return read;
  const { request } = read;
  switch (request['command']) {
    case 'status':
    case 'watch':
      return { command: request['command'] };
    case 'resolve':
      return typeof request['target'] === 'string'
        ? { command: 'resolve', target: request['target'] }
        : { problem: 'resolve needs a target' };
    case 'stop': {
      const mode = STOP_MODES.find((known) => known === request['mode']);
      return mode === undefined
        ? { problem: `stop needs a mode: ${STOP_MODES.join(', ')}` }
        : { command: 'stop', mode };
    }
    case 'reload':
      return { command: 'reload', forgetCluster: request['forgetCluster'] === true };
    case 'resolveConflict':
      return Number.isInteger(request['instance'])
        ? { command: 'resolveConflict', instance: request['instance'] as number }
        : { problem: 'resolveConflict needs an instance number' };
    case 'handOver':
      return Number.isInteger(request['version'])
        ? { command: 'handOver', version: request['version'] as number }
        : { problem: 'handOver needs a version' };
    default:
      return { problem: `unknown command; known are ${CONTROL_COMMANDS.join(', ')}` };
  }
}
