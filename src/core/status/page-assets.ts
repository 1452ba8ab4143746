/** Style, script and icon of the pages. They are served from status_port: the pages fetch nothing from elsewhere. */

/** One column on a phone, conmgr beside its links where there is room. Colours have a contrast of 4.5 or more. */
export const PAGE_STYLE = `
:root {
  color-scheme: light dark;
  --back: #f5f6f8; --card: #ffffff; --ink: #1b1f24; --faint: #57606a; --line: #d0d7de;
  --good: #116329; --warning: #7d4e00; --bad: #a40e26; --link: #0550ae;
  --good-back: #dafbe1; --warning-back: #fff3cd; --bad-back: #ffe5e8; --plain-back: #e8ecf0;
}
@media (prefers-color-scheme: dark) {
  :root {
    --back: #0d1117; --card: #161b22; --ink: #e6edf3; --faint: #9198a1; --line: #30363d;
    --good: #56d364; --warning: #e3b341; --bad: #ff8a84; --link: #79c0ff;
    --good-back: #12341c; --warning-back: #3a2d05; --bad-back: #47161a; --plain-back: #262c36;
  }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 72rem; padding: 1rem; background: var(--back); color: var(--ink);
  font: 1rem/1.45 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.4rem; margin: 0; }
h2 { font-size: 1.1rem; margin: 1.5rem 0 .5rem; }
h3 { font-size: 1rem; margin: 0 0 .25rem; }
p { margin: 0 0 .25rem; }
a { color: var(--link); }
.subject, .moment, .none, .age, footer { color: var(--faint); }
.moment, .age, footer, small { font-size: .875rem; }
.summary { font-size: 1.15rem; font-weight: 600; margin: .75rem 0 .25rem; padding: .6rem .8rem; border-radius: .5rem; }
.good { --tone: var(--good); --tone-back: var(--good-back); }
.warning { --tone: var(--warning); --tone-back: var(--warning-back); }
.bad { --tone: var(--bad); --tone-back: var(--bad-back); }
.plain { --tone: var(--ink); --tone-back: var(--plain-back); }
.summary, .badge { color: var(--tone); background: var(--tone-back); }
.badge { display: inline-block; border-radius: .5rem; padding: 0 .5rem; font-size: .875rem; font-weight: 600; }
.node, .events, table, section > dl, .problems { background: var(--card); border: 1px solid var(--line); border-radius: .5rem; }
.node { padding: .75rem; }
.node.good, .node.warning, .node.bad { border-left: .35rem solid var(--tone); }
.links, .events, .problems { list-style: none; margin: 0; padding: 0; }
.wire { margin-left: 1.5rem; padding: .6rem 0 .6rem .9rem; border-left: .2rem solid var(--tone); font-size: .875rem; }
.wire.bad { border-left-style: dashed; }
.wire b { color: var(--tone); }
.wire span { display: block; }
dl { margin: 0; }
dl div { display: flex; gap: .75rem; }
dt { flex: 0 0 8rem; color: var(--faint); }
dd { margin: 0; min-width: 0; }
section > dl, .problems { padding: .75rem; }
section > h3 { margin: .75rem 0 .25rem; }
.problems { margin-top: .5rem; }
.events li { padding: .6rem .75rem; border-top: 1px solid var(--line); }
.events li:first-child { border-top: 0; }
.events small { display: block; color: var(--faint); }
time { font-variant-numeric: tabular-nums; }
table { width: 100%; border-spacing: 0; }
th, td { padding: .4rem .75rem; text-align: left; vertical-align: top; }
th { color: var(--faint); font-weight: 600; }
td { border-top: 1px solid var(--line); }
footer { margin-top: 2rem; }
.lost { display: none; }
.unanswered .lost { display: block; position: sticky; bottom: 0; margin: 1rem 0; padding: .6rem .8rem; border-radius: .5rem;
  color: var(--bad); background: var(--bad-back); font-weight: 600; }
.unanswered main { opacity: .6; }
@media (max-width: 43.99rem) {
  thead { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
  table, tbody, tr, td { display: block; }
  tr { padding: .5rem 0; border-top: 1px solid var(--line); }
  tr:first-child { border-top: 0; }
  td { display: flex; gap: .75rem; border: 0; padding: 0 .75rem; }
  td::before { content: attr(data-title); flex: 0 0 8rem; color: var(--faint); }
}
@media (min-width: 44rem) {
  .topology { display: grid; grid-template-columns: minmax(14rem, 1fr) 3fr; align-items: center; }
  .links { border-left: .2rem solid var(--line); margin-left: 0; }
  .links li { display: grid; grid-template-columns: 15rem 1fr; align-items: center; padding: .4rem 0; }
  .wire { margin: 0; border-left: 0; border-top: .2rem solid var(--tone); padding: .4rem .75rem 0; }
  .wire.bad { border-top-style: dashed; }
  .topology > .none { padding-left: 1rem; }
}
`;

/** Every two seconds the page is fetched again and its contents are exchanged; not while nobody looks or text is
 *  marked. An answer that does not come is said. */
export const PAGE_SCRIPT = `'use strict';
const PERIOD_MS = 2000;
const PATIENCE_MS = 5000;
let waiting;

async function refresh() {
  clearTimeout(waiting);
  if (!document.hidden && getSelection().isCollapsed) {
    try {
      const answer = await fetch('/', { cache: 'no-store', signal: AbortSignal.timeout(PATIENCE_MS) });
      if (!answer.ok) throw new Error(answer.statusText);
      const next = new DOMParser().parseFromString(await answer.text(), 'text/html');
      document.querySelector('main').replaceWith(next.querySelector('main'));
      document.title = next.title;
      document.body.classList.remove('unanswered');
    } catch {
      document.body.classList.add('unanswered');
    }
  }
  waiting = setTimeout(refresh, PERIOD_MS);
}

waiting = setTimeout(refresh, PERIOD_MS);
document.addEventListener('visibilitychange', () => {
  clearTimeout(waiting);
  waiting = setTimeout(refresh, document.hidden ? PERIOD_MS : 0);
});
`;

/** Two servers and what leads to them. */
export const PAGE_ICON = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><g fill="none" stroke="#2f81f7" stroke-width="1.5"><path d="M4 8h3m0-4v8m0-8h3m-3 8h3"/><circle cx="2.5" cy="8" r="1.5"/><rect x="10" y="2" width="5" height="4" rx="1"/><rect x="10" y="10" width="5" height="4" rx="1"/></g></svg>
`;
