/** The StatusReport of a running conmgr, made from what the core holds at one moment. */

import type { Member } from '../core/cluster/view.js';
import type { ConmgrCore } from '../core/conmgr/core.js';
import { type Instance, roleOf } from '../core/conmgr/instance.js';
import type {
  ApplicationStatus,
  CertificateStatus,
  InstanceStatus,
  StatusReport,
} from '../core/control/protocol.js';
import { STATUS_VERSION } from '../core/control/protocol.js';
import { formatPosition } from '../core/instance/position.js';
import { HEALTH_MEANING } from '../core/link/health-meaning.js';
import type { LinkProtection } from '../core/link/protection.js';
import { hasAttribute, UNKNOWN_ATTRIBUTES } from '../core/protocol/attributes.js';
import type { MonotonicMs, WallMs } from '../core/time.js';
import type { Traffic } from './gateway.js';

/** What the core does not know of its own process. */
export interface ProcessFacts {
  readonly software: string;
  readonly pid: number;
  readonly directory: string;
  readonly startedAt: WallMs;
  readonly port: number;
  readonly listenAddresses: readonly string[];
  readonly lastReload: StatusReport['lastReload'];
  readonly descriptors: StatusReport['descriptors'];
  readonly certificates?: readonly CertificateStatus[];
  readonly protectionOf: (instance: number) => LinkProtection;
}

/** Who is behind a session, as far as this user may see. */
export interface PeerFacts {
  readonly pid: number | null;
  readonly program: string | null;
  readonly user: string | null;
}

export function statusReport(
  core: ConmgrCore,
  facts: ProcessFacts,
  peers: ReadonlyMap<number, PeerFacts>,
  traffic: (session: number) => Traffic | undefined,
  now: MonotonicMs,
  wall: WallMs,
): StatusReport {
  const config = core.config;
  const toWall = (at: MonotonicMs) => Math.round(wall - (now - at));
  return {
    statusVersion: STATUS_VERSION,
    software: facts.software,
    pid: facts.pid,
    directory: facts.directory,
    state: core.stopping ? 'stopping' : 'running',
    startedAt: facts.startedAt,
    now: wall,
    port: facts.port,
    listenAddresses: facts.listenAddresses,
    heartbeatIntervalMs: config.heartbeatIntervalMs,
    heartbeatTimeoutMs: config.heartbeatTimeoutMs,
    maxConnections: config.maxConnections,
    view: core.viewNumber,
    primary: core.view.primary ?? null,
    lastReload: facts.lastReload,
    descriptors: facts.descriptors,
    ...(facts.certificates === undefined ? {} : { certificates: facts.certificates }),
    instances: core.instances.map((instance) => {
      const member = core.view.members.find((one) => one.number === instance.number);
      const sessions = core.sessions.countOf(instance.number);
      return instanceStatus(instance, member, { ...facts, sessions }, now, toWall);
    }),
    applications: [...core.sessions.all()].map(
      (session): ApplicationStatus => ({
        id: session.id,
        pid: null,
        program: null,
        user: null,
        ...peers.get(session.id),
        application: session.ask.app,
        target: session.ask.target,
        instance: session.phase === 'bound' ? (session.instance ?? null) : null,
        mode: session.mode,
        since: toWall(session.since),
        ...forwardedBytes(traffic(session.id)),
      }),
    ),
  };
}

function forwardedBytes(
  traffic: Traffic | undefined,
): Pick<ApplicationStatus, 'listener' | 'bytesFromApplication' | 'bytesFromServer'> {
  return {
    listener: traffic?.listener ?? null,
    bytesFromApplication: traffic?.fromApplication ?? null,
    bytesFromServer: traffic?.fromServer ?? null,
  };
}

function instanceStatus(
  instance: Instance,
  member: Member | undefined,
  { sessions, protectionOf }: Pick<ProcessFacts, 'protectionOf'> & { readonly sessions: number },
  now: MonotonicMs,
  toWall: (at: MonotonicMs) => number,
): InstanceStatus {
  const told = instance.attributes ?? UNKNOWN_ATTRIBUTES;
  const known = instance.attributes !== undefined;
  const link = instance.link;
  const up = link.phase === 'up';
  const health = instance.health.phase;
  const state = member?.state ?? 'unknown';
  return {
    number: instance.number,
    host: instance.host,
    hostaddr: instance.address,
    port: instance.config.backendPort,
    watchdogPort: instance.config.watchdogPort,
    state,
    role: roleOf(told.bits),
    readOnly: known
      ? hasAttribute(told.bits, 'readOnlyByRecovery') || hasAttribute(told.bits, 'readOnlyByDefault')
      : null,
    accepting:
      known && (HEALTH_MEANING[health].linked || HEALTH_MEANING[health].offered)
        ? state === 'up' && hasAttribute(told.bits, 'accepting')
        : null,
    full: hasAttribute(told.bits, 'full'),
    stale: known && hasAttribute(member?.bits ?? 0, 'stale'),
    conflict: member?.conflict ?? false,
    foreign: member?.foreign ?? false,
    health,
    link: {
      phase: link.phase,
      address: up ? (link.data.address ?? null) : null,
      lastPacketAgeMs: up ? Math.round(now - link.data.lastReceivedAt) : null,
      rttMs: up && link.data.rttMs !== undefined ? Math.round(link.data.rttMs * 1000) / 1000 : null,
      packetsReceived: link.data.packetsReceived,
      protection: up ? protectionOf(instance.number) : null,
      failure: up ? '' : (link.data.failure?.text ?? ''),
    },
    timeline: told.timeline,
    position: formatPosition(told.position),
    lagBytes: member?.lagBytes?.toString() ?? null,
    serverVersionNum: told.serverVersionNum,
    systemIdentifier: told.systemIdentifier === 0n ? '' : told.systemIdentifier.toString(),
    sessions,
    reason: instance.reason,
    changedAt: instance.changedAt === undefined ? null : toWall(instance.changedAt),
  };
}
