/** `cm_ctl watchdog status` and `terminate`: what a watchdog reports, as people read it. */
import type { LossStatus, TerminateReport, WatchdogStatus } from '../control/watchdog.js';
import {
  count,
  formatMoment,
  formatPeriod,
  formatRoundTrip,
  formatServerVersion,
  formatSpan,
  type ZoneOffset,
} from './amounts.js';
import { labelled } from './labelled.js';
import { type Cell, renderTable, type Style, type TableLayout, type TableRow } from './table.js';

/** The lines of the view, without line ends. */
export function renderWatchdog(status: WatchdogStatus, layout: TableLayout, zone: ZoneOffset): string[] {
  return [
    ...head(status, layout, zone),
    '',
    ...(status.links.length === 0 ? ['No conmgr is linked.'] : linkTable(status, layout, zone)),
    ...(status.losses.length === 0 ? [] : ['', ...lossTable(status, layout, zone)]),
  ];
}

function head(status: WatchdogStatus, layout: TableLayout, zone: ZoneOffset): string[] {
  const { now, pid, software, terminator } = status;
  const port: Cell =
    status.closed === null
      ? `${status.port} on ${status.listenAddresses.join(', ')}`
      : { text: `closed: ${status.closed}`, style: 'bad' };
  const paused: Cell = { text: 'paused: no session is ended', style: 'warning' };
  const active = `terminate_on = ${terminator.on}, ${count(terminator.ended, 'session')} ended so far`;
  const findings = status.findings.join('\n');
  return labelled(
    [
      ['Directory', status.dataDirectory],
      ['Process', `PID ${pid}, ${status.state} for ${formatSpan(now - status.startedAt)}, ${software}`],
      ['Port', port],
      ['Instance', instanceCell(status)],
      ['Server', serverCell(status)],
      ['Changed', formatMoment(status.instance.changedAt, now, zone)],
      ['Terminator', terminator.paused ? paused : active],
      ['Not ended', exceptionsCell(status)],
      ['Links', `${status.links.length} of ${status.maxLinks}`],
      ...(findings === '' ? [] : [['Findings', { text: findings, style: 'warning' }] as const]),
    ],
    layout,
  );
}

function serverCell({ instance }: WatchdogStatus): Cell {
  const { postmasterPid, port, socketDirectory } = instance;
  if (port === 0) return 'not known: it has not run since the watchdog started';
  const where = socketDirectory === '' ? '' : `, socket in ${socketDirectory}`;
  return `port ${port}${where}, postmaster PID ${postmasterPid}`;
}

/** Stands out where an administrator is waited for. */
function exceptionsCell({ terminator: { exceptions } }: WatchdogStatus): Cell {
  const style = exceptions.some(({ wrong }) => wrong) ? 'warning' : undefined;
  return { text: exceptions.map(({ text }) => text).join('\n'), style };
}

/** What is out of the ordinary stands out. */
const INSTANCE_STYLE: Readonly<Record<string, Style | undefined>> = { up: undefined, down: 'bad' };

function instanceCell({ instance }: WatchdogStatus): Cell {
  const { state, role, attributes, timeline, position, serverVersionNum, text } = instance;
  const known = [
    state,
    ...(role === 'unknown' ? [] : [role]),
    ...(attributes.includes('accepting') ? [] : ['takes no connections']),
    ...(attributes.includes('full') ? ['all connections taken'] : []),
    ...(attributes.includes('readOnlyByDefault') ? ['read-only by default'] : []),
    ...(timeline === 0 ? [] : [`timeline ${timeline}`]),
    ...(position === '' ? [] : [position]),
    ...(serverVersionNum === 0 ? [] : [`PostgreSQL ${formatServerVersion(serverVersionNum)}`]),
    ...(text === '' ? [] : [text]),
  ];
  return { text: known.join(', '), style: state in INSTANCE_STYLE ? INSTANCE_STYLE[state] : 'warning' };
}

function linkTable(status: WatchdogStatus, layout: TableLayout, zone: ZoneOffset): string[] {
  const columns = [
    { title: 'address', shrinkTo: 15 },
    { title: 'conmgr', shrinkTo: 12 },
    { title: 'interval', align: 'right' as const },
    { title: 'time-out', align: 'right' as const },
    { title: 'packet', align: 'right' as const },
    { title: 'rtt', align: 'right' as const },
    { title: 'protection' },
    { title: 'since' },
  ];
  const rows = status.links.map((link): TableRow => {
    const late = link.lastPacketAgeMs > (link.intervalMs + link.timeoutMs) / 2;
    return {
      cells: [
        link.address,
        link.label,
        formatPeriod(link.intervalMs),
        formatPeriod(link.timeoutMs),
        { text: formatSpan(link.lastPacketAgeMs), style: late ? 'warning' : undefined },
        link.rttMs === null ? '-' : formatRoundTrip(link.rttMs),
        link.protection ?? '-',
        formatMoment(link.connectedAt, status.now, zone),
      ],
      remark: link.spared === '' ? '' : `its loss would end nothing: ${link.spared}`,
    };
  });
  return renderTable(columns, rows, 'remark', layout);
}

function lossTable(status: WatchdogStatus, layout: TableLayout, zone: ZoneOffset): string[] {
  const columns = [
    { title: 'lost address', shrinkTo: 15 },
    { title: 'at' },
    { title: 'how' },
    { title: 'terminator' },
    { title: 'ended', align: 'right' as const },
    { title: 'waiting', align: 'right' as const },
  ];
  const rows = status.losses.map(
    (loss): TableRow => ({
      cells: [
        loss.address,
        formatMoment(loss.lostAt, status.now, zone),
        loss.departure,
        phaseOf(loss),
        String(loss.ended),
        String(loss.waiting),
      ],
      remark: loss.text,
    }),
  );
  return renderTable(columns, rows, 'reason', layout);
}

function phaseOf({ phase, dueInMs }: LossStatus): string {
  return dueInMs === null ? phase : `${phase}, due in ${formatSpan(dueInMs)}`;
}

/** What ending the sessions of an address did, or would do. */
export function renderTerminate(report: TerminateReport): string[] {
  const { address, dryRun, would } = report;
  if (dryRun) {
    const lines = [`would end ${count(would.sessions, 'session')} of ${address}`];
    if (would.programs !== '') lines.push(would.programs);
    if (would.superusers > 0) lines.push(`of superusers: ${would.superusers}`);
    if (would.replication > 0) lines.push(`replication connections, spared: ${would.replication}`);
    return lines;
  }
  const lines = [`ended ${count(report.ended, 'session')} of ${address}`];
  if (report.forbidden > 0) lines.push(`not permitted to the role of the watchdog: ${report.forbidden}`);
  if (report.deferred > 0) lines.push(`left alone, waiting for synchronous replication: ${report.deferred}`);
  if (report.prepared > 0)
    lines.push(`prepared transactions in the instance, which survive: ${report.prepared}`);
  return lines;
}
