/** The page of conmgr: what it is linked to, who uses it, what has happened. */
import type { ApplicationStatus, InstanceStatus, StatusReport } from '../control/protocol.js';
import {
  count,
  formatBytes,
  formatPeriod,
  formatRoundTrip,
  formatServerVersion,
  formatSpan,
} from '../ctl/amounts.js';
import { certificateFacts, protectionWords } from '../ctl/protection-view.js';
import type { StatusEvent } from './event-log.js';
import { type Html, html, NOTHING } from './html.js';
import {
  ago,
  badge,
  type Column,
  dataTable,
  eventSection,
  facts,
  renderPage,
  section,
  type Tone,
} from './page-frame.js';

/** More sessions are counted, not listed. */
const MOST_SESSIONS = 100;

export function conmgrPage(report: StatusReport, events: readonly StatusEvent[]): string {
  return renderPage({
    program: 'conmgr',
    subject: report.directory,
    now: report.now,
    summary: summaryOf(report),
    sections: [topology(report), sessions(report), eventSection(events, report.now), processFacts(report)],
  });
}

function summaryOf(report: StatusReport): { text: string; tone: Tone } {
  const primary = report.instances.find(({ number }) => number === report.primary);
  if (report.state === 'stopping') return { text: 'Stopping', tone: 'warning' };
  if (primary === undefined) return { text: 'There is no primary', tone: 'bad' };
  const troubled = report.instances.filter((one) => toneOf(one) !== 'good').length;
  const rest = troubled === 0 ? '' : `; trouble with ${count(troubled, 'instance')}`;
  return {
    text: `The primary is ${primary.host}:${primary.port}${rest}`,
    tone: troubled === 0 ? 'good' : 'warning',
  };
}

function toneOf({ state, link, conflict, foreign, stale }: InstanceStatus): Tone {
  if (state !== 'up' || conflict || foreign) return 'bad';
  return link.phase === 'up' && !stale ? 'good' : 'warning';
}

/** conmgr, a line for each link, and what is at its end. */
function topology(report: StatusReport): Html {
  const attached = count(report.applications.length, 'session');
  return section(
    'Topology',
    html`<div class="topology">
<div class="node self"><h3>conmgr</h3><p>port ${report.port} on ${report.listenAddresses.join(', ')}</p><p>${attached}</p></div>
<ul class="links">
${report.instances.map(
  (one) => html`<li>${wire(one, report)}${node(one, report)}</li>
`,
)}</ul>
</div>`,
  );
}

/** The link: drawn through while it is up, broken while it is not. */
function wire({ link }: InstanceStatus, { heartbeatTimeoutMs }: StatusReport): Html {
  const { phase, lastPacketAgeMs, rttMs, failure, protection } = link;
  if (phase !== 'up') {
    return html`<div class="wire bad"><b>link ${phase}</b><span>${failure}</span></div>`;
  }
  const late = (lastPacketAgeMs ?? 0) > heartbeatTimeoutMs / 2;
  return html`<div class="wire ${late ? 'warning' : 'good'}"><b>link up</b>
<span>last packet ${lastPacketAgeMs === null ? 'unknown' : `${formatSpan(lastPacketAgeMs)} ago`}</span>
${rttMs === null ? NOTHING : html`<span>round trip ${formatRoundTrip(rttMs)}</span>`}
<span>${protectionWords(protection)}</span></div>`;
}

function node(one: InstanceStatus, report: StatusReport): Html {
  const offered = one.number === report.primary;
  const marks: (readonly [boolean, string, Tone])[] = [
    [true, one.state, one.state === 'up' ? 'good' : 'bad'],
    [one.role !== 'unknown', one.role, offered ? 'good' : 'plain'],
    [one.conflict, 'conflict', 'bad'],
    [one.foreign, 'foreign cluster', 'bad'],
    [one.stale, 'not monitored', 'warning'],
    [one.full, 'full', 'warning'],
    [one.accepting === false, 'takes no connections', 'warning'],
  ];
  return html`<div class="node ${toneOf(one)}">
<h3>${one.number}: ${one.host}:${one.port}</h3>
<p>${marks.flatMap(([shown, text, tone]) => (shown ? [badge(text, tone), ' '] : []))}</p>
${facts([
  ['sessions', String(one.sessions)],
  ['lag', one.lagBytes === null ? '' : formatBytes(BigInt(one.lagBytes))],
  ['timeline', one.timeline === 0 ? '' : String(one.timeline)],
  ['position', one.position],
  ['PostgreSQL', one.serverVersionNum === 0 ? '' : formatServerVersion(one.serverVersionNum)],
  ['changed', one.changedAt === null ? '' : ago(one.changedAt, report.now)],
  ['because', one.reason],
])}</div>`;
}

function sessions({ applications, now }: StatusReport): Html {
  if (applications.length === 0)
    return section('Sessions', html`<p class="none">No application is attached.</p>`);
  const columns: readonly Column<ApplicationStatus>[] = [
    { title: 'application', of: ({ application, program }) => application || program || '-' },
    { title: 'PID', of: ({ pid }) => pid ?? '-' },
    { title: 'user', of: ({ user }) => user ?? '-' },
    { title: 'target', of: ({ target }) => target },
    { title: 'instance', of: ({ instance }) => instance ?? '-' },
    { title: 'mode', of: ({ mode }) => mode },
    { title: 'since', of: ({ since }) => ago(since, now) },
  ];
  const newest = [...applications].sort((a, b) => b.since - a.since || b.id - a.id).slice(0, MOST_SESSIONS);
  const unlisted = applications.length - newest.length;
  const more = unlisted === 0 ? NOTHING : html`<p class="none">and ${unlisted} older ones</p>`;
  return section('Sessions', dataTable(columns, newest), more);
}

function processFacts(report: StatusReport): Html {
  const { descriptors, kernel, lastReload, now } = report;
  const refused = lastReload?.problems ?? [];
  return section(
    'Process',
    facts([
      ['program', report.software],
      ['PID', `${report.pid}, started ${ago(report.startedAt, now)}`],
      [
        'heartbeat',
        `every ${formatPeriod(report.heartbeatIntervalMs)}, time-out ${formatPeriod(report.heartbeatTimeoutMs)}`,
      ],
      ...certificateFacts(report),
      ['descriptors', `${descriptors.open} of ${descriptors.limit} open`],
      ['helper', kernel === undefined ? '' : kernel.helper || 'reached'],
      ['guard', kernel?.guard.wanted !== true ? '' : kernel.guard.problem || 'active'],
      [
        'reload',
        lastReload === null ? '' : `${refused.length === 0 ? 'taken' : 'refused'} ${ago(lastReload.at, now)}`,
      ],
    ]),
    refused.length === 0
      ? NOTHING
      : html`<ul class="problems">${refused.map((line) => html`<li>${line}</li>`)}</ul>`,
  );
}
