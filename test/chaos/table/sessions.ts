/** Whose sessions are ended, roles that change, configuration that changes, stock drivers. */
import type { FaultRow } from './row.js';

const QUERIES = ['queries answered in half a second', 5] as const;
const TOLD = 'sessions told of a loss';
const ENDED = 'sessions ended by a watchdog';

export const SESSION_ROWS: readonly FaultRow[] = [
  {
    row: 48,
    fault: 'superuser sessions among those of a host that is lost',
    expected: 'the others are all ended, superusers are reported as not to be ended',
    proof: 'terminator',
    load: ['sessions of the host', 6],
    times: { 'others ended after the time-out': ['T-I', 'T+eps+1s'] },
    never: ['superusers ended', 'superusers not reported'],
    ci: true,
  },
  {
    row: 49,
    fault: 'a session of the lost host waits for synchronous replication',
    expected:
      'it is left alone while it waits, so its row stays invisible; it is ended when the standby acknowledges',
    proof: 'terminator',
    load: ['sessions that wait for the standby', 1],
    times: { 'ended after the acknowledgement': [undefined, '2s'] },
    never: ['rows visible while it waits', 'sessions ended while they wait'],
  },
  {
    row: 50,
    fault: 'the lost host is that of a standby (walsender)',
    expected: 'spared by default; with exclude_replication = off ended, and it connects again',
    proof: 'terminator',
    load: ['walsenders of the host', 1],
    times: { 'streaming again, exclude_replication = off': [undefined, 'T+eps+5s'] },
    never: ['walsenders ended by default', 'walsenders spared with exclude_replication = off'],
  },
  {
    row: 52,
    fault: 'promotion while the path between conmgr and the old primary is cut',
    expected: 'requests for a primary are answered with the new one at once; the old one is lost at T',
    proof: 'promotion',
    load: QUERIES,
    times: {
      'new primary offered after the promotion': [undefined, 'A+eps'],
      'old primary lost': ['T-I', 'T+eps'],
    },
    never: ['sessions of the new primary told'],
    ci: true,
  },
  {
    row: 53,
    fault: 'two primaries at once',
    expected:
      'new sessions go to the higher timeline only, the other one is in conflict, with a WARNING; its sessions are told after T of conflict',
    proof: 'promotion',
    load: QUERIES,
    times: {
      'new primary offered': [undefined, 'A+eps'],
      'sessions of the old one told': ['T-eps', 'T+eps+I'],
    },
    never: ['requests led to the old primary', 'conflicts without a WARNING'],
    ci: true,
  },
  {
    row: 54,
    fault: 'the former primary comes back on its old timeline',
    expected: 'never offered for read-write',
    proof: 'promotion',
    load: QUERIES,
    never: ['requests led to the old primary', TOLD],
  },
  {
    row: 55,
    fault: 'replay of a standby paused, while the primary writes',
    expected: 'it stays a standby, with its lag; beyond max_lag it is not offered while another fits',
    proof: 'standbys',
    load: QUERIES,
    times: { 'lag beyond max_lag noticed': [undefined, 'A+A+eps'] },
    never: [TOLD, 'standbys not called standby', 'laggards offered before others'],
  },
  {
    row: 56,
    fault: 'upstream of a cascading standby dies',
    expected: 'it is still a standby, its attributes unchanged',
    proof: 'standbys',
    load: QUERIES,
    never: ['sessions of the cascading standby told', 'changes of its attributes'],
  },
  {
    row: 58,
    fault: 'mistake in conmgr.conf at a reload, by cm_ctl and by SIGHUP',
    expected: 'the old configuration stays; ERROR with file and line; status shows it',
    proof: 'configuration',
    load: QUERIES,
    never: [TOLD, ENDED, 'mistakes without file and line', 'reloads that status calls good'],
    ci: true,
  },
  {
    row: 59,
    fault: 'instance in use removed from conmgr.conf',
    expected: 'its applications are advised, not dropped; no session is ended',
    proof: 'configuration',
    load: QUERIES,
    never: ['sessions whose queries failed', ENDED],
  },
  {
    row: 60,
    fault: 'watchdog and conmgr replaced by a next version, in either order',
    expected: 'goodbye with its reason; the versions understand each other; nothing is lost, nothing ended',
    proof: 'watchdog-restart',
    wantsNextVersion: true,
    load: QUERIES,
    times: { 'without a link': [undefined, '2s+CI'] },
    never: [TOLD, ENDED],
  },
  {
    row: 68,
    fault: 'path cut while psql, which knows nothing of conmgr, waits for a query through the gateway',
    expected: 'conmgr resets its connection',
    proof: 'stock-drivers',
    load: ['queries of psql that run', 3],
    times: { 'psql returned': ['T-I', 'T+100ms'] },
    never: ['psql without an error'],
    ci: true,
  },
  {
    row: 69,
    fault: 'a long query through the gateway is cancelled',
    expected: 'the cancel reaches the backend that runs it, and no other',
    proof: 'stock-drivers',
    load: ['queries of psql that run', 3],
    times: { 'query cancelled': [undefined, '1s'] },
    never: ['other queries cancelled'],
  },
  {
    row: 75,
    fault: 'process ID that is used again between look-up and termination (simulated)',
    expected:
      'the new session is not touched: pid, start and address are compared in the statement that ends it',
    proof: {
      by: 'make test ONLY=terminator/pass',
      test: 'a session is known by pid and start, because pids are used again',
    },
    never: [],
  },
];
