/** `cm_ctl status`: the report of a running conmgr as people read it. */
import type { ApplicationStatus, InstanceStatus, StatusReport } from '../control/protocol.js';
import {
  count,
  formatBytes,
  formatMoment,
  formatPeriod,
  formatRoundTrip,
  formatSpan,
  type ZoneOffset,
} from './amounts.js';
import { kernelFacts } from './kernel-view.js';
import { labelled } from './labelled.js';
import type { SHOW_CHOICES } from './options.js';
import { protectionFacts } from './protection-view.js';
import { type Cell, renderTable, type Style, type TableLayout, type TableRow } from './table.js';

/** How and what to show. */
export interface StatusLayout extends TableLayout {
  readonly show: (typeof SHOW_CHOICES)[number];
  readonly zone: ZoneOffset;
  /** Undefined for a process of its own. */
  readonly unit: RunningUnit | undefined;
}

/** The service that a process is. */
export interface RunningUnit {
  /** `conmgr@app1.service`. */
  readonly name: string;
  readonly kind: 'system' | 'user';
}

/** The lines of the view, without line ends. */
export function renderStatus(report: StatusReport, layout: StatusLayout): string[] {
  switch (layout.show) {
    case 'instance':
      return instanceTable(report, layout);
    case 'application': {
      const kernel = labelled(kernelFacts(report), layout);
      return [...applicationTable(report, layout), ...(kernel.length === 0 ? [] : ['', ...kernel])];
    }
    case 'all': {
      const applications = report.applications.length === 0 ? [] : ['', ...applicationTable(report, layout)];
      return [...head(report, layout), '', ...instanceTable(report, layout), ...applications];
    }
  }
}

/** What `--json` prints: the report, and who runs the process. */
export type PrintedStatus = Partial<StatusReport> & {
  readonly unit: string | null;
  readonly manager: 'system' | 'user' | 'none';
};

/** Only what was asked for, for `--json`. */
export function selectStatus(
  { instances, applications, kernel, ...rest }: StatusReport,
  show: StatusLayout['show'],
  unit: RunningUnit | undefined,
): PrintedStatus {
  const head = { ...rest, unit: unit?.name ?? null, manager: unit?.kind ?? ('none' as const) };
  if (show === 'instance') return { ...head, instances };
  const attached = { applications, ...(kernel === undefined ? {} : { kernel }) };
  return show === 'application' ? { ...head, ...attached } : { ...head, instances, ...attached };
}

function head(report: StatusReport, layout: StatusLayout): string[] {
  const { now, lastReload, descriptors } = report;
  const state = report.state === 'running' ? 'running for' : 'stopping after';
  const limit = report.maxConnections === 0 ? '' : ` of ${report.maxConnections}`;
  const facts: [string, Cell][] = [
    ['Directory', report.directory],
    ...unitFacts(layout.unit),
    ['Process', `PID ${report.pid}, ${state} ${formatSpan(now - report.startedAt)}, ${report.software}`],
    ['Port', `${report.port} on ${report.listenAddresses.join(', ')}`],
    ['Primary', primaryOf(report)],
    [
      'Heartbeat',
      `every ${formatPeriod(report.heartbeatIntervalMs)}, time-out ${formatPeriod(report.heartbeatTimeoutMs)}`,
    ],
    ...protectionFacts(report),
    ['Applications', `${report.applications.length}${limit}`],
    ...kernelFacts(report),
    ['Descriptors', `${descriptors.open} of ${descriptors.limit} open`],
  ];
  if (lastReload !== null) {
    const at = formatMoment(lastReload.at, now, layout.zone);
    const failed = `failed at ${at}, the earlier configuration is in use`;
    facts.push(
      lastReload.problems.length === 0
        ? ['Reload', at]
        : ['Reload', { text: [failed, ...lastReload.problems].join('\n'), style: 'warning' }],
    );
  }
  return labelled(facts, layout);
}

function unitFacts(unit: RunningUnit | undefined): [string, Cell][] {
  if (unit === undefined) return [];
  return [['Unit', unit.kind === 'user' ? `${unit.name} of the user's service manager` : unit.name]];
}

function primaryOf({ primary, instances }: StatusReport): Cell {
  const instance = instances.find(({ number }) => number === primary);
  if (instance === undefined) return { text: 'none', style: 'bad' };
  return `instance ${instance.number} (${instance.host}:${instance.port})`;
}

function instanceTable(report: StatusReport, layout: StatusLayout): string[] {
  const columns = [
    { title: '#', align: 'right' as const },
    { title: 'host', shrinkTo: 9 },
    { title: 'port', align: 'right' as const },
    { title: 'state' },
    { title: 'role' },
    { title: 'lag', align: 'right' as const },
    { title: 'link' },
    { title: 'packet', align: 'right' as const },
    { title: 'rtt', align: 'right' as const },
    { title: 'changed' },
  ];
  const rows = report.instances.map((instance): TableRow => {
    const { link } = instance;
    return {
      cells: [
        String(instance.number),
        instance.host,
        String(instance.port),
        { text: instance.state, style: STATE_STYLE[instance.state] },
        { text: instance.role === 'unknown' ? '-' : instance.role, style: roleStyle(instance, report) },
        lagOf(instance),
        linkCell(instance),
        ageCell(link.lastPacketAgeMs, report),
        link.rttMs === null ? '-' : formatRoundTrip(link.rttMs),
        instance.changedAt === null ? '-' : formatMoment(instance.changedAt, report.now, layout.zone),
      ],
      remark: remarkOn(instance),
    };
  });
  return renderTable(columns, rows, 'reason', layout);
}

const STATE_STYLE: Readonly<Record<InstanceStatus['state'], Style>> = {
  up: 'good',
  down: 'bad',
  starting: 'warning',
  recovering: 'warning',
  unknown: 'warning',
};

function roleStyle(instance: InstanceStatus, report: StatusReport): Style | undefined {
  if (instance.role !== 'primary') return undefined;
  return instance.number === report.primary ? 'strong' : 'warning';
}

function lagOf({ role, lagBytes }: InstanceStatus): string {
  if (role !== 'standby') return '-';
  return lagBytes === null ? '?' : formatBytes(BigInt(lagBytes));
}

/** The phases in words for people. */
const LINK_WORDS: Readonly<Record<InstanceStatus['link']['phase'], string>> = {
  stopped: 'down',
  resolving: 'connecting',
  connecting: 'connecting',
  greeting: 'connecting',
  up: 'up',
  leaving: 'closing',
  waiting: 'down',
};

function linkCell({ link }: InstanceStatus): Cell {
  // Of a link that does not come up the phase changes every second, which tells nothing.
  const word = link.failure === '' || link.phase === 'leaving' ? LINK_WORDS[link.phase] : 'down';
  return { text: word, style: link.phase === 'up' ? 'good' : 'bad' };
}

function ageCell(ageMs: number | null, { heartbeatIntervalMs, heartbeatTimeoutMs }: StatusReport): Cell {
  if (ageMs === null) return '-';
  const late = ageMs > (heartbeatIntervalMs + heartbeatTimeoutMs) / 2;
  return { text: formatSpan(ageMs), style: late ? 'warning' : undefined };
}

/** All that is out of the ordinary, and why. */
function remarkOn(instance: InstanceStatus): Cell {
  const remarks: string[] = [];
  if (instance.foreign) remarks.push('belongs to another cluster');
  if (instance.conflict) remarks.push('conflict: another primary is newer');
  const lost = instance.health === 'lost';
  if (instance.stale) remarks.push(`${lost ? 'lost' : 'not monitored'}, shown as last known`);
  if (instance.full) remarks.push('all connections taken');
  if (instance.state === 'up' && instance.accepting === false) remarks.push('takes no new connections');
  if (instance.role === 'primary' && instance.readOnly === true) remarks.push('read-only');
  for (const text of [instance.reason, instance.link.failure]) {
    if (text !== '' && !remarks.some((remark) => remark.includes(text))) remarks.push(text);
  }
  const grave = instance.foreign || instance.conflict || instance.state === 'down';
  return { text: remarks.join('; '), style: grave ? 'bad' : undefined };
}

function applicationTable(report: StatusReport, layout: StatusLayout): string[] {
  if (report.applications.length === 0) return ['No application is attached.'];
  const named = report.applications.some(({ application }) => application !== '');
  const forwarded = report.applications.some(({ mode }) => mode === 'gateway');
  const columns = [
    { title: 'pid', align: 'right' as const },
    { title: 'program', shrinkTo: 8 },
    { title: 'user', shrinkTo: 8 },
    ...(named ? [{ title: 'application', shrinkTo: 8 }] : []),
    { title: 'target' },
    { title: 'instance', align: 'right' as const },
    { title: 'mode' },
    { title: 'since' },
    ...(forwarded ? FORWARDED_COLUMNS : []),
  ];
  const rows = report.applications.map((application): TableRow => {
    const cells = applicationCells(application, named, report, layout);
    return { cells: forwarded ? [...cells, ...forwardedCells(application)] : cells };
  });
  return renderTable(columns, rows, '', layout);
}

/** The port it came to, and what was forwarded from the application and from the server. */
const FORWARDED_COLUMNS = [
  { title: 'port', align: 'right' as const },
  { title: 'sent', align: 'right' as const },
  { title: 'received', align: 'right' as const },
];

function forwardedCells({ listener, bytesFromApplication, bytesFromServer }: ApplicationStatus): Cell[] {
  const amount = (bytes: number | null): string => (bytes === null ? '-' : formatBytes(BigInt(bytes)));
  return [listener === null ? '-' : String(listener), amount(bytesFromApplication), amount(bytesFromServer)];
}

function applicationCells(
  application: ApplicationStatus,
  named: boolean,
  report: StatusReport,
  layout: StatusLayout,
): Cell[] {
  const { pid, program, user, target, instance, mode, since } = application;
  return [
    pid === null ? '-' : String(pid),
    program ?? '-',
    user ?? '-',
    ...(named ? [application.application === '' ? '-' : application.application] : []),
    target,
    instance === null ? '-' : String(instance),
    mode,
    formatMoment(since, report.now, layout.zone),
  ];
}

/** What is known of each instance in one line each, for a message about waiting in vain. */
export function describeInstances(report: StatusReport): string {
  return report.instances
    .map((instance) => {
      const { number, host, port, link, state, role, reason } = instance;
      const linked = link.phase === 'up';
      const why = reason !== '' ? reason : link.failure;
      const known = linked ? `link up, ${state}${role === 'unknown' ? '' : `, ${role}`}` : 'no link';
      return `instance ${number} (${host}:${port}): ${known}${why === '' ? '' : ` (${why})`}`;
    })
    .join('\n');
}

/** What `start` waits for: a link to a living primary, or with `complete` all links. */
export function isReached(report: StatusReport, complete: boolean): boolean {
  const linked = report.instances.filter(({ link }) => link.phase === 'up');
  if (complete) return linked.length === report.instances.length;
  return linked.some(({ role, state }) => role === 'primary' && state === 'up');
}

/** One line about the whole, for `list` and progress. */
export function summarise(report: StatusReport): string {
  const linked = report.instances.filter(({ link }) => link.phase === 'up').length;
  const primary = report.primary === null ? 'no primary' : `primary is instance ${report.primary}`;
  const links = `${linked} of ${count(report.instances.length, 'link')} up`;
  return `${primary}, ${links}, ${count(report.applications.length, 'application')}`;
}
