/** The metrics of the watchdog. docs/status-port.md lists them from this table. */
import type { LinkStatus, WatchdogStatus } from '../control/watchdog.js';
import { LINK_PROTECTIONS } from '../link/protection.js';
import { INSTANCE_STATES } from '../protocol/attributes.js';
import type { EventCounts } from './event-log.js';
import { type MetricRow, type MetricTable, oneHot, only } from './exposition.js';
import { certificateRow, eventRows } from './shared-metrics.js';

/** What the values are taken from. */
export interface WatchdogSource {
  readonly status: WatchdogStatus;
  readonly counts: EventCounts;
}

type Row = MetricRow<WatchdogSource>;

const ROLES = ['primary', 'standby', 'unknown'] as const;
/** What every metric of a link is labelled with. */
const LINK = ['address', 'port', 'label'] as const;

const gauge = (
  name: string,
  help: string,
  value: (status: WatchdogStatus) => number | boolean | null,
): Row => ({
  name,
  type: 'gauge',
  help,
  labels: [],
  of: ({ status }) => only(value(status)),
});

/** One value for each heartbeat link of which it is known. */
function perLink(
  name: string,
  help: string,
  value: (link: LinkStatus) => number | null,
  type: Row['type'] = 'gauge',
): Row {
  return {
    name,
    type,
    help,
    labels: LINK,
    of: ({ status }) =>
      status.links.flatMap((link) => {
        const known = value(link);
        return known === null ? [] : [[[link.address, String(link.port), link.label], known]];
      }),
  };
}

export const WATCHDOG_METRICS: MetricTable<WatchdogSource> = [
  {
    name: 'conmgr_watchdog_info',
    type: 'gauge',
    help: 'Always 1; the labels tell the program and its data directory.',
    labels: ['software', 'data_directory'],
    of: ({ status }) => [[[status.software, status.dataDirectory], 1]],
  },
  gauge(
    'conmgr_watchdog_start_time_seconds',
    'When the watchdog was started, in seconds since 1970-01-01 UTC.',
    ({ startedAt }) => startedAt / 1000,
  ),
  gauge(
    'conmgr_watchdog_stopping',
    '1 while the watchdog is being stopped.',
    (one) => one.state === 'stopping',
  ),
  gauge('conmgr_watchdog_heartbeat_port_open', '1 while conmgrs can connect.', ({ port }) => port !== 0),
  {
    name: 'conmgr_watchdog_instance_state',
    type: 'gauge',
    help: '1 for the state that the instance is in, 0 for the others.',
    labels: ['state'],
    of: ({ status }) => oneHot([], INSTANCE_STATES, status.instance.state),
  },
  {
    name: 'conmgr_watchdog_instance_role',
    type: 'gauge',
    help: '1 for the role that the instance has, 0 for the others.',
    labels: ['role'],
    of: ({ status }) => oneHot([], ROLES, status.instance.role),
  },
  gauge('conmgr_watchdog_instance_accepting', '1 while the instance takes connections.', ({ instance }) =>
    instance.attributes.includes('accepting'),
  ),
  gauge('conmgr_watchdog_instance_timeline', 'Timeline of the instance; absent while not known.', (status) =>
    status.instance.timeline === 0 ? null : status.instance.timeline,
  ),
  gauge('conmgr_watchdog_links', 'Heartbeat links that are up.', ({ links }) => links.length),
  gauge('conmgr_watchdog_max_links', 'Most heartbeat links at a time.', ({ maxLinks }) => maxLinks),
  perLink(
    'conmgr_watchdog_link_last_packet_age_seconds',
    'How long ago the last packet of the conmgr came.',
    ({ lastPacketAgeMs }) => lastPacketAgeMs / 1000,
  ),
  perLink(
    'conmgr_watchdog_link_timeout_seconds',
    'heartbeat_timeout of the conmgr.',
    ({ timeoutMs }) => timeoutMs / 1000,
  ),
  perLink(
    'conmgr_watchdog_link_round_trip_seconds',
    'Round trip of the heartbeat; absent while not known.',
    ({ rttMs }) => (rttMs === null ? null : rttMs / 1000),
  ),
  perLink(
    'conmgr_watchdog_link_packets_received_total',
    'Packets received on the link.',
    ({ packetsReceived }) => packetsReceived,
    'counter',
  ),
  {
    name: 'conmgr_watchdog_link_protection',
    type: 'gauge',
    help: '1 for the way in which the link is protected, 0 for the others.',
    labels: [...LINK, 'protection'],
    of: ({ status }) =>
      status.links.flatMap(({ address, port, label, protection }) =>
        protection === undefined ? [] : oneHot([address, String(port), label], LINK_PROTECTIONS, protection),
      ),
  },
  certificateRow<WatchdogSource>('conmgr_watchdog', ({ status }) => status.certificates),
  gauge(
    'conmgr_watchdog_pending_losses',
    'Client hosts that were lost and of which sessions are still to be ended or looked for.',
    ({ losses }) => losses.length,
  ),
  gauge(
    'conmgr_watchdog_waiting_sessions',
    'Sessions of lost client hosts that wait for synchronous replication and are left alone.',
    ({ losses }) => losses.reduce((sum, { waiting }) => sum + waiting, 0),
  ),
  gauge(
    'conmgr_watchdog_terminator_paused',
    '1 while no session is ended.',
    ({ terminator }) => terminator.paused,
  ),
  {
    name: 'conmgr_watchdog_terminator_sessions_ended_total',
    type: 'counter',
    help: 'Sessions that the terminator has ended.',
    labels: [],
    of: ({ status }) => only(status.terminator.ended),
  },
  gauge(
    'conmgr_watchdog_findings',
    'Findings that wait for an administrator, as cm_ctl watchdog status shows them.',
    ({ findings, terminator }) => findings.length + terminator.exceptions.filter(({ wrong }) => wrong).length,
  ),
  ...eventRows<WatchdogSource>('conmgr_watchdog', ({ counts }) => counts),
];
