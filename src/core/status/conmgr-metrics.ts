/** The metrics of conmgr. docs/status-port.md lists them from this table. */
import { TARGETS } from '../cluster/target-session.js';
import type { InstanceStatus, StatusReport } from '../control/protocol.js';
import { LINK_PROTECTIONS } from '../link/protection.js';
import { INSTANCE_STATES } from '../protocol/attributes.js';
import type { EventCounts } from './event-log.js';
import { type MetricRow, type MetricTable, oneHot, only, type Sample } from './exposition.js';
import { certificateRow, eventRows } from './shared-metrics.js';

/** What the values are taken from. */
export interface ConmgrSource {
  readonly report: StatusReport;
  readonly counts: EventCounts;
}

type Row = MetricRow<ConmgrSource>;

const ROLES = ['primary', 'standby', 'unknown'] as const;
const MODES = ['aware', 'gateway'] as const;

/**
 * What every metric of an instance is labelled with; `backend` is the N of backend_hostN. A label `instance` would be
 * renamed by Prometheus, whose own of that name is the process that was asked.
 */
const INSTANCE = ['backend', 'host', 'port'] as const;

const labelsOf = ({ number, host, port }: InstanceStatus): readonly string[] => [
  String(number),
  host,
  String(port),
];

/** One value for each instance of which it is known. */
function perInstance(
  name: string,
  help: string,
  value: (instance: InstanceStatus) => number | boolean | null,
  type: Row['type'] = 'gauge',
): Row {
  const samples = (instance: InstanceStatus): readonly Sample[] => {
    const known = value(instance);
    return known === null ? [] : [[labelsOf(instance), Number(known)]];
  };
  return { name, type, help, labels: INSTANCE, of: ({ report }) => report.instances.flatMap(samples) };
}

const gauge = (
  name: string,
  help: string,
  value: (report: StatusReport) => number | boolean | null,
): Row => ({
  name,
  type: 'gauge',
  help,
  labels: [],
  of: ({ report }) => only(value(report)),
});

const seconds = (ms: number | null): number | null => (ms === null ? null : ms / 1000);

export const CONMGR_METRICS: MetricTable<ConmgrSource> = [
  {
    name: 'conmgr_info',
    type: 'gauge',
    help: 'Always 1; the labels tell the program and its directory.',
    labels: ['software', 'directory'],
    of: ({ report }) => [[[report.software, report.directory], 1]],
  },
  gauge('conmgr_start_time_seconds', 'When conmgr was started, in seconds since 1970-01-01 UTC.', (report) =>
    seconds(report.startedAt),
  ),
  gauge('conmgr_stopping', '1 while conmgr is being stopped.', ({ state }) => state === 'stopping'),
  gauge(
    'conmgr_primary_available',
    '1 while some instance is offered as primary.',
    ({ primary }) => primary !== null,
  ),
  {
    name: 'conmgr_view_changes_total',
    type: 'counter',
    help: 'How often that which would be offered to applications has changed.',
    labels: [],
    of: ({ report }) => only(report.view),
  },
  gauge('conmgr_heartbeat_interval_seconds', 'heartbeat_interval.', (report) =>
    seconds(report.heartbeatIntervalMs),
  ),
  gauge('conmgr_heartbeat_timeout_seconds', 'heartbeat_timeout.', (report) =>
    seconds(report.heartbeatTimeoutMs),
  ),
  {
    name: 'conmgr_instance_state',
    type: 'gauge',
    help: '1 for the state that the instance is in, 0 for the others.',
    labels: [...INSTANCE, 'state'],
    of: ({ report }) => report.instances.flatMap((one) => oneHot(labelsOf(one), INSTANCE_STATES, one.state)),
  },
  {
    name: 'conmgr_instance_role',
    type: 'gauge',
    help: '1 for the role that the instance has, 0 for the others.',
    labels: [...INSTANCE, 'role'],
    of: ({ report }) => report.instances.flatMap((one) => oneHot(labelsOf(one), ROLES, one.role)),
  },
  {
    name: 'conmgr_instance_primary',
    type: 'gauge',
    help: '1 for the instance that is offered as primary.',
    labels: INSTANCE,
    of: ({ report }) => report.instances.map((one) => [labelsOf(one), Number(one.number === report.primary)]),
  },
  perInstance(
    'conmgr_instance_accepting',
    '1 while the instance takes connections; absent while that is not known.',
    ({ accepting }) => accepting,
  ),
  perInstance(
    'conmgr_instance_full',
    '1 while the instance has no connection left for ordinary roles.',
    ({ full }) => full,
  ),
  perInstance(
    'conmgr_instance_stale',
    '1 while only the last known state is known, because nobody monitors the instance.',
    ({ stale }) => stale,
  ),
  perInstance(
    'conmgr_instance_conflict',
    '1 while the instance is one of several that claim to be primary.',
    ({ conflict }) => conflict,
  ),
  perInstance(
    'conmgr_instance_foreign',
    '1 while the instance belongs to another cluster than the others and is not offered.',
    ({ foreign }) => foreign,
  ),
  perInstance('conmgr_instance_timeline', 'Timeline of the instance; absent while not known.', (one) =>
    one.timeline === 0 ? null : one.timeline,
  ),
  perInstance(
    'conmgr_instance_lag_bytes',
    'How far a standby is behind the primary; absent while not known.',
    ({ lagBytes }) => (lagBytes === null ? null : Number(lagBytes)),
  ),
  perInstance(
    'conmgr_instance_sessions',
    'Sessions of applications that have this instance.',
    ({ sessions }) => sessions,
  ),
  perInstance(
    'conmgr_link_up',
    '1 while the heartbeat link to the watchdog of the instance is up.',
    ({ link }) => link.phase === 'up',
  ),
  perInstance(
    'conmgr_link_last_packet_age_seconds',
    'How long ago the last packet came; absent while the link is not up.',
    ({ link }) => seconds(link.lastPacketAgeMs),
  ),
  perInstance(
    'conmgr_link_round_trip_seconds',
    'Round trip of the heartbeat; absent while not known.',
    ({ link }) => seconds(link.rttMs),
  ),
  perInstance(
    'conmgr_link_packets_received_total',
    'Packets received on the present link; begins at 0 with each new one.',
    ({ link }) => link.packetsReceived,
    'counter',
  ),
  {
    name: 'conmgr_link_protection',
    type: 'gauge',
    help: '1 for the way in which the link is protected, 0 for the others; absent while it is not up.',
    labels: [...INSTANCE, 'protection'],
    of: ({ report }) =>
      report.instances.flatMap((one) => {
        const { protection } = one.link;
        return protection == null ? [] : oneHot(labelsOf(one), LINK_PROTECTIONS, protection);
      }),
  },
  certificateRow<ConmgrSource>('conmgr', ({ report }) => report.certificates),
  {
    name: 'conmgr_sessions',
    type: 'gauge',
    help: 'Sessions of applications by the way they are attached and the target they asked for.',
    labels: ['mode', 'target'],
    of: ({ report: { applications } }) =>
      MODES.flatMap((mode) =>
        TARGETS.map((target): Sample => {
          const some = applications.filter((one) => one.mode === mode && one.target === target);
          return [[mode, target], some.length];
        }),
      ),
  },
  gauge('conmgr_max_connections', 'max_connections; absent where there is no limit.', ({ maxConnections }) =>
    maxConnections === 0 ? null : maxConnections,
  ),
  gauge(
    'conmgr_open_file_descriptors',
    'File descriptors that are open.',
    (report) => report.descriptors.open,
  ),
  gauge(
    'conmgr_max_file_descriptors',
    'Limit of open file descriptors.',
    (report) => report.descriptors.limit,
  ),
  gauge(
    'conmgr_last_reload_successful',
    '1 if the last reload was taken, 0 if it was refused; absent before the first.',
    ({ lastReload }) => (lastReload === null ? null : lastReload.problems.length === 0),
  ),
  gauge(
    'conmgr_last_reload_time_seconds',
    'When the last reload was asked for, in seconds since 1970-01-01 UTC; absent before the first.',
    ({ lastReload }) => (lastReload === null ? null : lastReload.at / 1000),
  ),
  gauge(
    'conmgr_helper_up',
    '1 while conmgr-helper can be reached; absent where nothing is wanted of it.',
    ({ kernel }) => (kernel === undefined ? null : kernel.helper === ''),
  ),
  gauge(
    'conmgr_guard_active',
    '1 while connections to a lost instance would be ended in the kernel; absent unless guard = on.',
    ({ kernel }) => (kernel?.guard.wanted !== true ? null : kernel.guard.problem === ''),
  ),
  ...eventRows<ConmgrSource>('conmgr', ({ counts }) => counts),
];
