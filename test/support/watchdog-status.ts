/** Status of a watchdog as it would send it. */
import type { LinkStatus, WatchdogStatus } from '../../src/core/control/watchdog.js';
import { NOW } from './status-report.js';

/** Of a primary with one link, and a role that lacks a right. */
export function watchdogStatus(
  link: Partial<LinkStatus> = {},
  changes: Partial<WatchdogStatus> = {},
): WatchdogStatus {
  return {
    statusVersion: 1,
    software: 'conmgr-watchdog 1.2.3',
    pid: 99,
    dataDirectory: '/srv/pg',
    state: 'running',
    startedAt: NOW - 90_000,
    now: NOW,
    port: 27_545,
    listenAddresses: ['192.0.2.1'],
    closed: null,
    maxLinks: 100,
    instance: {
      state: 'up',
      role: 'primary',
      postmasterPid: 77,
      port: 5433,
      socketDirectory: '/run/postgresql',
      attributes: ['accepting', 'primary'],
      timeline: 3,
      position: '16/B374D848',
      serverVersionNum: 170_010,
      systemIdentifier: '7000000000000000001',
      text: '',
      changedAt: NOW - 60_000,
    },
    links: [
      {
        address: '192.0.2.9',
        port: 40_000,
        conmgrId: 'aa',
        label: 'app1:/srv/app',
        software: 'conmgr 1.2.3',
        intervalMs: 10_000,
        timeoutMs: 20_000,
        connectedAt: NOW - 60_000,
        lastPacketAgeMs: 700,
        rttMs: 0.4,
        packetsReceived: 6,
        sessions: null,
        protection: 'certificate',
        spared: '',
        ...link,
      },
    ],
    losses: [],
    terminator: {
      on: 'any',
      scope: 'address',
      paused: false,
      excludeReplication: true,
      ended: 5,
      exceptions: [{ kind: 'mayNotSignal', text: 'sessions of other roles', wrong: true }],
    },
    findings: [],
    ...changes,
  };
}
