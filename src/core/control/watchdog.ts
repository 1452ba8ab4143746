/**
 * What cm_ctl and a running watchdog say to each other over its control socket: one JSON object a line, as in
 * protocol.ts for conmgr.
 *
 * The socket is 0600 in pg_stat_tmp of the data directory, so only the owner of the instance and root can connect.
 */
import type { LinkProtection } from '../link/protection.js';
import type { TerminatorException } from '../terminator/exceptions.js';
import type { WouldEnd } from '../terminator/pass.js';
import { type CertificateStatus, type ControlError, readRequestLine } from './protocol.js';

/** Names of the watchdog's files in pg_stat_tmp, which base backups leave out. */
export const WATCHDOG_FILES = {
  directory: 'pg_stat_tmp',
  socket: 'conmgr-watchdog.sock',
  lock: 'conmgr-watchdog.pid',
  state: 'conmgr-watchdog.state',
  settings: 'conmgr-watchdog.settings',
} as const;
/** Version of this format; grows when a member changes its meaning. */
export const WATCHDOG_STATUS_VERSION = 1;

export type WatchdogRequest =
  | { readonly command: 'status' }
  /** Ends the sessions of an address, or only tells which. */
  | { readonly command: 'terminate'; readonly address: string; readonly dryRun: boolean }
  /** No session is ended until `resume`; what falls due meanwhile is held back. */
  | { readonly command: 'pause' }
  | { readonly command: 'resume' };
export const WATCHDOG_COMMANDS = ['status', 'terminate', 'pause', 'resume'] as const;

export type WatchdogAnswer =
  | { readonly ok: false; readonly error: ControlError }
  | { readonly ok: true; readonly status: WatchdogStatus }
  | { readonly ok: true; readonly terminate: TerminateReport }
  | { readonly ok: true; readonly paused: boolean };

/** What ending the sessions of an address did, or would do. */
export interface TerminateReport {
  readonly address: string;
  readonly dryRun: boolean;
  readonly would: WouldEnd;
  /** 0 in a dry run. */
  readonly ended: number;
  readonly forbidden: number;
  /** Waiting for synchronous replication, and so left alone. */
  readonly deferred: number;
  readonly prepared: number;
}

/** The whole truth about a watchdog at one moment. Times ending in At are wall clock ms. */
export interface WatchdogStatus {
  readonly statusVersion: number;
  readonly software: string;
  readonly pid: number;
  readonly dataDirectory: string;
  readonly state: 'running' | 'stopping';
  readonly startedAt: number;
  readonly now: number;
  /** 0 when the heartbeat port is closed; `closed` says why. */
  readonly port: number;
  readonly listenAddresses: readonly string[];
  readonly closed: string | null;
  readonly maxLinks: number;
  readonly instance: WatchedInstance;
  /** Those that protect the links, if any do. */
  readonly certificates?: readonly CertificateStatus[];
  readonly links: readonly LinkStatus[];
  readonly losses: readonly LossStatus[];
  readonly terminator: {
    readonly on: string;
    /** Whose sessions are ended: `address` or `monitored`. */
    readonly scope: string;
    readonly paused: boolean;
    readonly excludeReplication: boolean;
    /** Sessions ended since the start. */
    readonly ended: number;
    /** What it does not or may not end. */
    readonly exceptions: readonly TerminatorException[];
  };
  /** What the watchdog's role may not do, and other findings that wait for an administrator. */
  readonly findings: readonly string[];
}

export interface WatchedInstance {
  readonly state: string;
  readonly role: 'primary' | 'standby' | 'unknown';
  /** Of the postmaster that runs, or ran last; 0 = none known. */
  readonly postmasterPid: number;
  /** On which it listens, or listened last; 0 = not known. */
  readonly port: number;
  /** '' = none or not known. */
  readonly socketDirectory: string;
  /** Names of the attribute bits. */
  readonly attributes: readonly string[];
  readonly timeline: number;
  /** As PostgreSQL writes it, '' = unknown. */
  readonly position: string;
  readonly serverVersionNum: number;
  readonly systemIdentifier: string;
  readonly text: string;
  readonly changedAt: number;
}

export interface LinkStatus {
  readonly address: string;
  readonly port: number;
  readonly conmgrId: string;
  readonly label: string;
  readonly software: string;
  readonly intervalMs: number;
  readonly timeoutMs: number;
  readonly connectedAt: number;
  readonly lastPacketAgeMs: number;
  readonly rttMs: number | null;
  readonly packetsReceived: number;
  /** SQL sessions that it has reported; null when it has not, because it was not asked or is too old. */
  readonly sessions: number | null;
  /** How the link is protected; absent from an older watchdog. */
  readonly protection?: LinkProtection;
  /** Why the loss of this link would end nothing; '' when it would. */
  readonly spared: string;
}

export interface LossStatus {
  readonly address: string;
  readonly conmgrId: string;
  readonly departure: string;
  readonly text: string;
  readonly phase: string;
  readonly lostAt: number;
  /** null when nothing is planned. */
  readonly dueInMs: number | null;
  readonly ended: number;
  readonly waiting: number;
}

/** A request line as a request, or why it is none. Never throws. */
export function parseWatchdogRequest(line: string): WatchdogRequest | { readonly problem: string } {
  const read = readRequestLine(line);
  if ('problem' in read) return read;
  const { request } = read;
  switch (request['command']) {
    case 'status':
    case 'pause':
    case 'resume':
      return { command: request['command'] };
    case 'terminate':
      return typeof request['address'] === 'string'
        ? { command: 'terminate', address: request['address'], dryRun: request['dryRun'] === true }
        : { problem: 'terminate needs an address' };
    default:
      return { problem: `unknown command; known are ${WATCHDOG_COMMANDS.join(', ')}` };
  }
}
