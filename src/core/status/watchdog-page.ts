/** The page of the watchdog: its instance, the conmgrs that are linked, who was lost, what has happened. */
import type { LinkStatus, LossStatus, WatchdogStatus } from '../control/watchdog.js';
import { count, formatRoundTrip, formatServerVersion, formatSpan } from '../ctl/amounts.js';
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

/** More links are counted, not drawn. */
const MOST_LINKS = 100;

export function watchdogPage(status: WatchdogStatus, events: readonly StatusEvent[]): string {
  return renderPage({
    program: 'conmgr-watchdog',
    subject: status.dataDirectory,
    now: status.now,
    summary: summaryOf(status),
    sections: [
      topology(status),
      losses(status),
      terminator(status),
      eventSection(events, status.now),
      processFacts(status),
    ],
  });
}

function summaryOf({ state, instance, port, terminator: { paused } }: WatchdogStatus): {
  text: string;
  tone: Tone;
} {
  if (state === 'stopping') return { text: 'Stopping', tone: 'warning' };
  const role = instance.role === 'unknown' ? '' : `, ${instance.role}`;
  const text = `The instance is ${instance.state}${role}`;
  if (instance.state !== 'up') return { text, tone: 'bad' };
  if (port === 0) return { text: `${text}; the heartbeat port is closed`, tone: 'bad' };
  return paused ? { text: `${text}; the terminator is paused`, tone: 'warning' } : { text, tone: 'good' };
}

function topology(status: WatchdogStatus): Html {
  const { instance, links, now } = status;
  const up = instance.state === 'up';
  const shown = links.slice(0, MOST_LINKS);
  const port = instance.port === 0 ? '' : `port ${instance.port}`;
  const picture = html`<div class="topology">
<div class="node ${up ? 'good' : 'bad'}"><h3>Instance</h3>
<p>${badge(instance.state, up ? 'good' : 'bad')} ${instance.role === 'unknown' ? NOTHING : badge(instance.role, 'plain')}</p>
${facts([
  ['server', port],
  ['timeline', instance.timeline === 0 ? '' : String(instance.timeline)],
  ['position', instance.position],
  ['PostgreSQL', instance.serverVersionNum === 0 ? '' : formatServerVersion(instance.serverVersionNum)],
  ['changed', ago(instance.changedAt, now)],
  ['because', instance.text],
])}</div>
${
  links.length === 0
    ? html`<p class="none">No conmgr is linked.</p>`
    : html`<ul class="links">
${shown.map(
  (link) => html`<li>${wire(link)}${node(link, now)}</li>
`,
)}</ul>`
}
</div>`;
  const unshown = links.length - shown.length;
  return section(
    'Topology',
    picture,
    unshown === 0 ? NOTHING : html`<p class="none">and ${unshown} more links</p>`,
  );
}

function wire({ lastPacketAgeMs, rttMs, timeoutMs, protection }: LinkStatus): Html {
  const tone: Tone = lastPacketAgeMs > timeoutMs / 2 ? 'warning' : 'good';
  return html`<div class="wire ${tone}"><b>link up</b>
<span>last packet ${formatSpan(lastPacketAgeMs)} ago</span>
${rttMs === null ? NOTHING : html`<span>round trip ${formatRoundTrip(rttMs)}</span>`}
<span>${protectionWords(protection)}</span></div>`;
}

function node(link: LinkStatus, now: number): Html {
  return html`<div class="node good"><h3>${link.label || link.address}</h3>
${facts([
  ['address', link.address],
  ['software', link.software],
  ['since', ago(link.connectedAt, now)],
  ['its loss ends', link.spared === '' ? '' : `nothing: ${link.spared}`],
])}</div>`;
}

function losses({ losses: lost, now }: WatchdogStatus): Html {
  if (lost.length === 0) return NOTHING;
  const columns: readonly Column<LossStatus>[] = [
    { title: 'client host', of: ({ address }) => address },
    { title: 'how', of: ({ departure, text }) => (text === '' ? departure : `${departure}: ${text}`) },
    { title: 'lost', of: ({ lostAt }) => ago(lostAt, now) },
    { title: 'phase', of: ({ phase }) => phase },
    { title: 'ended', of: ({ ended }) => ended },
    { title: 'waiting', of: ({ waiting }) => waiting },
  ];
  return section('Lost client hosts', dataTable(columns, lost));
}

function terminator({ terminator: { on, paused, ended, exceptions }, findings }: WatchdogStatus): Html {
  const item = (text: string, wrong: boolean): Html =>
    html`<li>${wrong ? badge('look', 'warning') : NOTHING} ${text}</li>`;
  return section(
    'Terminator',
    facts([
      ['terminate_on', on],
      ['now', paused ? badge('paused: no session is ended', 'warning') : 'active'],
      ['ended so far', count(ended, 'session')],
    ]),
    exceptions.length === 0
      ? NOTHING
      : html`<h3>Not ended</h3><ul class="problems">${exceptions.map(({ text, wrong }) => item(text, wrong))}</ul>`,
    findings.length === 0
      ? NOTHING
      : html`<h3>Findings</h3><ul class="problems">${findings.map((text) => item(text, true))}</ul>`,
  );
}

function processFacts(status: WatchdogStatus): Html {
  return section(
    'Process',
    facts([
      ['program', status.software],
      ['PID', `${status.pid}, started ${ago(status.startedAt, status.now)}`],
      ['heartbeat port', status.closed ?? `${status.port} on ${status.listenAddresses.join(', ')}`],
      ...certificateFacts(status),
      ['links', `${status.links.length} of ${status.maxLinks}`],
    ]),
  );
}
