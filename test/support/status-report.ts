/** Status reports as a conmgr would send them. */
import {
  type ApplicationStatus,
  type InstanceStatus,
  STATUS_VERSION,
  type StatusReport,
} from '../../src/core/control/protocol.js';

/** 2026-11-21 09:30:00 UTC. */
export const NOW = Date.UTC(2026, 10, 21, 9, 30);

/** A healthy primary. */
export function instanceStatus(
  changes: Partial<Omit<InstanceStatus, 'link'>> & { readonly link?: Partial<InstanceStatus['link']> } = {},
): InstanceStatus {
  const { link, ...others } = changes;
  return {
    number: 0,
    host: 'db1',
    hostaddr: '192.0.2.1',
    port: 5432,
    watchdogPort: 27_545,
    state: 'up',
    role: 'primary',
    readOnly: false,
    accepting: true,
    full: false,
    stale: false,
    conflict: false,
    foreign: false,
    health: 'monitored',
    link: {
      phase: 'up',
      address: '192.0.2.1',
      lastPacketAgeMs: 400,
      rttMs: 0.41,
      packetsReceived: 17,
      protection: 'none',
      failure: '',
      ...link,
    },
    timeline: 1,
    position: '0/5000028',
    lagBytes: null,
    serverVersionNum: 170_010,
    systemIdentifier: '7000000000000000001',
    sessions: 0,
    reason: '',
    changedAt: NOW - 60_000,
    ...others,
  };
}

/** A healthy standby. */
export function standbyStatus(changes: Parameters<typeof instanceStatus>[0] = {}): InstanceStatus {
  return instanceStatus({
    number: 1,
    host: 'db2',
    role: 'standby',
    readOnly: true,
    lagBytes: '16384',
    ...changes,
  });
}

/** An instance nobody could reach so far. */
export function unreachedStatus(changes: Parameters<typeof instanceStatus>[0] = {}): InstanceStatus {
  return instanceStatus({
    state: 'unknown',
    role: 'unknown',
    readOnly: null,
    accepting: null,
    health: 'unseen',
    changedAt: null,
    ...changes,
    link: {
      phase: 'waiting',
      address: null,
      lastPacketAgeMs: null,
      rttMs: null,
      protection: null,
      failure: 'connection refused',
      ...changes.link,
    },
  });
}

export function applicationStatus(changes: Partial<ApplicationStatus> = {}): ApplicationStatus {
  return {
    id: 1,
    pid: 4711,
    program: 'node',
    user: 'alice',
    application: '',
    target: 'primary',
    instance: 0,
    mode: 'aware',
    listener: null,
    bytesFromApplication: null,
    bytesFromServer: null,
    since: NOW - 3_600_000,
    ...changes,
  };
}

/** A conmgr with a primary and a standby. */
export function statusOf(changes: Partial<StatusReport> = {}): StatusReport {
  return {
    statusVersion: STATUS_VERSION,
    software: 'conmgr 1.2.3',
    pid: 1234,
    directory: '/srv/app1',
    state: 'running',
    startedAt: NOW - 3 * 86_400_000,
    now: NOW,
    port: 27_546,
    listenAddresses: ['127.0.0.1', '::1'],
    heartbeatIntervalMs: 10_000,
    heartbeatTimeoutMs: 20_000,
    maxConnections: 0,
    view: 7,
    primary: 0,
    lastReload: null,
    descriptors: { limit: 1024, open: 23 },
    instances: [instanceStatus(), standbyStatus()],
    applications: [],
    ...changes,
  };
}
