/** The status that cm_ctl shows. */
import type { WatchdogConfig } from '../core/config/types.js';
import { type LinkStatus, WATCHDOG_STATUS_VERSION, type WatchdogStatus } from '../core/control/watchdog.js';
import { formatPosition } from '../core/instance/position.js';
import type { PostmasterPid } from '../core/instance/postmaster-files.js';
import { attributeNames, type InstanceAttributes } from '../core/protocol/attributes.js';
import { terminatorExceptions } from '../core/terminator/exceptions.js';
import type { Rights } from '../core/terminator/statements.js';
import { reasonAgainst } from '../core/terminator/verdict.js';
import type { MonotonicMs, WallMs } from '../core/time.js';
import { certificateStatus } from '../io/link-protection.js';
import type { GateSecurity } from '../io/link-security.js';
import type { Link } from './link.js';
import type { Terminator } from './terminator.js';

export interface StatusSource {
  readonly software: string;
  readonly dataDirectory: string;
  readonly stopping: boolean;
  readonly startedAt: WallMs;
  readonly port: number;
  readonly listenAddresses: readonly string[];
  readonly config: WatchdogConfig;
  readonly maxLinks: number;
  readonly attributes: InstanceAttributes;
  readonly changedAt: WallMs;
  /** Of the present postmaster, or of the last one. */
  readonly postmaster: PostmasterPid | undefined;
  readonly rights: Rights | undefined;
  /** There is an SQL connection for ending sessions. */
  readonly connected: boolean;
  readonly links: readonly Link[];
  readonly isAllowed: (address: string) => boolean;
  /** A secret or a certificate is wanted, without which the loss of a link ends nothing. */
  readonly isProtected: boolean;
  /** Which. */
  readonly protection: GateSecurity | undefined;
  readonly terminator: Terminator;
  readonly findings: readonly string[];
  readonly now: MonotonicMs;
  readonly wall: WallMs;
}

export function statusReport(source: StatusSource): WatchdogStatus {
  const { config, attributes, terminator, postmaster } = source;
  const names = attributeNames(attributes.bits);
  const losses = terminator.status();
  return {
    statusVersion: WATCHDOG_STATUS_VERSION,
    software: source.software,
    pid: process.pid,
    dataDirectory: source.dataDirectory,
    state: source.stopping ? 'stopping' : 'running',
    startedAt: source.startedAt,
    now: source.wall,
    port: source.port,
    listenAddresses: source.listenAddresses,
    closed: config.closed ?? null,
    maxLinks: source.maxLinks,
    instance: {
      state: attributes.state,
      role: (['primary', 'standby'] as const).find((role) => names.includes(role)) ?? 'unknown',
      postmasterPid: postmaster?.pid ?? 0,
      port: postmaster?.port ?? 0,
      socketDirectory: postmaster?.socketDirectory ?? '',
      attributes: names,
      timeline: attributes.timeline,
      position: formatPosition(attributes.position),
      serverVersionNum: attributes.serverVersionNum,
      systemIdentifier: String(attributes.systemIdentifier),
      text: attributes.text,
      changedAt: source.changedAt,
    },
    ...certificateStatus(source.protection),
    links: source.links.map((link) => linkStatus(link, source)),
    losses,
    terminator: {
      on: config.terminateOn,
      scope: config.terminateScope,
      paused: terminator.paused,
      excludeReplication: config.excludeReplication,
      ended: terminator.ended,
      exceptions: terminatorExceptions({
        config,
        paused: terminator.paused,
        connected: source.connected,
        rights: source.rights,
        waiting: losses.reduce((sum, { waiting }) => sum + waiting, 0),
      }),
    },
    findings: source.findings,
  };
}

function linkStatus(link: Link, { now, wall, isAllowed, isProtected, config }: StatusSource): LinkStatus {
  const { address, data, disputed, watched } = link;
  const { caller } = data;
  const standing = {
    welcomed: true,
    beats: data.beats,
    allowed: isAllowed(address),
    disputed,
    untold: config.terminateScope === 'monitored' && !watched.told,
    authenticated: link.authenticated || !isProtected,
  };
  return {
    address,
    port: link.port,
    conmgrId: caller?.conmgrId ?? '',
    label: caller?.label ?? '',
    software: caller?.software ?? '',
    intervalMs: data.intervalMs,
    timeoutMs: data.timeoutMs,
    connectedAt: Math.round(wall - (now - data.upSince)),
    lastPacketAgeMs: Math.round(now - data.lastReceivedAt),
    rttMs: data.rttMs ?? null,
    packetsReceived: data.packetsReceived,
    sessions: watched.told ? watched.size : null,
    protection: link.protection,
    spared: reasonAgainst(standing) ?? '',
  };
}
