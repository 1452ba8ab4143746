/**
 * The plot of docs/performance.md: processor time of a watchdog by the number of its links, both axes logarithmic, with the bound and
 * with two lines of the bare program of the same run: its own, below which no program in Node.js comes, and the kernel's part of it, below
 * which no program comes that hears from and writes to as many sockets. Colours follow the reader's scheme.
 */
import type { Block } from '../bench/results.js';

const TITLE = 'Heartbeat links of one watchdog, heartbeat_interval 10 s';
const [WIDTH, HEIGHT] = [720, 420];
const FRAME = { left: 70, right: 170, top: 30, bottom: 60 } as const;
const X = { from: 50, to: 12_000, ticks: [100, 1000, 10_000] } as const;
const Y = { from: 0.01, to: 20, ticks: [0.01, 0.1, 1, 10] } as const;
const BOUND_PERCENT = 5;

type Point = readonly [x: number, y: number];
const scale = (value: number, from: number, to: number): number =>
  Math.log(value / from) / Math.log(to / from);
const toX = (links: number): number =>
  FRAME.left + scale(links, X.from, X.to) * (WIDTH - FRAME.left - FRAME.right);
const toY = (percent: number): number =>
  HEIGHT -
  FRAME.bottom -
  scale(Math.max(percent, Y.from), Y.from, Y.to) * (HEIGHT - FRAME.top - FRAME.bottom);
const at = (value: number): string => value.toFixed(1);

function line(points: readonly Point[], style: string, label: string): string {
  const places = points.map(([x, y]) => [toX(x), toY(y)] as const);
  const [, endY] = places.at(-1) ?? [0, 0];
  return [
    `<polyline class="${style}" points="${places.map(([x, y]) => `${at(x)},${at(y)}`).join(' ')}"/>`,
    ...places.map(([x, y]) => `<circle class="${style}" cx="${at(x)}" cy="${at(y)}" r="4"/>`),
    `<text class="${style}" x="${WIDTH - FRAME.right + 10}" y="${at(endY + 5)}">${label}</text>`,
  ].join('\n');
}

/** The picture, of the recorded blocks. Throws Error when the benchmark of the links has not been recorded. */
export function growthPlot(results: Readonly<Record<string, Block>>): string {
  const block = results[TITLE];
  const [ours, bare] = [block?.points['watchdog CPU'], block?.points['bare CPU']];
  const kernel = block?.points['kernel CPU'];
  if (ours === undefined || bare === undefined || kernel === undefined)
    throw new Error(`nothing is recorded of "${TITLE}"`);
  const [left, right] = [FRAME.left, WIDTH - FRAME.right];
  const bottom = HEIGHT - FRAME.bottom;
  const name = (value: number): string => value.toLocaleString('en-US', { maximumFractionDigits: 2 });
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" font-family="sans-serif" font-size="14">
<title>Processor time of a watchdog by the number of its links</title>
<style>
svg { background: #ffffff; --ink: #1f2328; --soft: #d0d7de; --ours: #0550ae; --bare: #57606a; --limit: #1a7f37; --bound: #b35900; }
@media (prefers-color-scheme: dark) {
svg { background: #0d1117; --ink: #e6edf3; --soft: #30363d; --ours: #79c0ff; --bare: #9da7b3; --limit: #7ee787; --bound: #ffa657; }
}
text { fill: var(--ink); } .grid { stroke: var(--soft); stroke-width: 1; }
polyline { fill: none; stroke-width: 2.5; }
polyline.ours { stroke: var(--ours); } circle.ours, text.ours { fill: var(--ours); }
polyline.bare { stroke: var(--bare); stroke-dasharray: 2 5; stroke-linecap: round; } circle.bare, text.bare { fill: var(--bare); }
polyline.limit { stroke: var(--limit); } circle.limit, text.limit { fill: var(--limit); }
line.bound { stroke: var(--bound); stroke-width: 2; stroke-dasharray: 9 5; } text.bound { fill: var(--bound); }
</style>
${Y.ticks.map((tick) => `<line class="grid" x1="${left}" x2="${right}" y1="${at(toY(tick))}" y2="${at(toY(tick))}"/>\n<text x="${left - 8}" y="${at(toY(tick) + 5)}" text-anchor="end">${name(tick)} %</text>`).join('\n')}
${X.ticks.map((tick) => `<line class="grid" x1="${at(toX(tick))}" x2="${at(toX(tick))}" y1="${FRAME.top}" y2="${bottom}"/>\n<text x="${at(toX(tick))}" y="${bottom + 22}" text-anchor="middle">${name(tick)}</text>`).join('\n')}
<text x="${(left + right) / 2}" y="${HEIGHT - 12}" text-anchor="middle">heartbeat links, heartbeat_interval 10 s</text>
<text x="${left}" y="18">processor time, of one core</text>
<line class="bound" x1="${left}" x2="${right}" y1="${at(toY(BOUND_PERCENT))}" y2="${at(toY(BOUND_PERCENT))}"/>
<text class="bound" x="${left + 6}" y="${at(toY(BOUND_PERCENT) - 7)}">bound: ${BOUND_PERCENT} %</text>
${line(kernel, 'limit', 'limit: the kernel')}
${line(bare, 'bare', 'bare Node.js')}
${line(ours, 'ours', 'watchdog')}
</svg>
`;
}
