/** The figures of both applications side by side, and the verdict. */
import type { Figures } from './figures.js';
import type { SceneResult } from './scenes.js';
import type { Paint, Screen } from './screen.js';
import { NAMES, type Stage } from './stage.js';
import { MARK_MS, strip } from './strip.js';

const LABEL_WIDTH = 46;
const VALUE_WIDTH = 16;
const STRIP_LABEL_WIDTH = 16;
const STRIP_MARKS = 60;
/** Of the strip, before the fault. */
const BEFORE_MS = 2000;

/** What the demo must have shown; each sentence names one thing it did not. */
export function shortcomings(results: readonly SceneResult[]): string[] {
  return results.flatMap(({ title, conmgr, hostList, reader }) => {
    const problems = [
      conmgr.lost > 0 && `${conmgr.lost} acknowledged rows of "${NAMES.conmgr}" are lost`,
      hostList.lost > 0 && `${hostList.lost} acknowledged rows of "${NAMES.hostList}" are lost`,
      conmgr.toldMs === undefined && 'the application with conmgr was not told of the loss',
      conmgr.offeredMs === undefined && 'conmgr did not offer the new primary',
      conmgr.firstWriteMs === undefined && 'the application with conmgr did not write again',
      hostList.firstWriteMs === undefined && 'the application with the host list did not write again',
      reader.reads === 0 && 'the reader read nothing',
    ];
    return problems.filter((problem) => problem !== false).map((problem) => `${title}: ${problem}`);
  });
}

/** One line of the table. `patienceMs`: see SceneResult. */
interface Row {
  readonly label: string;
  readonly value: (figures: Figures, patienceMs: number | undefined) => string;
}

const ROWS: readonly Row[] = [
  { label: 'loss told after', value: ({ toldMs }, patience) => within(toldMs, patience) },
  {
    label: 'new primary offered, or found, after',
    value: ({ offeredMs }, patience) => within(offeredMs, patience),
  },
  { label: 'first write after', value: ({ firstWriteMs }, patience) => within(firstWriteMs, patience) },
  {
    label: 'longest gap between two writes',
    value: ({ longestGapMs }, patience) => within(longestGapMs, patience),
  },
  { label: 'rows acknowledged', value: ({ acknowledged }) => String(acknowledged) },
  { label: 'rows lost', value: ({ lost }) => String(lost) },
  {
    label: 'rows unknown (of these arrived)',
    value: ({ unknown, arrived }) => `${unknown} (${arrived})`,
  },
];

/** Stands behind what happened only because the demo lost its patience. */
const BY_HAND = ' *';

function within(ms: number | undefined, patienceMs: number | undefined): string {
  if (ms === undefined) return 'never';
  return patienceMs !== undefined && ms >= patienceMs ? `> ${formatMs(patienceMs)}${BY_HAND}` : formatMs(ms);
}

function formatMs(ms: number): string {
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(2)} s`;
}

/** Prints the table of every scene. */
export function printSummary(stage: Stage, results: readonly SceneResult[]): void {
  const { screen } = stage;
  const { bold, cyan } = screen.paint;
  screen.line();
  screen.line(
    bold(cyan('Summary'.padEnd(LABEL_WIDTH))) +
      bold(NAMES.conmgr.padStart(VALUE_WIDTH) + NAMES.hostList.padStart(VALUE_WIDTH)),
  );
  for (const [index, result] of results.entries()) {
    screen.line();
    screen.line(bold(` ${index + 1}. ${result.title}`));
    printTable(screen, result);
    // A gap shorter than two marks cannot be seen.
    const longestGapMs = Math.max(result.conmgr.longestGapMs, result.hostList.longestGapMs);
    if (longestGapMs > 2 * MARK_MS) printStrips(stage, result);
  }
  screen.line();
}

function printTable(screen: Screen, { conmgr, hostList, patienceMs, reader }: SceneResult): void {
  const { red, green } = screen.paint;
  const paint = (text: string, figures: Figures, label: string): Paint => {
    if (text.includes('*') || text === 'never') return red;
    if (label === 'rows lost') return figures.lost > 0 ? red : green;
    return (same) => same;
  };
  let byHand = false;
  for (const { label, value } of ROWS) {
    const cells = ([conmgr, hostList] as const).map((figures, index) => {
      const text = value(figures, index === 0 ? undefined : patienceMs);
      byHand ||= text.endsWith(BY_HAND);
      return paint(text, figures, label)(text.padStart(VALUE_WIDTH));
    });
    screen.line(`    ${label}`.padEnd(LABEL_WIDTH) + cells.join(''));
  }
  const { reads, failures, servers, longestGapMs } = reader;
  screen.line(
    `    reader (prefer-standby): ${reads} reads (${servers.join(', ')}), ${failures} failed, ` +
      `longest gap ${formatMs(longestGapMs)}`,
  );
  if (!byHand) return;
  const { dim } = screen.paint;
  screen.line(dim('    * It hung until the demo switched db1 off. Left alone it waits as long as'));
  screen.line(dim('      db1 is silent: libpq and node-postgres set no time-out by default.'));
}

function printStrips({ screen, conmgr, hostList }: Stage, result: SceneResult): void {
  const { span, promotedMs } = result;
  const from = span.fault - BEFORE_MS;
  const window = { from, to: from + STRIP_MARKS * MARK_MS, until: span.to };
  for (const [name, { acknowledged }] of [
    [NAMES.conmgr, conmgr],
    [NAMES.hostList, hostList],
  ] as const) {
    const label = `    ${name}`.padEnd(STRIP_LABEL_WIDTH);
    screen.line(label + strip(screen, acknowledged, window));
  }
  const up = screen.unicode ? '↑' : '^';
  const column = (ms: number) => STRIP_LABEL_WIDTH + Math.floor((BEFORE_MS + ms) / MARK_MS);
  const fault = `${' '.repeat(column(0))}${up} fault`;
  const promotion = column(promotedMs);
  const rest = promotion > fault.length ? `${up} promotion` : ', promotion';
  screen.line(screen.paint.dim(fault.padEnd(promotion > fault.length ? promotion : 0) + rest));
}
