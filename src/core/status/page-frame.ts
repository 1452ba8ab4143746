/** What the pages of both programs have in common. */

import { formatSpan } from '../ctl/amounts.js';
import { civilTime } from '../messages/format.js';
import type { WallMs } from '../time.js';
import type { StatusEvent } from './event-log.js';
import { type Html, html, NOTHING } from './html.js';

/** How a thing is: shown by colour and, beside it, always in words. */
export type Tone = 'good' | 'warning' | 'bad' | 'plain';

export interface PageParts {
  /** conmgr, conmgr-watchdog. */
  readonly program: string;
  /** What is served: the directory. */
  readonly subject: string;
  readonly now: WallMs;
  /** The one sentence of the page. */
  readonly summary: { readonly text: string; readonly tone: Tone };
  readonly sections: readonly Html[];
}

/** The whole document. It has no style or script of its own, as its Content-Security-Policy says. */
export function renderPage({ program, subject, now, summary, sections }: PageParts): string {
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>${summary.text} - ${program}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<link rel="icon" href="/icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="/page.css">
<script src="/page.js" defer></script>
<noscript><meta http-equiv="refresh" content="5"></noscript>
</head>
<body>
<main>
<header>
<h1>${program}</h1>
<p class="subject">${subject}</p>
<p class="summary ${summary.tone}">${summary.text}</p>
<p class="moment">As of ${utcTime(now)} UTC</p>
</header>
${sections}
</main>
<p class="lost" role="alert">No answer: the picture above is an old one.</p>
<footer><a href="/metrics">/metrics</a> for Prometheus, <a href="/status">/status</a> as JSON</footer>
</body>
</html>
`.text;
}

const two = (value: number): string => String(value).padStart(2, '0');

/** `09:30:01`. */
export function utcTime(at: WallMs): string {
  const { hour, minute, second } = civilTime(at);
  return `${two(hour)}:${two(minute)}:${two(second)}`;
}

/** `3 min 5 s ago`. */
export function ago(at: WallMs, now: WallMs): string {
  return `${formatSpan(now - at)} ago`;
}

export function badge(text: string, tone: Tone): Html {
  return html`<span class="badge ${tone}">${text}</span>`;
}

/** Facts as names and values; what is '' is left out. */
export function facts(rows: readonly (readonly [name: string, value: string | Html])[]): Html {
  const known = rows.filter(([, value]) => value !== '');
  return html`<dl>${known.map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`;
}

export interface Column<Row> {
  readonly title: string;
  readonly of: (row: Row) => string | number;
}

/** A table that is a list of cards where the window is narrow. */
export function dataTable<Row>(columns: readonly Column<Row>[], rows: readonly Row[]): Html {
  return html`<table><thead><tr>${columns.map(({ title }) => html`<th scope="col">${title}</th>`)}</tr></thead>
<tbody>${rows.map(
    (row) =>
      html`<tr>${columns.map(({ title, of }) => html`<td data-title="${title}">${of(row)}</td>`)}</tr>
`,
  )}</tbody></table>`;
}

export function section(title: string, ...contents: readonly (Html | string)[]): Html {
  return html`<section><h2>${title}</h2>
${contents}
</section>
`;
}

const LEVEL_TONES: Readonly<Record<string, Tone>> = {
  WARNING: 'warning',
  ERROR: 'bad',
  FATAL: 'bad',
  PANIC: 'bad',
};

/** The events of the last hour, the newest first. */
export function eventSection(events: readonly StatusEvent[], now: WallMs): Html {
  if (events.length === 0) return section('Last hour', html`<p class="none">Nothing has happened.</p>`);
  const item = (event: StatusEvent): Html => html`<li>
<time>${utcTime(event.at)}</time> ${badge(event.level, LEVEL_TONES[event.level] ?? 'plain')}
<span class="text">${event.text}${event.count === 1 ? NOTHING : html` <b>(${event.count} times)</b>`}</span>
<span class="age">${ago(event.at, now)}</span>${event.detail === '' ? NOTHING : html`<small>${event.detail}</small>`}
</li>
`;
  return section('Last hour', html`<ol class="events">${events.map(item)}</ol>`);
}
