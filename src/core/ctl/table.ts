/**
 * Aligned tables for a terminal: columns as wide as their widest cell, then narrowed until they fit.
 *
 * On a terminal nothing is wider than it is: names are cut, remarks are wrapped into what is left, or under the row
 * where too little is left. Elsewhere (a file, a pipe) nothing is cut.
 */
import { escapeControls } from '../messages/format.js';
import { cut, pad, textWidth, wrap } from './text-width.js';

/** What a cell may stand out by. */
export type Style = 'good' | 'warning' | 'bad' | 'strong' | 'faint';

/** SGR parameters (ECMA-48, 8.3.117), colours from the terminal's own palette. */
const SGR: Readonly<Record<Style, string>> = {
  good: '32',
  warning: '33',
  bad: '31',
  strong: '1',
  faint: '2',
};

/** Puts a style on a text, or leaves it where there is no colour. */
export function paint(text: string, style: Style | undefined, colour: boolean): string {
  return style === undefined || !colour || text.trim() === '' ? text : `\x1b[${SGR[style]}m${text}\x1b[0m`;
}

export type Cell = string | { readonly text: string; readonly style?: Style | undefined };

export interface Column {
  readonly title: string;
  readonly align?: 'left' | 'right';
  /** May be cut to this width when there is too little room. */
  readonly shrinkTo?: number;
}

/** A row: a cell for each column, and what is to be remarked. */
export interface TableRow {
  readonly cells: readonly Cell[];
  readonly remark?: Cell;
}

export interface TableLayout {
  /** Columns of the terminal; Infinity where nothing limits them. */
  readonly width: number;
  readonly colour: boolean;
}

/** Between columns; one blank when two do not fit. */
const GAP = 2;
/** A remark in less room than this stands under its row. */
const LEAST_REMARK_WIDTH = 32;
/** Indentation of what stands under a row. */
const INDENT = 4;

const textOf = (cell: Cell): string => escapeControls(typeof cell === 'string' ? cell : cell.text);
const styleOf = (cell: Cell): Style | undefined => (typeof cell === 'string' ? undefined : cell.style);

/** The lines of a table, without line ends. `remarkTitle` heads the remarks where they have a column. */
export function renderTable(
  columns: readonly Column[],
  rows: readonly TableRow[],
  remarkTitle: string,
  { width, colour }: TableLayout,
): string[] {
  const texts = rows.map(({ cells }) => columns.map((_, at) => textOf(cells[at] ?? '')));
  const widest = columns.map(({ title }, at) =>
    Math.max(textWidth(title), ...texts.map((row) => textWidth(row[at] ?? ''))),
  );
  const { widths, gap } = fit(columns, widest, width);
  const taken = widths.reduce((sum, one) => sum + one + gap, 0);
  const remarkWidth = width - taken;
  const remarked = rows.some(({ remark }) => remark !== undefined && textOf(remark) !== '');
  const inline = remarkWidth >= LEAST_REMARK_WIDTH;

  const line = (cells: readonly string[], styles: readonly (Style | undefined)[]): string =>
    columns
      .map(({ align }, at) => {
        const room = widths[at] ?? 0;
        return paint(pad(cut(cells[at] ?? '', room), room, align), styles[at], colour);
      })
      .join(' '.repeat(gap));

  const titles = columns.map(({ title }) => title);
  const headStyles = titles.map((): Style => 'strong');
  const head = line(titles, headStyles);
  const remarkHead = remarked && inline ? ' '.repeat(gap) + paint(remarkTitle, 'strong', colour) : '';
  const lines = [head + remarkHead];
  rows.forEach((row, at) => {
    const start = line(
      texts[at] ?? [],
      columns.map((_, column) => styleOf(row.cells[column] ?? '')),
    );
    const remark = textOf(row.remark ?? '');
    const style = styleOf(row.remark ?? '');
    if (remark === '') {
      lines.push(start);
      return;
    }
    const indent = inline ? taken : INDENT;
    const pieces = width === Number.POSITIVE_INFINITY ? [remark] : wrap(remark, Math.max(8, width - indent));
    const painted = pieces.map((piece) => paint(piece, style, colour));
    if (inline) lines.push(start + ' '.repeat(gap) + (painted.shift() ?? ''));
    else lines.push(start);
    lines.push(...painted.map((piece) => ' '.repeat(indent) + piece));
  });
  return lines.map(trimEnd);
}

/** Narrows the gaps, then the widest column that may be narrowed, until the table fits or nothing more can give. */
function fit(
  columns: readonly Column[],
  widest: readonly number[],
  limit: number,
): { widths: number[]; gap: number } {
  const widths = [...widest];
  const total = (gap: number): number =>
    widths.reduce((sum, one) => sum + one, 0) + gap * (widths.length - 1);
  const gap = total(GAP) <= limit ? GAP : 1;
  while (total(gap) > limit) {
    let candidate = -1;
    columns.forEach(({ shrinkTo }, at) => {
      const room = widths[at] ?? 0;
      if (shrinkTo !== undefined && room > shrinkTo && room > (widths[candidate] ?? 0)) candidate = at;
    });
    if (candidate < 0) break;
    widths[candidate] = (widths[candidate] ?? 0) - 1;
  }
  return { widths, gap };
}

/** Without blanks at the end, also in front of the end of a style. */
function trimEnd(line: string): string {
  return line
    .replace(/ +(\x1b\[0m)?$/, '$1')
    .replace(/(?:\x1b\[[0-9]+m\x1b\[0m)+$/, '')
    .trimEnd();
}
